"""Every assertion of the specification is accounted for: tested by its name, or why not."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Normative statements in each chapter of the Sparkplug 3.0.0 specification.
STATEMENTS = {"1": 8, "2": 4, "3": 1, "4": 67, "5": 99, "6": 108, "10": 12}
STATUSES = {"tested", "not applicable", "not met"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (HERE / "assertions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_every_statement_once(rows: list[dict[str, str]]) -> None:
    assert Counter(row["chapter"] for row in rows) == STATEMENTS
    assert len({row["assertion"] for row in rows}) == len(rows) == 299
    assert all(re.fullmatch(r"tck-id-[\w-]+", row["assertion"]) for row in rows)


def test_what_is_not_tested_says_why(
    rows: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = Counter(row["status"] for row in rows)
    unexplained = [row for row in rows if row["status"] != "tested" and not row["reason"]]
    with capsys.disabled():
        print(  # noqa: T201 (its counts are its result)
            f"\nsparkplug: {len(rows)} statements, {counts['tested']} shown by a test, "
            f"{counts['not applicable']} not applicable with the reason, "
            f"{counts['not met']} not met with the reason, "
            f"{sum(STATEMENTS.values()) - len(rows)} unlisted"
        )
    assert set(counts) == STATUSES
    assert unexplained == []


def test_what_is_tested_has_a_test_of_its_name(rows: list[dict[str, str]]) -> None:
    collected = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            str(HERE),
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert collected.returncode == 0, collected.stdout[-2000:]
    tests = set(re.findall(r"::test_\w+\[(tck-id-[\w-]+)\]", collected.stdout))
    assert tests == {row["assertion"] for row in rows if row["status"] == "tested"}
