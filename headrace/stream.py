"""Commands for what went through the flow: rerun a range of the log through other rules."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.progress import Progress

from headrace.dead_letters import ADDRESS, Server, Token
from headrace.moments import moment_of, span_of
from headrace.rule_inputs import read_rules, surroundings
from headrace.terminal import fail, notices, progress_bar, table_console

if TYPE_CHECKING:
    from headrace.backfill.alarms import Alarm
    from headrace.backfill.rerun import Outcome
    from headrace.backfill.run import Backfill, Wanted

app = typer.Typer(no_args_is_help=True, help="What went through the flow, and would again.")
INTERRUPTED = 130
# How often the pace is told.
PACE_S = 0.2


@app.callback()
def stream() -> None:
    """What went through the flow, and would again."""


@app.command()
def backfill(
    since: Annotated[str, typer.Option(help="Stored since: `2h` (ago), or a time in RFC 3339.")],
    until: Annotated[str, typer.Option(help="Stored before: as --since; now by default.")] = "",
    rules: Annotated[
        list[Path], typer.Option(help="A rule file to try; may be given again, one a class.")
    ] = [],  # noqa: B006
    as_applied: Annotated[
        bool, typer.Option("--rules-as-applied", help="Try none: the rules that were in force.")
    ] = False,
    against: Annotated[
        Literal["rules", "alarms"],
        typer.Option(help="Compare with what the rules in force say, or the server's alarms."),
    ] = "rules",
    rule: Annotated[list[str], typer.Option(help="Of this rule only; may be given again.")] = [],  # noqa: B006
    site: Annotated[str, typer.Option(help="Of this site only.")] = "",
    node: Annotated[str, typer.Option(help="Of this edge node only.")] = "",
    equipment: Annotated[
        list[str], typer.Option(help="Of these tags only, `*` for anything; may be given again.")
    ] = [],  # noqa: B006
    warm_up: Annotated[
        str, typer.Option(help="Read so much before --since, such as 2h; what the rules need.")
    ] = "",
    rate: Annotated[float | None, typer.Option(min=0.1, help="Messages a second at most.")] = None,
    expect: Annotated[Path | None, typer.Option(help="A file of what is to be raised.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    server: Server = ADDRESS,
    token: Token = "",
) -> None:
    """Say what rules would have alarmed in a range of the log, beside what was; without effects.

    Exit 1 when it is not as expected.
    """
    import structlog

    from headrace import rule_expectations
    from headrace.backfill.alarms import compare
    from headrace.backfill.report import Report
    from headrace.backfill.run import Backfill, Wanted
    from stream_processor.rules.rule_file import RuleFile

    # What stages say on the way is no part of the result.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    if bool(rules) == as_applied:
        raise fail("give --rules FILE to try, or --rules-as-applied")
    tried: dict[str, RuleFile] = {}
    for path in rules:
        file = read_rules(path)
        if file.equipment_class in tried:
            raise fail(f"--rules: two files are for {file.equipment_class!r}: give one")
        tried[file.equipment_class] = file
    now = datetime.now(UTC)
    wanted = Wanted(
        _moment_ms("--since", since, now),
        _moment_ms("--until", until or "0s", now),
        _seconds(warm_up) if warm_up else None,
        tried,
        tuple(rule),
        site,
        node,
        tuple(equipment),
        rate,
    )
    settings, starting = surroundings()
    known = [r.id for f in (*tried.values(), *starting.files.values()) for r in f.rules]
    try:
        expected = rule_expectations.read(expect, known) if expect else []
    except (rule_expectations.ExpectationError, OSError) as error:
        raise fail(f"--expect: {escape(str(error))}") from error
    run = Backfill(settings, starting, wanted)
    outcome, stopped = _outcome(run)
    then = outcome.then
    if against == "alarms":
        then = _alarms_of_server(server, token, outcome, wanted)
    assert run.span is not None
    raised = [alarm.said for alarm in outcome.now if not alarm.before]
    report = Report(
        run.span,
        outcome,
        compare(then, outcome.now),
        "the alarms there were" if against == "alarms" else "the rules in force",
        rule_expectations.disappointed(expected, raised),
        stopped,
    )
    if as_json:
        typer.echo(json.dumps(report.document()))
    else:
        report.show(table_console(), notices)
    if stopped:
        notices.print("[yellow]interrupted:[/] this is of the range as far as it was read")
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if report.wrong else 0)


def _moment_ms(option: str, text: str, now: datetime) -> int:
    try:
        return round(datetime.fromisoformat(moment_of(text, now)).timestamp() * 1000)
    except ValueError as error:
        raise fail(f"{option}: {escape(str(error))}") from error


def _seconds(text: str) -> float:
    try:
        seconds = span_of(text).total_seconds()
    except ValueError as error:
        raise fail(f"--warm-up: {escape(str(error))}") from error
    if seconds < 0:
        raise fail(f"--warm-up: {text!r} is less than nothing")
    return seconds


def _outcome(run: Backfill) -> tuple[Outcome, bool]:
    """Return what came of it, and whether it was interrupted."""
    from headrace.backfill.run import UnknownRuleError
    from headrace.backfill.span import SpanError
    from headrace.rule_log import RuleLogError

    try:
        with progress_bar("messages") as bar:
            return asyncio.run(run.run(_pace(bar))), False
    except (RuleLogError, SpanError) as error:
        raise fail(escape(str(error))) from error
    except UnknownRuleError as error:
        raise fail(f"--rule: {escape(str(error))}") from error
    except KeyboardInterrupt:
        if not run.reached_ms:
            notices.print("interrupted before the first message")
            raise typer.Exit(INTERRUPTED) from None
        return run.outcome(), True


def _pace(bar: Progress) -> Callable[[int, int, int], None]:
    """Return what shows progress, messages a second and how many times faster than they came."""
    begun = told = time.monotonic()
    first_ms: int | None = None

    def show(done: int, of: int, reached_ms: int) -> None:
        nonlocal told, first_ms
        if first_ms is None:
            first_ms = reached_ms
        now = time.monotonic()
        if now - told < PACE_S and done < of:
            return
        told, elapsed = now, max(now - begun, 1e-3)
        faster = (reached_ms - first_ms) / 1000 / elapsed
        pace = f"{done / elapsed:,.0f} messages/s, {faster:,.0f} × real time"
        bar.update(bar.tasks[0].id, completed=done, total=of, pace=pace)

    return show


def _alarms_of_server(server: str, token: str, outcome: Outcome, wanted: Wanted) -> list[Alarm]:
    import httpx

    from headrace.backfill.server_alarms import server_alarms
    from headrace.client import ApiClient, ApiError

    names = set(wanted.rules)
    try:
        with ApiClient(server, token=token) as api:
            alarms = server_alarms(api, outcome.spans)
    except (ApiError, httpx.TransportError) as error:
        raise fail(f"{server}: {escape(str(error))}") from error
    return [alarm for alarm in alarms if not names or alarm.said.rule in names]
