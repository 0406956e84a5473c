"""Levels of detail: what is kept how long, and which level answers a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

# Before any time a contract can say; after it when negated.
BEGINNING_MS = -(10**17)

# From, and up to but not including, milliseconds since the epoch.
Range = tuple[int, int]

# Each from a minute on is a multiple of a minute, each from an hour on of an hour: a roll-up never
# lies across the edge of a bucket.
WIDTHS_MS: tuple[int, ...] = (
    *(n * 10**power for power in range(3) for n in (1, 2, 5)),
    *(n * SECOND_MS for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * MINUTE_MS for n in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(n * HOUR_MS for n in (1, 2, 3, 4, 6, 8, 12)),
    *(n * DAY_MS for n in (1, 2, 4, 7, 14, 28)),
    *(DAY_MS * 28 * 2**power for power in range(1, 32)),
)


class Level(IntEnum):
    """How fine: the value is the width of a roll-up's windows in milliseconds, 0 for points."""

    RAW = 0
    MINUTE = MINUTE_MS
    HOUR = HOUR_MS

    @property
    def finer(self) -> Level:
        """The level that this one is made of."""
        return Level.MINUTE if self is Level.HOUR else Level.RAW


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each level is kept, in days of event time; 0 is for ever.

    Points and roll-ups are counted back from the newest point of their series, waveforms from the
    newest of their equipment: a simulation and a recording have clocks of their own, and a machine
    that stopped keeps its last days. `waveform_bytes` and `total_bytes` bound the disk besides.
    """

    raw_days: int = 30
    minute_days: int = 366
    hour_days: int = 0
    waveform_days: int = 90
    waveform_bytes: int = 1024**3
    total_bytes: int = 16 * 1024**3

    def __post_init__(self) -> None:
        """Refuse a coarse level that would go before the finer one it is made of.

        Raises:
            ValueError: it would, or a number is negative.
        """
        ages = [days or 10**9 for days in (self.raw_days, self.minute_days, self.hour_days)]
        if ages != sorted(ages):
            raise ValueError("each level is to be kept no shorter than the finer one")
        if min(*ages, self.waveform_days, self.waveform_bytes, self.total_bytes) < 0:
            raise ValueError("an age or size is negative")


@dataclass(frozen=True, slots=True)
class Floors:
    """Times before which there are no points, and no minutes, any more: starts of hours."""

    raw_ms: int
    minute_ms: int


@dataclass(frozen=True, slots=True)
class Segment:
    """What is read from one level: the windows, or points, that begin in `start_ms` to `end_ms`."""

    level: Level
    start_ms: int
    end_ms: int


def bucket_width(span_ms: int, max_points: int) -> int:
    """Return the least width that cuts any range of that length into at most `max_points` buckets.

    Wherever the range begins, so that panning does not change the width. For one bucket only there
    is none that does: the whole is one.

    >>> bucket_width(24 * 3_600_000, 2000)
    60000
    """
    for width in WIDTHS_MS:
        if (span_ms - 1) // width + 2 <= max_points:
            return width
    return WIDTHS_MS[-1]


def level_of(width_ms: int) -> Level:
    """Return the coarsest level whose windows fit into buckets of that width."""
    for level in (Level.HOUR, Level.MINUTE):
        if width_ms % level == 0:
            return level
    return Level.RAW


def segments(
    level: Level, within: Range, floors: Floors, hidden: Sequence[Range] = ()
) -> Iterator[Segment]:
    """Yield what to read for a range, in order of time, none of it twice.

    Windows that lie in the range in part come from finer levels, as far as these are kept: where
    they are not, a window belongs to where it begins. `hidden` are ranges, in order, that are to be
    read point by point; none lies before the floor of points.
    """
    start_ms, end_ms = within
    edges = (BEGINNING_MS, floors.minute_ms, floors.raw_ms, -BEGINNING_MS)
    for finest, lower, upper in zip(
        (Level.HOUR, Level.MINUTE, Level.RAW), edges[:-1], edges[1:], strict=True
    ):
        start, end = max(start_ms, lower), min(end_ms, upper)
        if start >= end:
            continue
        for first, last in hidden if finest is Level.RAW else ():
            first, last = max(start, first), min(end, last)
            if first < last:
                yield from _part(max(level, finest), finest, start, first)
                yield Segment(Level.RAW, first, last)
                start = last
        yield from _part(max(level, finest), finest, start, end)


def _part(level: Level, finest: Level, start_ms: int, end_ms: int) -> Iterator[Segment]:
    if start_ms >= end_ms:
        return
    if level is finest:
        yield Segment(level, start_ms, end_ms)
        return
    first, last = -(-start_ms // level) * level, end_ms // level * level
    if first >= last:
        yield from _part(level.finer, finest, start_ms, end_ms)
        return
    yield from _part(level.finer, finest, start_ms, first)
    yield Segment(level, first, last)
    yield from _part(level.finer, finest, last, end_ms)
