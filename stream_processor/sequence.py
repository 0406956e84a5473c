"""Put the batches of one boot epoch in order: each once, none forgotten without being counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

Item = TypeVar("Item")

# A gap closes by itself within this time, or the edge node is asked (docs/contracts.md).
GAP_PATIENCE_S = 2.0
# Asked at 2, 6, 14 and 30 s, then every 32 s; given up at 318 s. An edge node that hears it sends
# what is missing, or says that it is lost: silence says that it does not hear, and may yet. Not so
# where something could not be read: that may be what is missing, and is given up at 62 s.
MAX_REQUESTS = 12
MAX_REQUESTS_IN_DOUBT = 4
LONGEST_PAUSE_S = 32.0
MAX_HELD = 512
MAX_HELD_BYTES = 8 << 20
MAX_RANGES = 8
# A batch number this far ahead is no gap but nonsense.
MAX_JUMP = 10_000_000
# Ranges told as lost, ahead of a gap; and how long one may be: the loss of a year.
MAX_LOST_RANGES = 512
MAX_LOST = 1 << 36


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
    gap is held, and so are ranges that the edge node says are lost. Nothing is released out of
    order.
    """

    watermark: int
    highest: int = 0
    held: dict[int, tuple[Item, int]] = field(default_factory=dict)
    held_bytes: int = 0
    requests: int = 0
    due: float | None = None
    # In order, apart from each other.
    lost: list[tuple[int, int]] = field(default_factory=list)
    # The edge node said that batches up to here are still to come.
    told: int = 0
    # Something of its node could not be read since it was last in order.
    in_doubt: bool = False

    def __post_init__(self) -> None:
        self.highest = max(self.highest, self.watermark)

    @property
    def has_gap(self) -> bool:
        """True while a batch that must exist has not come."""
        return self.highest > self.watermark

    @property
    def owes(self) -> bool:
        """True while a batch has not come of which the edge node said that it has it."""
        return self.told > self.watermark

    def expect(self, now: float) -> None:
        """Begin to wait for all that was told of: it should have come by now."""
        if self.told > self.highest:
            self._see(self.told, now)

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

    def lose(self, first: int, last: int, now: float) -> Arrival:
        """Take note that of `first` to `last` nothing more will come than has; see `release`."""
        if last <= self.watermark:
            return Arrival.DUPLICATE
        if first - self.watermark > MAX_JUMP or not first <= last < first + MAX_LOST:
            return Arrival.NONSENSE
        ranges = _merged([*self.lost, (max(first, self.watermark + 1), last)])
        if len(ranges) > MAX_LOST_RANGES:
            self._see(last, now)
            return Arrival.OVERFLOWED
        self.lost = ranges
        self._see(last, now)
        self.postpone(now)
        return Arrival.RELEASED if ranges[0][0] == self.watermark + 1 else Arrival.HELD

    def _see(self, batch: int, now: float) -> None:
        self.highest = max(self.highest, batch)
        if self.due is None:
            self.due = now + GAP_PATIENCE_S

    def release(self) -> tuple[int, list[tuple[int, Item]]]:
        """Advance the watermark past what is in order now.

        Returns how many batches of it the edge node said are lost, and those that came.
        """
        lost, found = 0, []
        while True:
            entry = self.held.pop(self.watermark + 1, None)
            if entry is not None:
                self.watermark += 1
                self.held_bytes -= entry[1]
                found.append((self.watermark, entry[0]))
            elif self.lost and self.lost[0][0] <= self.watermark + 1 <= self.lost[0][1]:
                last = self.lost[0][1]
                end = min((b for b in self.held if b <= last), default=last + 1) - 1
                lost += end - self.watermark
                self.watermark = end
            else:
                break
            while self.lost and self.lost[0][1] <= self.watermark:
                del self.lost[0]
        if not self.has_gap:
            self.due, self.requests, self.in_doubt = None, 0, False
        return lost, found

    def postpone(self, now: float) -> None:
        """Start waiting anew: something came, or could not have come."""
        self.requests = 0
        self.due = now + GAP_PATIENCE_S if self.has_gap else None

    def missing(self) -> list[tuple[int, int]]:
        """Return the first few missing ranges, both ends included."""
        ranges = []
        expected = self.watermark + 1
        known = _merged([*self.lost, *((batch, batch) for batch in self.held)])
        for first, last in [*known, (self.highest + 1, self.highest + 1)]:
            if first > expected:
                ranges.append((expected, first - 1))
            expected = max(expected, last + 1)
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
        if self.requests < (MAX_REQUESTS_IN_DOUBT if self.in_doubt else MAX_REQUESTS):
            self.requests += 1
            self.due = now + min(GAP_PATIENCE_S * 2**self.requests, LONGEST_PAUSE_S)
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
        while self.lost and self.lost[0][1] <= self.watermark:
            del self.lost[0]
        told, more = self.release()
        self.postpone(now)
        return lost + told, released + more


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same numbers in as few ranges as there can be, in order."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
