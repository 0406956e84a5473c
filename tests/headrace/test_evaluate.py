"""`headrace evaluate` end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from headrace.cli import app

ALARM = {"raised", "raised_row", "cleared", "cleared_row", "channel", "failure_mode", "severity",
         "rule", "sentence"}  # fmt: skip


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    generator = np.random.default_rng(3)
    lines = ["time,speed,flow,operator,label"]
    for i in range(600):
        value = generator.normal() + (12.0 if 400 <= i < 440 else 0.0)
        flow = "" if i % 37 == 0 else "fault" if i % 101 == 0 else f"{generator.normal():.4f}"
        lines.append(f"{1_700_000_000 + 60 * i},{value:.4f},{flow},anna,{int(400 <= i < 440)}")
    path = tmp_path / "pump.csv"
    path.write_text("\n".join(lines))
    return path


def test_a_file_with_labels(dirty: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = CliRunner().invoke(
        app,
        ["evaluate", "csv", str(dirty), "--time", "time", "--labels", "label", "--train-rows",
         "200", "--json", "--report", str(page)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout.splitlines()[-1])
    assert [row["row"] for row in document["scores"]] == list(range(600))
    assert document["scores"][0]["time"] == "2023-11-14T22:13:20+00:00"
    assert document["channels"] == ["speed", "flow"]
    assert all(set(alarm) == ALARM for alarm in document["alarms"])
    assert any(400 <= alarm["raised_row"] < 440 for alarm in document["alarms"])
    assert document["metrics"]["alarm_event_recall"] == 1.0
    assert 0.0 < document["metrics"]["vus_pr"] <= 1.0
    text = page.read_text()
    assert "<svg" in text
    assert "<script" not in text
    assert page.stat().st_size < 1_000_000


def test_a_file_without_labels(dirty: Path) -> None:
    result = CliRunner().invoke(
        app, ["evaluate", "csv", str(dirty), "--time", "time", "--ignore", "label", "--json"]
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout.splitlines()[-1])
    assert document["metrics"] is None
    assert document["channels"] == ["speed", "flow"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["csv"], "one PATH is due"),
        (["csv", "gone.csv"], "No such file"),
        (["moon"], "there is no set 'moon'"),
        (["nab", "--time", "t"], "are for `evaluate csv PATH`"),
    ],
)
def test_errors_are_one_sentence(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["evaluate", *arguments])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_an_absent_set_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADRACE_EVAL_DATA", str(tmp_path))
    result = CliRunner().invoke(app, ["evaluate", "nab", "--json"])
    assert result.exit_code == 1
    assert "set HEADRACE_EVAL_DATA" in " ".join(result.stderr.split())
    assert result.stdout == ""
