"""Bad input gets one clear error that names the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.cli import app


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["demo", "--headless", "--scenario", "no-such"], "--scenario"),
        (["demo", "--headless", "--days", "0"], "--days"),
        (["demo", "--headless", "--seed", "one"], "--seed"),
        (["replay", "no-such-file.csv"], "PATH"),
        (["replay", "{file}", "--speed", "fast"], "--speed"),
        (["replay", "{file}", "--speed", "-1"], "--speed"),
        (["replay", "{file}", "--sep", "ab"], "--sep"),
        (["replay", "{file}", "--time", "no_such_column"], "no_such_column"),
        (["new-module", "Not A Name"], "Not A Name"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, arguments: list[str], named: str) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("timestamp,value\n2026-01-01 00:00:00,1.0\n2026-01-01 00:01:00,1.1\n")

    result = CliRunner().invoke(app, [a.format(file=file) for a in arguments])

    assert result.exit_code == 2, result.output
    assert named in result.output
    assert "Traceback" not in result.output


def test_scenarios_are_listed() -> None:
    result = CliRunner().invoke(app, ["demo", "--scenario", "help"])

    assert result.exit_code == 0
    assert "bearing-wear" in result.output
    assert "healthy" in result.output
