"""Which stretch of the log is read, and how much before it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.rule_testing import asks_models
from stream_processor.rules.binding import spans_of
from stream_processor.rules.rule_file import RuleFile

# Gaps are waited for and given up within six minutes, and alarms that chatter settle.
LEAST_WARM_UP_S = 600.0
# Expectations are judged after 40 blocks and follow load and time of day.
MODELS_WARM_UP_S = 86_400.0


class SpanError(ValueError):
    """The log does not hold what was asked for; the message says what it holds."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the log holds: sequences and times of its first and last message, in milliseconds."""

    messages: int
    first_sequence: int
    last_sequence: int
    first_ms: int
    last_ms: int

    def __str__(self) -> str:
        if not self.messages:
            return "the log holds nothing"
        return f"the log holds {moment(self.first_ms)} to {moment(self.last_ms)}"


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the log by the times of storing, and where the warm-up before it begins.

    All in milliseconds since the epoch; `until_ms` is not in the range. `short_ms` is how much of
    the warm-up the log does not hold any more.
    """

    start_ms: int
    since_ms: int
    until_ms: int
    short_ms: int = 0


def moment(time_ms: float) -> str:
    """Return a time in RFC 3339, to the second."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def span(held: Held, since_ms: int, until_ms: int, warm_up_s: float) -> Span:
    """Return what is to be read.

    Raises:
        SpanError: the range is empty, or the log holds nothing of it, or not its beginning.
    """
    if since_ms >= until_ms:
        raise SpanError("--since is not before --until")
    if not held.messages or since_ms > held.last_ms or until_ms <= held.first_ms:
        raise SpanError(f"nothing was stored in this range: {held}")
    forgot = held.first_sequence > 1
    if forgot and since_ms < held.first_ms:
        raise SpanError(f"--since is before what the log still holds: {held}")
    start_ms = since_ms - round(warm_up_s * 1000)
    short_ms = max(held.first_ms - start_ms, 0) if forgot else 0
    return Span(start_ms, since_ms, min(until_ms, held.last_ms + 1), short_ms)


def warm_up_s(files: Iterable[RuleFile]) -> float:
    """Return how long before a range these rules have to be fed, in seconds.

    As long as the longest window, the longest wait for an operating mode and the longest delay
    one after the other; a day when a rule asks models.
    """
    longest = LEAST_WARM_UP_S
    for file in files:
        modes = max((mode.for_ms / 1000 for mode in file.modes.values()), default=0.0)
        for rule in file.rules:
            delays = rule.table.on_delay_s + rule.table.off_delay_s
            longest = max(longest, max(spans_of(rule), default=0.0) + modes + delays)
        if asks_models(file):
            longest = max(longest, MODELS_WARM_UP_S)
    return longest
