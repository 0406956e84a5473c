"""Put the batches of one boot epoch in order: each once, none forgotten without being counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

Item = TypeVar("Item")

# A gap closes by itself within this time, or the edge node is asked (docs/contracts.md).
GAP_PATIENCE_S = 2.0
# Asked at 2, 6, 14 and 30 s; given up at 62 s.
MAX_REQUESTS = 4
MAX_HELD = 512
MAX_HELD_BYTES = 8 << 20
MAX_RANGES = 8
# A batch number this far ahead is no gap but nonsense.
MAX_JUMP = 10_000_000


class Arrival(Enum):
    """What became of a batch when it arrived."""

    RELEASED = auto()
    HELD = auto()
    DUPLICATE = auto()
    # Not kept for want of room: it counts as missing and is asked for again.
    OVERFLOWED = auto()
    NONSENSE = auto()


@dataclass(frozen=True, slots=True)
class GapReport:
    """What a look at the clock brought: ranges to ask for, or batches given up."""

    requests: list[tuple[int, int]]
    lost: int


@dataclass(slots=True)
class Sequence(Generic[Item]):
    """The batches of one boot epoch.

    Everything up to `watermark` was released or given up; `highest` was seen. What came after a
    gap is held. Nothing is released out of order.
    """

    watermark: int
    highest: int = 0
    held: dict[int, tuple[Item, int]] = field(default_factory=dict)
    held_bytes: int = 0
    requests: int = 0
    due: float | None = None

    def __post_init__(self) -> None:
        self.highest = max(self.highest, self.watermark)

    @property
    def has_gap(self) -> bool:
        """True while a batch that must exist has not come."""
        return self.highest > self.watermark

    def offer(self, batch: int, item: Item, size: int, now: float) -> Arrival:
        """Take a batch of `size` bytes at `now` seconds; released ones come from `release`."""
        if batch <= self.watermark or batch in self.held:
            return Arrival.DUPLICATE
        if batch - self.watermark > MAX_JUMP:
            return Arrival.NONSENSE
        closes = batch == self.watermark + 1
        if not closes and (
            len(self.held) >= MAX_HELD or self.held_bytes + size > MAX_HELD_BYTES
        ):  # fmt: skip
            self._see(batch, now)
            return Arrival.OVERFLOWED
        was_missing = batch < self.highest
        self.held[batch] = (item, size)
        self.held_bytes += size
        self._see(batch, now)
        if was_missing:
            self.postpone(now)
        return Arrival.RELEASED if closes else Arrival.HELD

    def _see(self, batch: int, now: float) -> None:
        self.highest = max(self.highest, batch)
        if self.due is None:
            self.due = now + GAP_PATIENCE_S

    def release(self) -> list[tuple[int, Item]]:
        """Return what is in order now and advance the watermark past it."""
        found = []
        while (entry := self.held.pop(self.watermark + 1, None)) is not None:
            self.watermark += 1
            self.held_bytes -= entry[1]
            found.append((self.watermark, entry[0]))
        if not self.has_gap:
            self.due, self.requests = None, 0
        return found

    def postpone(self, now: float) -> None:
        """Start waiting anew: something came, or could not have come."""
        self.requests = 0
        self.due = now + GAP_PATIENCE_S if self.has_gap else None

    def missing(self) -> list[tuple[int, int]]:
        """Return the first few missing ranges, both ends included."""
        ranges = []
        expected = self.watermark + 1
        for batch in [*sorted(self.held), self.highest + 1]:
            if batch > expected:
                ranges.append((expected, batch - 1))
            expected = batch + 1
            if len(ranges) == MAX_RANGES:
                break
        return ranges

    def look(self, now: float) -> GapReport:
        """Say what to do about a gap at `now`: nothing, ask, or give the first range up."""
        if self.due is None or now < self.due:
            return GapReport([], 0)
        ranges = self.missing()
        if not ranges:
            self.due = None
            return GapReport([], 0)
        if self.requests < MAX_REQUESTS:
            self.requests += 1
            self.due = now + GAP_PATIENCE_S * 2**self.requests
            return GapReport(ranges, 0)
        first, last = ranges[0]
        self.watermark = last
        self.postpone(now)
        return GapReport([], last - first + 1)

    def skip_to(self, first: int, now: float) -> tuple[int, list[tuple[int, Item]]]:
        """Give up what is missing before `first`, which the edge node no longer has.

        Returns how many were missing, and what can be released since.
        """
        lost, released = 0, []
        while self.watermark < first - 1:
            entry = self.held.pop(self.watermark + 1, None)
            if entry is not None:
                self.watermark += 1
                self.held_bytes -= entry[1]
                released.append((self.watermark, entry[0]))
            else:
                there = min((b for b in self.held if b < first), default=first)
                lost += there - 1 - self.watermark
                self.watermark = there - 1
        self.highest = max(self.highest, self.watermark)
        released += self.release()
        self.postpone(now)
        return lost, released
