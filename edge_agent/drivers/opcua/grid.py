"""From values that come when they change to samples at equal distances."""

from __future__ import annotations

from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.base import BAD, GOOD, STALE, Quality

F64 = npt.NDArray[np.float64]
# Values that a channel keeps for a reader that does not come; then the oldest go.
MAX_WAITING: Final = 100_000


def grid(start_ms: int, length_ms: int, period_ms: float) -> F64:
    """Return the sample times that fall into `[start_ms, start_ms + length_ms)`.

    They are the multiples of `period_ms` since the epoch, so that they lie alike after a restart.
    """
    first = int(np.ceil((start_ms - _SLACK_MS) / period_ms))
    end = int(np.ceil((start_ms + length_ms - _SLACK_MS) / period_ms))
    return np.arange(first, end, dtype=np.float64) * period_ms


# Float arithmetic on milliseconds since the epoch is good to about this much.
_SLACK_MS: Final = 1e-3


def hold(
    times_ms: F64,
    values: F64,
    bad: npt.NDArray[np.bool_],
    grid_ms: F64,
    stale_after_ms: float = inf,
) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Sample at `grid_ms` what was the newest value then; NaN where none was, or it was bad.

    `times_ms` ascends; of equal times the last counts. Returns the samples and where a value was
    held for longer than `stale_after_ms` (NaN too).
    """
    at = np.searchsorted(times_ms, grid_ms, side="right") - 1
    known = at >= 0
    at = np.maximum(at, 0)
    samples = np.full(len(grid_ms), np.nan)
    stale = np.zeros(len(grid_ms), np.bool_)
    if len(times_ms):
        stale = known & (grid_ms - times_ms[at] > stale_after_ms)
        use = known & ~stale & ~bad[at]
        samples[use] = values[at[use]]
    return samples, stale


class HeldChannel:
    """The values of one channel that are still to be sampled, and the one that holds."""

    def __init__(self, stale_after_ms: float = inf) -> None:
        self._stale_after_ms = stale_after_ms
        self._changes: list[tuple[float, float, Quality]] = []
        self._sampled_until = -inf
        self.dropped = 0

    def put(self, time_ms: float, value: float, quality: Quality) -> bool:
        """Take a value; return False when samples of its time have gone already.

        Such a value holds from the next sample on, as long as no newer one is known.
        """
        self._changes.append((time_ms, value, quality))
        if len(self._changes) > MAX_WAITING:
            self._changes.sort(key=_time)
            del self._changes[0]
            self.dropped += 1
        return time_ms > self._sampled_until

    def forget(self) -> None:
        """Hold nothing: what was known holds no longer, and time may begin anew."""
        self._changes.clear()
        self._sampled_until = -inf

    def sample(self, grid_ms: F64) -> tuple[npt.NDArray[np.float32], Quality]:
        """Return the samples at `grid_ms` (not empty, ascending, after the last) and their quality.

        The quality is the worst of those sampled; without any value it is `BAD`.
        """
        self._changes.sort(key=_time)
        times = np.array([time for time, _, _ in self._changes], np.float64)
        values = np.array([value for _, value, _ in self._changes], np.float64)
        bad = np.array([quality == BAD for _, _, quality in self._changes], np.bool_)
        samples, stale = hold(times, values, bad, grid_ms, self._stale_after_ms)
        last = int(np.searchsorted(times, grid_ms[-1], side="right")) - 1
        first = int(np.searchsorted(times, grid_ms[0], side="right")) - 1
        held = [quality for _, _, quality in self._changes[max(first, 0) : last + 1]]
        quality = GOOD
        if first < 0 or not held or BAD in held:
            quality = BAD
        elif STALE in held or stale.any():
            quality = STALE
        if last > 0:
            del self._changes[:last]
        self._sampled_until = float(grid_ms[-1])
        return samples.astype(np.float32), quality


def _time(change: tuple[float, float, Quality]) -> float:
    return change[0]
