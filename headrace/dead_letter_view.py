"""How dead letters look in a terminal."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

HEX_ROW = 16


def show_all(letters: Sequence[dict[str, Any]]) -> None:
    """Print a table of dead letters."""
    table = Table(box=None, pad_edge=False)
    for title in ("NAME", "RECEIVED", "REASON", "STATE", "WHERE", "WHAT WAS WRONG"):
        table.add_column(title, overflow="fold")
    for one in letters:
        where = "/".join(filter(None, (one.get(k, "") for k in ("site", "edgeNode", "equipment"))))
        table.add_row(
            one["name"].removeprefix("deadLetters/"),
            one.get("receiveTime", "")[:19],
            one["reason"],
            state(one),
            escape(where),
            escape(one.get("detail", "")),
        )
    Console(soft_wrap=False).print(table)


def state(letter: dict[str, Any]) -> str:
    """Return its state, and what came of a replay."""
    known = str(letter.get("state", "")).removeprefix("DEAD_LETTER_STATE_").lower()
    became = str(letter.get("outcome", "")).removeprefix("REPLAY_OUTCOME_").lower()
    said = {"taken": "took effect", "set_aside": "set aside again", "waiting": "under way"}
    return f"{known}, {said[became]}" if became in said else known


def show(letter: dict[str, Any], as_hex: bool) -> None:
    """Print all of one; with `as_hex` its bytes too."""
    payload = base64.b64decode(letter.get("payload", ""))
    for title, value in (
        ("reason", f"{letter['reason']}: {letter.get('explanation', '')}"),
        ("detail", letter.get("detail", "")),
        ("what to do", letter.get("advice", "")),
        ("state", state(letter)),
        ("topic", letter.get("topic", "")),
        ("received", letter.get("receiveTime", "")),
        ("in the log", f"{letter.get('logSequence', '0')}, trace {letter.get('traceId', '')}"),
        ("replay of", letter.get("replayOf", "")),
        ("no replay", letter.get("replayRefusal", "")),
    ):
        if value:
            typer.echo(f"{title:<11} {value}")
    typer.echo(f"{'payload':<11} {len(payload)} bytes")
    _show_decoded(letter.get("decoded", {}))
    if as_hex:
        for offset in range(0, len(payload), HEX_ROW):
            row = payload[offset : offset + HEX_ROW]
            text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
            typer.echo(f"  {offset:06x}  {row.hex(' '):<47}  {text}")
    for step in letter.get("history", []):
        typer.echo(
            f"{step['action'].lower():<11} {step['time']} by {step['principal']}:"
            f" {step['reason']}  {outcome(step)}"
        )
        show_changes(step.get("changes", []))


def outcome(step: dict[str, Any]) -> str:
    """Return what became of what was done, empty when it is not known."""
    said = step.get("outcomeDetail", "")
    became = step.get("next", "")
    return f"→ {became or said}" if became or said else ""


def _show_decoded(decoded: dict[str, Any]) -> None:
    for metric in decoded.get("metrics", []):
        name = metric.get("name") or f"alias:{metric.get('alias', '?')}"
        value = metric.get("value", "null" if metric.get("isNull") else "")
        count = metric.get("count", 0)
        more = f" … {count} values" if count else ""
        problem = f"  ({metric['problem']})" if metric.get("problem") else ""
        typer.echo(
            f"  {metric.get('offset', 0):06x}  {name}: {metric.get('datatype', '')}"
            f" {metric.get('timestamp', '')} {value}{more}{problem}"
        )
    for line in decoded.get("text", "").splitlines():
        typer.echo(f"  {line}")
    if fault := decoded.get("fault"):
        typer.echo(f"  {fault.get('offset', 0):06x}  reading ends: {fault.get('detail', '')}")


def show_changes(changes: Sequence[dict[str, Any]]) -> None:
    """Print what a fix changes, one a line."""
    for change in changes:
        typer.echo(f"  {change['what']}: {change.get('before', '')} → {change.get('after', '')}")
