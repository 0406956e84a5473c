"""What a backfill found, for people and for machines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.backfill.alarms import Alarm, Match
from headrace.backfill.rerun import Outcome
from headrace.backfill.span import Span, moment
from stream_processor.stages.wording import FEATURES, number

WORDS = ("added", "gone", "same")


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be told; `against` says what the alarms are compared with."""

    span: Span
    outcome: Outcome
    matches: list[Match]
    against: str
    wrong: list[str]
    stopped: bool = False

    @property
    def totals(self) -> dict[str, int]:
        """How many are added, gone, and the same."""
        return {word: sum(m.what == word for m in self.matches) for word in WORDS}

    def document(self) -> dict[str, Any]:
        """Return it for machines."""
        outcome = self.outcome
        return {
            "since": moment(self.span.since_ms),
            "until": moment(self.span.until_ms),
            "warm_up_s": (self.span.since_ms - self.span.start_ms - self.span.short_ms) / 1000,
            "stopped": self.stopped,
            "against": self.against,
            **self.totals,
            "alarms": [
                {
                    "what": match.what,
                    "now": [_alarm(alarm) for alarm in match.now],
                    "then": [_alarm(alarm) for alarm in match.then],
                }
                for match in self.matches
            ],
            "not_applied": [
                {"equipment": key, "rule": rule, "reason": reason}
                for (key, rule), reason in outcome.unbound.items()
            ],
            "messages": outcome.messages,
            "observations": outcome.observations,
            "machines": sorted(outcome.spans),
            "blocks": outcome.counts["frames"],
            "late_blocks": outcome.counts["late_frames"],
            "lost": outcome.counts["lost"],
            "waiting": outcome.waiting,
            "dead_letters": dict(outcome.dead_letters),
            "wrong": self.wrong,
        }

    def show(self, console: Console, notices: Console) -> None:
        """Print it for people."""
        outcome, span = self.outcome, self.span
        if self.matches:
            table = Table(
                "", "rule", "equipment", "channel", "severity", "raised", "cleared", "evidence",
                self.against, box=None,
            )  # fmt: skip
            for match in self.matches:
                table.add_row(*map(escape, _row(match)))
            console.print(table)
        for (key, rule), reason in outcome.unbound.items():
            notices.print(f"[yellow]{escape(rule)} does not apply to {key}:[/] {escape(reason)}")
        if span.short_ms:
            held = (span.since_ms - span.start_ms - span.short_ms) / 60_000
            notices.print(
                f"[yellow]the log holds only {held:.0f} minutes of before the range:[/]"
                " what looks further back had begun anew"
            )
        for line in _doubts(outcome):
            notices.print(f"[yellow]{line}[/]")
        added, gone, same = self.totals.values()
        typer.echo(
            f"{added} added, {gone} gone, {same} the same against {self.against}, in"
            f" {outcome.counts['frames']} blocks stored"
            f" {moment(span.since_ms)} to {moment(span.until_ms)},"
            f" machines judged: {', '.join(sorted(outcome.spans)) or 'none'}"
        )
        for line in self.wrong:
            typer.echo(f"not as expected: {line}")


def _doubts(outcome: Outcome) -> list[str]:
    """Return what of the range was not judged, and why."""
    found = []
    if outcome.dead_letters:
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(outcome.dead_letters.items()))
        found.append(f"{outcome.dead_letters.total()} would be dead letters: {reasons}")
    if outcome.dead_letters["NO_BIRTH"]:
        found.append("births of NO_BIRTH are older than the log: one of the same boot serves")
    for name, what in (
        ("late_frames", "blocks were late: no rule judges them"),
        ("lost", "batches were lost, or came after the range"),
    ):
        if outcome.counts[name]:
            found.append(f"{outcome.counts[name]} {what}")
    if outcome.waiting:
        found.append(f"{outcome.waiting} batches still waited for others when the range ended")
    if outcome.messages and not outcome.spans:
        found.append("no machine of these classes was there to be judged")
    return found


def _row(match: Match) -> tuple[str, ...]:
    alarm, said = match.first, match.first.said
    what = match.what + (" (shadow)" if said.shadow else "")
    channel = said.reading.channel if said.reading else ""
    return (
        what,
        said.rule,
        f"{said.site}/{said.equipment}",
        channel,
        said.severity,
        moment(alarm.raised_ms) + (" (before)" if alarm.before else ""),
        "stands" if alarm.cleared_ms is None else moment(alarm.cleared_ms),
        _evidence(alarm),
        _compared(match),
    )


def _evidence(alarm: Alarm) -> str:
    reading = alarm.said.reading
    if reading is None or not math.isfinite(reading.value):
        return ""
    shown = f"{FEATURES.get(reading.feature, '')} {number(reading.value, reading.unit)}".strip()
    if math.isfinite(reading.limit):
        shown += f" at {number(reading.limit, reading.unit)}"
    return shown


def _compared(match: Match) -> str:
    """Return in words what there was then."""
    if not match.then:
        return "not raised"
    said = "raised" if len(match.then) == 1 else f"{len(match.then)} alarms, the first"
    if match.then[0].said.shadow:
        said += " in shadow"
    if match.now:
        seconds = match.later_ms / 1000
        when = f"{abs(seconds):.0f} s {'earlier' if seconds > 0 else 'later'}"
        said += f" {when}" if seconds else " at the same time"
    return said


def _alarm(alarm: Alarm) -> dict[str, Any]:
    said, reading = alarm.said, alarm.said.reading
    return {
        "rule": said.rule,
        "site": said.site,
        "equipment": said.equipment,
        "mode": "shadow" if said.shadow else "active",
        "severity": said.severity,
        "version": said.version,
        "raised": said.time.isoformat(),
        "raised_before_range": alarm.before,
        "cleared": None if alarm.cleared_ms is None else _time(alarm.cleared_ms),
        "summary": said.summary,
        "evidence": None
        if reading is None
        else {
            "channel": reading.channel,
            "feature": reading.feature,
            "unit": reading.unit,
            "value": _finite(reading.value),
            "limit": _finite(reading.limit),
        },
    }


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
