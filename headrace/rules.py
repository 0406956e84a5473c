"""Commands for rules that users write: check, test, put in force, see."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from headrace.rule_inputs import read_rules, surroundings
from headrace.terminal import fail, notices, progress_bar, table_console, update

if TYPE_CHECKING:
    from headrace.rule_expectations import Expectation
    from headrace.rule_testing import Material, Outcome
    from stream_processor.rules.rule_file import RuleFile

app = typer.Typer(no_args_is_help=True, help="Rules that alarm beside what models find.")
RuleFilePath = Annotated[Path, typer.Argument(help="A rule file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Rule files.")], as_json: AsJson = False
) -> None:
    """Explain every error of rule files by line."""
    from stream_processor.rules import rule_file
    from stream_processor.rules.problems import Problem, RuleFileError

    found: list[tuple[Path, Problem]] = []
    for path in files:
        try:
            good = rule_file.read(path)
        except RuleFileError as error:
            found += [(path, problem) for problem in error.problems]
        except OSError as error:
            raise fail(f"FILE: {escape(str(error))}") from error
        else:
            if not as_json:
                typer.echo(f"{path}: good, {len(good.rules)} rules of {good.equipment_class}")
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {"file": str(p), "line": e.line, "field": e.field, "message": e.message}
                    for p, e in found
                ]
            )
        )
    else:
        for path, problem in found:
            typer.echo(problem.at(str(path)))
    raise typer.Exit(1 if found else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule file, for an editor."""
    from stream_processor.rules import definitions

    typer.echo(json.dumps(definitions.schema(), indent=2))


@app.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """Show which rules are in force, of which version and since when."""
    from headrace import rule_log

    settings, starting = surroundings()
    try:
        entries = asyncio.run(rule_log.in_force(settings))
    except rule_log.RuleLogError as error:
        raise fail(escape(str(error))) from error
    rows: list[dict[str, Any]] = []
    for name in sorted({*starting.files, *entries}):
        entry = entries.get(name)
        file = entry.file if entry else starting.of(name)
        for rule in file.rules:
            rows.append(
                {
                    "equipment_class": name,
                    "version": file.version,
                    "since": entry.time.isoformat() if entry else None,
                    "log_sequence": entry.log_sequence if entry else None,
                    "rule": rule.id,
                    "kind": type(rule.table).__struct_config__.tag,
                    "mode": "shadow" if rule.shadow else "active",
                    "severity": rule.table.severity,
                    "summary": rule.table.summary,
                }
            )
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo("no rules are in force; write a file and put it in force: headrace rules apply")
        return
    table = Table("class", "version", "since", "rule", "kind", "mode", "severity", "what", box=None)
    for row in rows:
        since = f"{row['since'][:19]}Z" if row["since"] else "the start"
        cells = (
            row["equipment_class"], str(row["version"]), since, row["rule"], row["kind"],
            row["mode"], row["severity"], row["summary"],
        )  # fmt: skip
        table.add_row(*map(escape, cells))
    table_console().print(table)


@app.command()
def diff(file: RuleFilePath, as_json: AsJson = False) -> None:
    """Show what would change if a file were put in force; exit 1 when something would."""
    from headrace import rule_log
    from stream_processor.rules.comparison import compare

    new = read_rules(file)
    settings, starting = surroundings()
    try:
        entries = asyncio.run(rule_log.in_force(settings))
    except rule_log.RuleLogError as error:
        raise fail(escape(str(error))) from error
    entry = entries.get(new.equipment_class)
    old = entry.file if entry else starting.of(new.equipment_class)
    changes = compare(old, new)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {"rule": c.rule, "what": c.what, "judged": c.judged, "fields": c.fields}
                    for c in changes
                ]
            )
        )
    else:
        typer.echo(f"{new.equipment_class}: version {old.version} → {new.version}")
        for change in changes:
            kept = "" if change.judged else " (judged as before)"
            typer.echo(f"{change.what:<8} {change.rule}{kept}")
            for name, (before, after) in change.fields.items():
                typer.echo(f"         {name}: {before} → {after}")
        if not changes:
            typer.echo("no rule changes")
    raise typer.Exit(1 if changes else 0)


@app.command()
def apply(
    file: RuleFilePath,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="All of its rules in shadow: counted, not raised.")
    ] = False,
) -> None:
    """Put a rule file in force for what comes into the log from now on."""
    from headrace import rule_log
    from stream_processor.rules.rule_file import in_shadow, rule_file

    given = read_rules(file)
    if shadow:
        given = rule_file(in_shadow(given.text))
    settings, starting = surroundings()
    try:
        entry = asyncio.run(rule_log.apply(settings, given, starting.of(given.equipment_class)))
    except rule_log.RuleLogError as error:
        raise fail(escape(str(error))) from error
    of = f"version {given.version} of {given.equipment_class}"
    if entry is None:
        typer.echo(f"{of} is in force already")
        return
    active = sum(not rule.shadow for rule in given.rules)
    typer.echo(
        f"{of} is in force from message {entry.log_sequence} of the log on:"
        f" {active} rules active, {len(given.rules) - active} in shadow"
    )


