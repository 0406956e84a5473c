"""`headrace rules`: checking, testing and showing rules without a broker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from firmware_sim import recordings
from headrace.cli import app
from stream_processor.rules.rule_file import SHIPPED

RECORDING = Path(next(iter(recordings.__path__))) / "machine_temperature_system_failure.csv"
RULES = """equipment_class = "recording"
version = 1
[channels.value]
unit = "degC"
quantity = "temperature"
[[rules]]
id = "too-cold"
kind = "threshold"
watch = "quantity:temperature"
below = 50
clears_above = 70
on_delay_s = 1800
off_delay_s = 3600
severity = "high"
summary = "it is cold"
[[rules]]
id = "no-such-thing"
kind = "threshold"
watch = "quantity:pressure"
above = 3
severity = "low"
summary = "pressure is high"
"""
# When the labelled failure of the recording stops the machine.
RANGE = "[2013-12-16T00:00:00Z, 2013-12-17T00:00:00Z]"
EARLIER = ("--since", "2013-12-15T00:00:00", "--until", "2013-12-18T00:00:00")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "recording.toml"
    path.write_text(RULES)
    return path


def test_every_error_of_every_file_is_named_by_line(tmp_path: Path, rules: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(RULES.replace("below = 50", "below = 90").replace('"high"', '"hihg"'))

    found = run("check", rules, bad)

    assert found.exit_code == 1
    assert f"{rules}: good, 2 rules of recording" in found.output
    assert f"{bad}:11: rules[0].clears_above: the off-limit 70 lies below" in found.output
    assert f"{bad}:14: rules[0].severity: there is no 'hihg': did you mean 'high'?" in found.output
    problems = json.loads(run("check", bad, "--json").stdout)
    assert [(p["line"], p["field"]) for p in problems] == [
        (11, "rules[0].clears_above"),
        (14, "rules[0].severity"),
    ]
    assert run("check", *sorted(SHIPPED.glob("*.toml"))).exit_code == 0


def test_the_schema_is_one(rules: Path) -> None:
    document = json.loads(run("schema").stdout)
    assert document["title"].startswith("Rule file")
    assert "Threshold" in document["$defs"]


def test_a_recording_shows_what_would_be_raised(rules: Path) -> None:
    found = run("test", rules, "--recording", RECORDING, *EARLIER, "--json")

    assert found.exit_code == 0, found.output
    document: dict[str, Any] = json.loads(found.stdout)
    assert [(s["rule"], s["what"]) for s in document["said"]] == [
        ("too-cold", "raise"),
        ("too-cold", "clear"),
    ]
    assert document["said"][0]["time"].startswith("2013-12-16T")
    assert "limit of 50 °C" in document["said"][0]["summary"]
    assert [(n["rule"], n["reason"]) for n in document["not_applied"]] == [
        ("no-such-thing", "it has no quantity:pressure")
    ]


@pytest.mark.parametrize(
    ("expected", "code", "said"),
    [
        (f'[[expect]]\nrule = "too-cold"\nbetween = {RANGE}\n', 0, "1 expectations hold"),
        (f"[[expect_none]]\nbetween = {RANGE}\n", 1, "nothing was due of any rule between"),
        ('[[expect]]\nrule = "no-such-thing"\n', 1, "no-such-thing was not raised"),
        ('[[expect]]\nequipment = "P-101"\n', 1, "any rule on P-101 was not raised"),
        ('[[expect]]\nrule = "to-cold"\n', 2, "did you mean 'too-cold'?"),
        ('[[expect]]\n\n[[expect]]\nwhen = "now"\n', 2, "expect.toml:3: expect[1]: when"),
        ('[[expect]]\nbetween = ["2013-12-16"]\n', 2, "two times"),
        ("[[expected]]\n", 2, "there are [[expect]] and [[expect_none]]"),
        ("", 2, "it expects nothing"),
    ],
)
def test_what_is_expected_holds_or_fails(
    rules: Path, tmp_path: Path, expected: str, code: int, said: str
) -> None:
    expect = tmp_path / "expect.toml"
    expect.write_text(expected)

    found = run("test", rules, "--recording", RECORDING, *EARLIER, "--expect", expect)

    assert found.exit_code == code, found.output
    assert said in " ".join(found.output.split())


@pytest.mark.slow
def test_a_scenario_shows_what_ships_in_shadow() -> None:
    found = run("test", SHIPPED / "centrifugal_pump.toml", "--scenario", "cavitation", "--json")

    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["machines"] == ["P-101"]
    assert [(s["rule"], s["what"], s["mode"]) for s in document["said"]] == [
        ("suction-lost", "raise", "shadow")
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["test", "{rules}"], "--recording"),
        (["test", "{rules}", "--scenario", "no-such"], "--scenario"),
        (["test", "{rules}", "--recording", "no-such.csv"], "--recording"),
        (["test", "{rules}", "--scenario", "healthy"], "the plant has no 'recording'"),
        (["test", "no-such.toml", "--scenario", "healthy"], "no-such.toml"),
        (["apply", "no-such.toml"], "no-such.toml"),
        (["check", "no-such.toml"], "no-such.toml"),
    ],
)
def test_bad_input_is_named(rules: Path, arguments: list[str], named: str) -> None:
    found = run(*[a.format(rules=rules) for a in arguments])
    assert found.exit_code == 2, found.output
    assert named in found.output
    assert "Traceback" not in found.output


@pytest.mark.parametrize("command", ["list", "apply", "diff"])
def test_a_broker_that_is_not_there_is_named(
    rules: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_NATS_URL", "nats://127.0.0.1:1")
    found = run(command, *([] if command == "list" else [rules]))
    assert found.exit_code == 2, found.output
    assert "HEADRACE_NATS_URL" in found.output


def test_a_folder_of_rules_with_an_error_is_named(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.toml").write_text("version = 1\n")
    monkeypatch.setenv("HEADRACE_RULES_DIR", str(tmp_path))
    found = run("list")
    assert found.exit_code == 2, found.output
    assert "bad.toml:1: `equipment_class` is missing" in " ".join(found.output.split())
