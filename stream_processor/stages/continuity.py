"""What of a channel goes on from block to block: by event time, and only at one sampling rate."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Self

# A block this much shorter than usual, in a row, is how long blocks are from now on.
SHORT_BLOCKS = 8
# How much of a block's distance from its due time is taken for its clock's drift.
BELIEF = 0.25


@dataclass(slots=True)
class Continuity:
    """Where a channel's samples ended, and how many a block usually has.

    `next_ms` is the event time at which the next sample is due.
    """

    rate_hz: float
    next_ms: float = 0.0
    usual: int = 0
    short: int = 0
    longest_short: int = 0

    def missing(self, start_ms: int) -> int:
        """Return how many samples lie between the last block and one that begins at `start_ms`.

        Below 0: how many of the new block's lie before the end of the last.
        """
        return round((start_ms - self.next_ms) * self.rate_hz / 1000.0) if self.next_ms else 0

    def extend(self, start_ms: int, samples: int) -> None:
        """Take note of a block."""
        # A clock that trembles is believed in part; one sample less is no step back.
        goes_on = self.next_ms and self.missing(start_ms) in (0, -1)
        begin_ms = self.next_ms + BELIEF * (start_ms - self.next_ms) if goes_on else start_ms
        self.next_ms = begin_ms + samples * 1000.0 / self.rate_hz
        if samples >= self.usual:
            self.usual, self.short, self.longest_short = samples, 0, 0
            return
        self.short += 1
        self.longest_short = max(self.longest_short, samples)
        if self.short >= SHORT_BLOCKS:
            self.usual, self.short, self.longest_short = self.longest_short, 0, 0

    def state(self) -> tuple[float, ...]:
        """Return the fields."""
        return astuple(self)

    @classmethod
    def restore(cls, state: tuple[float, ...]) -> Self:
        """Return what `state` wrote."""
        rate_hz, next_ms, usual, short, longest_short = state
        return cls(rate_hz, next_ms, int(usual), int(short), int(longest_short))
