"""When to read: places on the wall clock's grid, so that nothing drifts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

# A wait longer than its place by this much, or a place that long over: the clock was set, or the
# gateway slept.
_SET_BACK_MS: Final = 1_000
_SET_AHEAD_MS: Final = 60_000


@dataclass(frozen=True)
class Schedule:
    """The grid of a device: a point is due when the time is a multiple of its period.

    Times are milliseconds since the epoch, UTC. A block ends at a multiple of `block_ms`, and
    begins where every point that is read more than once in it is due, so that all its channels have
    their first sample at its start.
    """

    periods_ms: Sequence[int]
    block_ms: int

    @cached_property
    def step_ms(self) -> int:
        """The distance of the grid's places."""
        return math.gcd(*self.periods_ms, self.block_ms)

    @cached_property
    def _start_step_ms(self) -> int:
        often = [period for period in self.periods_ms if period < self.block_ms]
        return math.lcm(*often) if often else self.block_ms

    def next_ms(self, now_ms: float) -> int:
        """Return the first place that is not over."""
        return math.ceil(now_ms / self.step_ms) * self.step_ms

    def is_start(self, at_ms: int) -> bool:
        """Return True where a block may begin."""
        return at_ms % self._start_step_ms == 0

    def block_end_ms(self, at_ms: int) -> int:
        """Return the end of the block that a place is in."""
        return (at_ms // self.block_ms + 1) * self.block_ms

    def is_off(self, at_ms: int, now_ms: float) -> bool:
        """Return True when the next place lies so that the clock must have been set."""
        ahead_ms = at_ms - now_ms
        return ahead_ms > self.step_ms + _SET_BACK_MS or -ahead_ms > _SET_AHEAD_MS
