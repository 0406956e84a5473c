"""Rolling mean, variance, minimum and maximum in one pass over a block, exact after any spike.

A sliding window over a stream is cut at multiples of the window's length, as van Herk (1992) and
Gil and Werman (1993) do for minima: every window is the end of one segment and the beginning of
the next, so it is a merge of one running statistic taken backwards over the earlier segment and
one taken forwards over the later. Nothing is ever subtracted, so a spike of 1e9 that has left the
window has left no trace. Sums are taken about a centre near the data; where that centre proves
far from the data (the sum of squares dwarfs the spread), the segment is done again with Welford's
recurrence and the pairwise merge of Chan, Golub and LeVeque (1983).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# Below this share of the centred sum of squares, the spread has lost more digits than the nine
# that are promised could afford.
_CANCELLATION = 1e-4


@njit(cache=True, nogil=True)
def _backwards(data: Array, start: int, window: int, centre: float, back: Array) -> None:
    """Fill `back` (window + 1, 4) with the running sums and extremes from the segment's end."""
    s = 0.0
    q = 0.0
    low = np.inf
    high = -np.inf
    back[window, 0] = 0.0
    back[window, 1] = 0.0
    back[window, 2] = np.inf
    back[window, 3] = -np.inf
    for at in range(window - 1, -1, -1):
        v = data[start + at]
        c = v - centre
        s += c
        q += c * c
        low = v if v < low else low
        high = v if v > high else high
        back[at, 0] = s
        back[at, 1] = q
        back[at, 2] = low
        back[at, 3] = high


@njit(cache=True, nogil=True)
def _segment_fast(
    data: Array, start: int, window: int, length: int, centre: float, back: Array, out: Array
) -> bool:
    """Fill `out` for the windows that end in a segment of finite samples.

    The segment is `data[start : start + length]`; `back` holds the running statistics of the one
    before it, about the same `centre`. `out` has the rows mean, variance, minimum, maximum, count.
    Return False when the centre was too far from the data.
    """
    s = 0.0
    q = 0.0
    low = np.inf
    high = -np.inf
    share = 1.0 / window
    lost = 0
    out[4, :length] = window
    for i in range(length):
        v = data[start + i]
        c = v - centre
        s += c
        q += c * c
        low = v if v < low else low
        high = v if v > high else high
        total = back[i + 1, 0] + s
        square = back[i + 1, 1] + q
        mean = total * share
        spread = square - total * mean
        lost += 0 if spread >= _CANCELLATION * square else 1
        out[0, i] = centre + mean
        out[1, i] = spread * share
        a = back[i + 1, 2]
        out[2, i] = a if a < low else low
        a = back[i + 1, 3]
        out[3, i] = a if a > high else high
    return lost == 0


@njit(cache=True, nogil=True)
def _segment_exact(
    data: Array, start: int, window: int, length: int, scratch: Array, out: Array
) -> None:
    """Do the same with Welford's recurrence; samples that are not numbers are skipped."""
    count = 0.0
    mean = 0.0
    spread = 0.0
    low = np.inf
    high = -np.inf
    for row in range(5):
        scratch[row, window] = 0.0
    scratch[3, window] = np.inf
    scratch[4, window] = -np.inf
    for i in range(window):
        v = data[start - 1 - i]
        if np.isfinite(v):
            count += 1.0
            d = v - mean
            mean += d / count
            spread += d * (v - mean)
            low = min(low, v)
            high = max(high, v)
        at = window - 1 - i
        scratch[0, at] = count
        scratch[1, at] = mean
        scratch[2, at] = spread
        scratch[3, at] = low
        scratch[4, at] = high
    count = 0.0
    mean = 0.0
    spread = 0.0
    low = np.inf
    high = -np.inf
    for i in range(length):
        v = data[start + i]
        if np.isfinite(v):
            count += 1.0
            d = v - mean
            mean += d / count
            spread += d * (v - mean)
            low = min(low, v)
            high = max(high, v)
        other = scratch[0, i + 1]
        n = other + count
        out[4, i] = n
        if n == 0.0:
            out[0, i] = np.nan
            out[1, i] = np.nan
            out[2, i] = np.nan
            out[3, i] = np.nan
            continue
        if other == 0.0:
            out[0, i] = mean
            out[1, i] = spread / n
        elif count == 0.0:
            out[0, i] = scratch[1, i + 1]
            out[1, i] = scratch[2, i + 1] / n
        else:
            d = mean - scratch[1, i + 1]
            out[0, i] = (other * scratch[1, i + 1] + count * mean) / n
            out[1, i] = (scratch[2, i + 1] + spread + d * d * (other * count / n)) / n
        out[2, i] = min(low, scratch[3, i + 1])
        out[3, i] = max(high, scratch[4, i + 1])


@njit(cache=True, nogil=True)
def rolling_into(data: Array, window: int, out: Array) -> None:
    """Fill `out` (5, n) for the `n` samples that follow the first `window` of `data`.

    `data` holds `window` earlier samples (NaN where there were none) and then `n` new ones; the
    rows of `out` are mean, variance (population), minimum, maximum and count of the numbers among
    the `window` samples that end with each new one.
    """
    scratch = np.empty((5, window + 1))
    back = np.empty((window + 1, 4))
    before_finite = True
    centre = 0.0
    for i in range(window):
        v = data[i]
        before_finite = before_finite and np.isfinite(v)
        centre += v
    centre /= window
    start = window
    while start < data.size:
        length = min(window, data.size - start)
        finite = True
        for i in range(length):
            finite = finite and np.isfinite(data[start + i])
        part = out[:, start - window : start - window + length]
        done = False
        if finite and before_finite and np.isfinite(centre):
            _backwards(data, start - window, window, centre, back)
            done = _segment_fast(data, start, window, length, centre, back, part)
        if not done:
            _segment_exact(data, start, window, length, scratch, part)
        centre = part[0, length - 1]
        before_finite = finite
        start += length


@dataclass
class Rolling:
    """Rolling statistics of a stream that arrives in blocks; `tail` is all the state there is."""

    window: int
    tail: Array

    @classmethod
    def empty(cls, window: int) -> Rolling:
        """Return the statistics of a stream that has not begun.

        Raises:
            ValueError: the window is shorter than 2 samples.
        """
        if window < 2:
            raise ValueError(f"a rolling window must hold at least 2 samples, not {window}")
        return cls(window, np.full(window, np.nan))

    def update(self, block: Array) -> Array:
        """Return (5, n): mean, variance, minimum, maximum, count of the window at each sample."""
        data = np.concatenate((self.tail, block))
        out = np.empty((5, block.size))
        rolling_into(data, self.window, out)
        self.tail = data[data.size - self.window :].copy()
        return out
