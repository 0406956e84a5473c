"""The command that measures detection: on sets of recordings, and on any file."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from headrace.terminal import fail, notices, progress_bar, table_console, update

if TYPE_CHECKING:
    from benchmarks.detection.result import Result
    from stream_processor.evaluation.report import Judged

AS_CSV = "csv"


def utc_text(time_ms: int) -> str:
    """Return milliseconds since the epoch as RFC 3339."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def evaluate(
    what: Annotated[
        list[str], typer.Argument(metavar="SET...|all|csv PATH", help="Sets, or a file of yours.")
    ],
    time: Annotated[str | None, typer.Option(help="csv: the column with the times.")] = None,
    labels: Annotated[str | None, typer.Option(help="csv: the column of 0 and 1.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="csv: a column no detector may see.")
    ] = None,
    train_rows: Annotated[
        int, typer.Option(help="csv: rows at the start on which thresholds are fixed.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
) -> None:
    """Measure what the stages of the flow find in recordings.

    `headrace evaluate nab skab`, `headrace evaluate all`, or `headrace evaluate csv PATH`.
    """
    if what[0] != AS_CSV:
        if time or labels or ignore or train_rows:
            raise fail("--time, --labels, --ignore and --train-rows are for `evaluate csv PATH`")
        _sets(what, as_json, report)
    elif len(what) == 2:
        _csv(Path(what[1]), time, labels, ignore or [], train_rows, as_json, report)
    else:
        raise fail("csv: one PATH is due")


def _warm_up() -> None:
    from stream_processor.kernels import warm_up

    # The standard output is for results alone.
    with redirect_stdout(sys.stderr):
        warm_up()


def _sets(names: list[str], as_json: bool, report: Path | None) -> None:
    try:
        from benchmarks.detection import sets
        from benchmarks.detection.result import NoDataError
    except ImportError as error:
        raise fail("the sets need a checkout of Headrace; `evaluate csv PATH` does not") from error
    wanted = list(sets.SETS) if names == ["all"] else names
    for name in wanted:
        if name not in sets.SETS:
            raise fail(f"SET: there is no set {name!r}; there are {', '.join(sets.SETS)}")
    _warm_up()
    results: list[Result] = []
    judged: list[Judged] = []
    absent = 0
    for name in wanted:
        try:
            with progress_bar(name) as bar:
                found = sets.run(name, _shown(bar))
        except (NoDataError, sets.NotMeasuredError) as error:
            absent += 1
            notices.print(f"[yellow]{escape(str(error))}[/]", soft_wrap=True)
            continue
        results += found.results
        judged += found.judged if report else []
        if as_json:
            for one in found.results:
                typer.echo(json.dumps(_finite(one.document())))
    header = ("set", "metric", "score", "blind", "published", "source")
    rows = [_row(one) for one in results]
    if not as_json and rows:
        table = Table(*header, box=None)
        for row in rows:
            table.add_row(*map(escape, row))
        table_console().print(table)
    if report is not None:
        _write(report, "Detection, measured", header, rows, judged)
    if absent and (not results or names != ["all"]):
        raise typer.Exit(1)


def _row(one: Result) -> tuple[str, ...]:
    blind = ", ".join(f"{name} {score:.3g}" for name, score in one.blinds.items())
    published = one.published
    return (
        one.set,
        one.metric,
        f"{one.score:.4g}",
        blind,
        f"{published.score:.4g}" if published else "",
        published.source if published else "",
    )


def _csv(
    path: Path,
    time: str | None,
    labels: str | None,
    ignore: list[str],
    train_rows: int,
    as_json: bool,
    report: Path | None,
) -> None:
    from stream_processor.evaluation import table as tables
    from stream_processor.evaluation.report import Judged
    from stream_processor.evaluation.run import run
    from stream_processor.evaluation.summary import summarise

    try:
        recording = tables.read(path, time, labels, ignore, train_rows)
    except tables.TableError as error:
        raise fail(escape(str(error))) from error
    for notice in recording.notices:
        notices.print(f"[yellow]{escape(notice)}[/]")
    _warm_up()
    with progress_bar(path.name) as bar:
        outcome = run(recording, _shown(bar))
    summary = summarise(recording, outcome) if recording.labels is not None else None
    document: dict[str, Any] = {
        "recording": recording.name,
        "rows": recording.rows,
        "channels": [c.name for c in recording.channels],
        "notices": list(recording.notices),
        "seconds": round(outcome.seconds, 3),
        "limit": round(outcome.limit, 6),
        "scores": [
            {"row": row, "time": utc_text(at), "score": round(score, 6)}
            for row, (at, score) in enumerate(
                zip(recording.time_ms.tolist(), outcome.scores.tolist(), strict=True)
            )
        ],
        "alarms": [
            {
                "raised": utc_text(a.raised_ms),
                "raised_row": a.raised_row,
                "cleared": None if a.cleared_ms is None else utc_text(a.cleared_ms),
                "cleared_row": a.cleared_row,
                "channel": a.channel,
                "failure_mode": a.mode,
                "severity": a.severity,
                "rule": a.rule,
                "sentence": a.sentence,
            }
            for a in outcome.alarms
        ],
        "metrics": None,
    }
    rows: list[tuple[str, str]] = []
    if summary is not None:
        document["metrics"] = _finite({"threshold": summary.threshold, **summary.figures})
        rows = [("threshold", f"{summary.threshold:.4g}")]
        rows += [(name, f"{value:.4g}") for name, value in summary.figures.items()]
    if report is not None:
        _write(report, path.name, ("metric", "value"), rows, [Judged(recording, outcome, summary)])
    if as_json:
        typer.echo(json.dumps(document))
        return
    for alarm in outcome.alarms:
        cleared = "" if alarm.cleared_ms is None else f" to {utc_text(alarm.cleared_ms)}"
        typer.echo(f"{utc_text(alarm.raised_ms)}{cleared}  {alarm.severity}  {alarm.sentence}")
    typer.echo(
        f"{len(outcome.alarms)} alarms in {recording.rows} rows; the highest score is "
        f"{outcome.scores.max():.2f} (alarms from {outcome.limit:.2f}), `--json` has all"
    )
    for name, text in rows:
        typer.echo(f"{name:<30} {text}")


def _finite(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document in which what is no number is null, as JSON has it."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in document.items()
    }


def _shown(bar: Any) -> Callable[[int, int], None]:
    return lambda done, of: update(bar, "blocks", done, of)


def _write(path: Path, title: str, header: Any, rows: list[Any], judged: list[Judged]) -> None:
    from stream_processor.evaluation.report import page

    try:
        path.write_text(page(title, header, rows, judged), encoding="utf-8")
    except OSError as error:
        raise fail(f"--report: {path}: {error.strerror or error}") from error