@app.command("test")
def try_out(
    file: RuleFilePath,
    recording: Annotated[
        Path | None, typer.Option(help="A CSV or Parquet file, taken for one machine.")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="A scenario of the simulated plant.")] = None,
    equipment_class: Annotated[
        str | None, typer.Option("--class", help="Judge machines of this class by the rules.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the plant's chance.")] = 1,
    time: Annotated[str | None, typer.Option(help="The recording's column of times.")] = None,
    sep: Annotated[str | None, typer.Option(help="What separates its columns.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Event time to begin at, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Event time to end before, UTC.")] = None,
    expect: Annotated[Path | None, typer.Option(help="A file of what is to be raised.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a rule file would raise and clear, and when; exit 1 when it is not as expected."""
    from dataclasses import replace

    import structlog

    from edge_agent.drivers import OptionsError
    from headrace import rule_expectations, rule_testing

    # What a driver says on the way is no part of the result.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    rules = read_rules(file)
    if equipment_class is not None:
        rules = replace(rules, equipment_class=equipment_class)
    material = _material(rules, recording, scenario, seed, time, sep)
    low, high = (None if t is None else t.replace(tzinfo=UTC) for t in (since, until))
    try:
        expected = rule_expectations.read(expect, [r.id for r in rules.rules]) if expect else []
        with progress_bar(file.name) as bar:
            outcome = rule_testing.run(
                rules,
                rule_testing.between(material, low, high),
                lambda done, of: update(bar, "blocks", done, of),
            )
    except (OptionsError, rule_testing.NothingToTestError) as error:
        raise fail(escape(str(error))) from error
    except (rule_expectations.ExpectationError, OSError) as error:
        raise fail(f"--expect: {escape(str(error))}") from error
    wrong = rule_expectations.disappointed(expected, outcome.raised)
    if as_json:
        typer.echo(json.dumps(_document(outcome, wrong)))
    else:
        _show(outcome, expected, wrong)
    raise typer.Exit(1 if wrong else 0)


def _material(
    rules: RuleFile,
    recording: Path | None,
    scenario: str | None,
    seed: int,
    time: str | None,
    sep: str | None,
) -> Material:
    from edge_agent.drivers import OptionsError
    from firmware_sim.scenarios import SCENARIOS
    from headrace import rule_testing

    if (recording is None) == (scenario is None):
        raise fail("give --recording or --scenario: what the rules are to be tested on")
    try:
        if scenario is not None:
            if scenario not in SCENARIOS:
                raise fail(
                    f"--scenario: there is no {scenario!r}; there are {', '.join(SCENARIOS)}"
                )
            return rule_testing.scenario(scenario, seed, rules)
        assert recording is not None
        if not recording.is_file():
            raise fail(f"--recording: there is no file {recording}")
        return rule_testing.recording(recording, time, sep, rules)
    except (OptionsError, rule_testing.NothingToTestError) as error:
        raise fail(escape(str(error))) from error


def _document(outcome: Outcome, wrong: list[str]) -> dict[str, Any]:
    return {
        "machines": outcome.machines,
        "observations": outcome.observations,
        "said": [
            {
                "time": said.time.isoformat(),
                "equipment": said.equipment,
                "rule": said.rule,
                "what": said.transition,
                "mode": "shadow" if said.shadow else "active",
                "severity": said.severity,
                "summary": said.summary,
            }
            for said in outcome.said
        ],
        "not_applied": [
            {"equipment": tag, "rule": rule, "reason": reason}
            for (tag, rule), reason in outcome.unbound.items()
        ],
        "wrong": wrong,
    }


def _show(outcome: Outcome, expected: list[Expectation], wrong: list[str]) -> None:
    words = {"raise": "raised", "update": "updated", "clear": "cleared"}
    if outcome.said:
        table = Table("time", "rule", "severity", "what", "summary", box=None)
        for said in outcome.said:
            what = words[said.transition] + (" (shadow)" if said.shadow else "")
            cells = (f"{said.time:%Y-%m-%d %H:%M:%S}", said.rule, said.severity, what, said.summary)
            table.add_row(*map(escape, cells))
        table_console().print(table)
    for (tag, rule), reason in outcome.unbound.items():
        notices.print(f"[yellow]{escape(rule)} does not apply to {tag}:[/] {escape(reason)}")
    machines = ", ".join(outcome.machines)
    typer.echo(f"{len(outcome.raised)} raised in {outcome.observations} observations of {machines}")
    for line in wrong:
        typer.echo(f"not as expected: {line}")
    if expected and not wrong:
        typer.echo(f"{len(expected)} expectations hold")
