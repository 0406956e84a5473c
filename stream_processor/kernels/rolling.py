"""Rolling mean, variance, extremes and shape in one pass over a block, exact after any spike.

A stretch of samples is summed about a centre near the data, eight samples at once
(`rolling_lanes.py`). Where that centre proves far from a window (its sum of squares dwarfs its
spread) another is taken, and where that is no better the stretch is done again with Welford's
recurrence and the pairwise merge of Chan, Golub and LeVeque (`rolling_exact.py`). Nothing is ever
subtracted, so a spike of 1e9 that has left the window has left no trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_processor.kernels.features import all_finite
from stream_processor.kernels.lanes import WIDTH
from stream_processor.kernels.rolling_exact import COUNT, KNOWN, STATISTICS, exact
from stream_processor.kernels.rolling_lanes import kept_size, run

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

SCHEMA = 1
# How many samples are looked through for gaps at once, which the nearest cache still holds.
_STRETCH = 2048


@njit(cache=True, nogil=True)
def scratch_size(window: int) -> int:
    """Return how many doubles of scratch a window of `window` samples needs."""
    return WIDTH + kept_size(window) + KNOWN * (window + 2)


@njit(cache=True, nogil=True)
def _typical(data: Array, otherwise: float, pad: Array) -> float:
    """Return the median of some of `data`, which no few spikes can move; `pad` is scratch."""
    found = 0
    for k in range(WIDTH - 1):
        v = data[k * (data.size - 1) // (WIDTH - 2)]
        if np.isfinite(v):
            i = found
            while i > 0 and pad[i - 1] > v:
                pad[i] = pad[i - 1]
                i -= 1
            pad[i] = v
            found += 1
    return pad[found // 2] if found else otherwise


@njit(cache=True, nogil=True)
def rolling_into(data: Array, window: int, scratch: Array, out: Array) -> None:
    """Fill `out` (4, 5 or 10, n) for the `n` samples that follow the first `window` of `data`.

    `data` holds `window` earlier samples (NaN where there were none) and then `n` new ones; the
    rows of `out` are mean, variance (population), minimum, maximum, count of the numbers among
    the `window` samples that end with each new one, then skewness, kurtosis (3 for a normal
    distribution), RMS, crest factor (about the mean) and peak to peak, named by the constants of
    `rolling_exact.py`. A window without a number has NaN, one whose spread is rounding has no
    shape. `scratch` (at least `scratch_size(window)`,) is overwritten. Both arrays are contiguous.
    """
    rows = window // WIDTH
    # Eight doubles that begin where a line of the cache does lie in one line, not in two.
    skip = -(scratch.ctypes.data // scratch.itemsize) % WIDTH
    kept, rest = scratch[skip : skip + kept_size(window)], scratch[skip + kept_size(window) :]
    if rows == 0:
        for start in range(window, data.size, window):
            length = min(window, data.size - start)
            exact(data, start, length, window, rest, out)
        return
    span = rows * WIDTH
    stretch = span * max(4, _STRETCH // span)
    centre = _typical(data, 0.0, rest)
    start = window
    held = False
    refused = 0
    gaps = True
    while start < data.size:
        # Where there were gaps, more are looked for; else the first one shows by itself.
        stop = data.size
        if gaps:
            stop = min(start + stretch, data.size)
            gaps = not all_finite(data[start - window : stop])
            held = held and gaps
        reached = run(gaps, data, start, stop, window, centre, held, kept, out)
        held = reached == stop
        start = reached
        if held:
            continue
        length = min(span, stop - start)
        if not gaps and not all_finite(data[start - window : start + length]):
            gaps = True
            continue
        typical = _typical(data[start - span : start + length], centre, rest)
        if start == refused or typical == centre:
            exact(data, start, length, window, rest, out)
            start += length
        else:
            refused = start
            centre = typical


@njit(cache=True, nogil=True)
def rolling_devices(
    devices: Places, x: Array, window: int, tails: Array, data: Array, scratch: Array, out: Array
) -> None:
    """Take in a block of each of `devices`, fill `out` (blocks, 4, 5 or 10, n) with statistics.

    `devices` (blocks,) are rows of `tails` (devices, window), which is all the state there is, NaN
    at first; `x` (blocks, n) is a block each. `data` (window + n,) and `scratch` are overwritten.
    """
    for b in range(devices.size):
        tail = tails[devices[b]]
        data[:window] = tail
        data[window:] = x[b]
        rolling_into(data, window, scratch, out[b])
        tail[:] = data[data.size - window :]


@dataclass
class Rolling:
    """Rolling statistics of a stream that arrives in blocks; `tail` is all the state there is."""

    window: int
    tail: Array

    @classmethod
    def empty(cls, window: int) -> Self:
        """Return the statistics of a stream that has not begun.

        Raises:
            ValueError: the window holds no sample.
        """
        if window < 1:
            raise ValueError(f"a rolling window must hold at least 1 sample, not {window}")
        return cls(window, np.full(window, np.nan))

    def update(self, block: npt.NDArray[np.floating[Any]]) -> Array:
        """Return (5, n): mean, variance, minimum, maximum, count of the window at each sample."""
        return self._take(block, COUNT + 1)

    def update_shape(self, block: npt.NDArray[np.floating[Any]]) -> Array:
        """Return (10, n): also skewness, kurtosis, RMS, crest factor and peak to peak."""
        return self._take(block, STATISTICS)

    def _take(self, block: npt.NDArray[np.floating[Any]], statistics: int) -> Array:
        data = np.concatenate((self.tail, block))
        out = np.empty((statistics, block.size))
        rolling_into(data, self.window, np.empty(scratch_size(self.window)), out)
        self.tail = data[data.size - self.window :].copy()
        return out

    def state(self) -> dict[str, Any]:
        """Return the state: `schema`, and the last samples."""
        return {"schema": SCHEMA, "tail": self.tail.copy()}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the statistics in `state`.

        Raises:
            ValueError: the state is of another schema.
        """
        if state["schema"] != SCHEMA:
            raise ValueError(f"rolling state has schema {state['schema']}, not {SCHEMA}")
        return cls(state["tail"].size, state["tail"].copy())


def compile_all() -> None:
    """Compile every kernel for the one signature it has."""
    x, scratch = np.zeros((1, 4)), np.empty(scratch_size(4))
    rolling_into(np.arange(8.0), 4, scratch, np.empty((5, 4)))
    devices, tails = np.zeros(1, dtype=np.int64), np.zeros((1, 4))
    rolling_devices(devices, x, 4, tails, np.empty(8), scratch, np.empty((1, 5, 4)))
