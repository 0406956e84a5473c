"""Exact median and quantiles, of a stretch by selection and of a sliding window by a sorted copy.

A window is kept sorted by moving what lies between the place of the sample that leaves and that
of the one that comes: for the windows of telemetry (up to a few thousand samples) the move runs
at the speed of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

SCHEMA = 1


@njit(cache=True, nogil=True)
def select(x: Array, first: int, last: int, rank: int) -> float:
    """Order `x[first:last]` about `rank` and return its value there (Hoare, CACM 4 (1961), 321)."""
    low, high = first, last - 1
    while low < high:
        middle = (low + high) // 2
        a, b, c = x[low], x[middle], x[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return float(x[rank])


@njit(cache=True, nogil=True)
def quantiles(x: Array, shares: Array, scratch: Array, out: Array) -> int:
    """Fill `out` with the quantiles of `x` at `shares` (ascending, 0 to 1); return the count.

    Samples that are not numbers are skipped. Between two samples the quantile is interpolated
    linearly (type 7 of Hyndman and Fan, The American Statistician 50 (1996), 361-365). `scratch`
    (x.size,) is overwritten.
    """
    n = 0
    for v in x:
        if np.isfinite(v):
            scratch[n] = v
            n += 1
    first = 0
    for k in range(shares.size):
        if n == 0:
            out[k] = np.nan
            continue
        place = shares[k] * (n - 1)
        rank = min(int(place), n - 1)
        low = select(scratch, first, n, rank)
        out[k] = low
        first = rank
        if place > rank:
            high = select(scratch, rank + 1, n, rank + 1)
            out[k] = low + (place - rank) * (high - low)
    return n


@njit(cache=True, nogil=True)
def _place(ordered: Array, count: int, v: float) -> int:
    """Return how many of the first `count` are less than `v`."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < v:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def rolling_quantiles(
    x: Array, shares: Array, ring: Array, ordered: Array, position: Counts, out: Array
) -> None:
    """Fill `out` (shares, n) with the quantiles of the window that ends with each sample of `x`.

    The window is the last `ring.size` samples; those that are not numbers are skipped. State:
    `ring` (window,) NaN at first, `ordered` (window,), `position` (2,) zeros at first (the next
    place of the ring, and the numbers in it).
    """
    at, count = position[0], position[1]
    for i in range(x.size):
        old, v = ring[at], x[i]
        ring[at] = v
        at = at + 1 if at + 1 < ring.size else 0
        if np.isfinite(old):
            gone = _place(ordered, count, old)
            count -= 1
            for k in range(gone, count):
                ordered[k] = ordered[k + 1]
        if np.isfinite(v):
            come = _place(ordered, count, v)
            for k in range(count, come, -1):
                ordered[k] = ordered[k - 1]
            ordered[come] = v
            count += 1
        for k in range(shares.size):
            if count == 0:
                out[k, i] = np.nan
                continue
            place = shares[k] * (count - 1)
            rank = min(int(place), count - 1)
            low = ordered[rank]
            out[k, i] = low
            if place > rank:
                out[k, i] = low + (place - rank) * (ordered[rank + 1] - low)
    position[0], position[1] = at, count


@dataclass
class RollingQuantiles:
    """The quantiles of the last samples of a stream that arrives in blocks."""

    shares: Array
    ring: Array
    ordered: Array
    position: Counts

    @classmethod
    def empty(cls, window: int, shares: Sequence[float]) -> Self:
        """Return the quantiles at `shares` (0 to 1) of a stream that has not begun.

        Raises:
            ValueError: the window holds no sample, or a share is not between 0 and 1.
        """
        if window < 1:
            raise ValueError(f"a rolling window must hold at least 1 sample, not {window}")
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise ValueError(f"quantiles are at shares of 0 to 1, not {list(shares)}")
        position = np.zeros(2, dtype=np.int64)
        return cls(np.array(shares), np.full(window, np.nan), np.empty(window), position)

    def update(self, block: Array) -> Array:
        """Return (shares, n): the quantiles of the window at each sample of a block."""
        out = np.empty((self.shares.size, block.size))
        rolling_quantiles(block, self.shares, self.ring, self.ordered, self.position, out)
        return out

    def state(self) -> dict[str, Any]:
        """Return the state: `schema`, the shares, and the window from its oldest sample on."""
        window = np.roll(self.ring, -int(self.position[0]))
        return {"schema": SCHEMA, "shares": self.shares.copy(), "window": window}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the quantiles in `state`.

        Raises:
            ValueError: the state is of another schema.
        """
        if state["schema"] != SCHEMA:
            raise ValueError(f"quantile state has schema {state['schema']}, not {SCHEMA}")
        ring = state["window"].copy()
        numbers = np.sort(ring[np.isfinite(ring)])
        ordered = np.empty(ring.size)
        ordered[: numbers.size] = numbers
        return cls(state["shares"].copy(), ring, ordered, np.array([0, numbers.size]))


def compile_all() -> None:
    """Compile every kernel for the one signature it has."""
    x, shares, position = np.arange(4.0), np.array([0.5]), np.zeros(2, dtype=np.int64)
    select(x.copy(), 0, 4, 1)
    quantiles(x, shares, np.empty(4), np.empty(1))
    rolling_quantiles(x, shares, np.full(2, np.nan), np.empty(2), position, np.empty((1, 4)))
