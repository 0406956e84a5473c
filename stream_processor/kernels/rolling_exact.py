"""Rolling moments that no data can spoil, a sample at a time: Welford's recurrence, merged.

Slower than the sums of `rolling_lanes.py`, which are taken about one centre for a stretch; these
have a mean of their own at each sample, so a window whose values lie close together and far from
all that came before is as exact as any other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Rows of what is made for each sample; the first four, with the count, or all.
MEAN, VARIANCE, MINIMUM, MAXIMUM, COUNT = range(5)
SKEWNESS, KURTOSIS, RMS, CREST, PEAK_TO_PEAK = range(5, 10)
STATISTICS = 10

# A spread below this share of the squared mean is rounding alone: shape and crest are undefined.
ROUNDING = 1e-28

# What is known of a stretch: its count, mean, sums of powers of the distance from it, extremes.
_N, _MEAN, _SECOND, _THIRD, _FOURTH, _LOW, _HIGH = range(7)
KNOWN = 7


@njit(cache=True, nogil=True)
def _clear(known: Array) -> None:
    """Make `known` (7,) that of no samples."""
    known[:] = 0.0
    known[_LOW] = np.inf
    known[_HIGH] = -np.inf


@njit(cache=True, nogil=True)
def _add(known: Array, v: float, shape: bool) -> None:
    """Take a sample in; one that is not a number is skipped.

    P. Pébay, Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
    statistical moments, SAND2008-6212 (2008), equations 2.1 and 2.2.
    """
    if not np.isfinite(v):
        return
    known[_N] += 1.0
    n = known[_N]
    d = v - known[_MEAN]
    step = d / n
    term = d * step * (n - 1.0)
    known[_MEAN] += step
    if shape:
        square = step * step
        known[_FOURTH] += (
            term * square * (n * n - 3.0 * n + 3.0)
            + 6.0 * square * known[_SECOND]
            - 4.0 * step * known[_THIRD]
        )
        known[_THIRD] += term * step * (n - 2.0) - 3.0 * step * known[_SECOND]
    known[_SECOND] += term
    known[_LOW] = min(known[_LOW], v)
    known[_HIGH] = max(known[_HIGH], v)


@njit(cache=True, nogil=True)
def _tell(a: Array, b: Array, out: Array, at: int) -> None:
    """Put what two stretches have together into column `at` of `out` (4, 5 or 10, samples).

    Pébay (2008), equations 1.5 to 1.7.
    """
    n = a[_N] + b[_N]
    if out.shape[0] > COUNT:
        out[COUNT, at] = n
    if n == 0.0:
        for row in range(out.shape[0]):
            if row != COUNT:
                out[row, at] = np.nan
        return
    d = b[_MEAN] - a[_MEAN]
    # Of a stretch that holds nothing there is no mean to be away from.
    if a[_N] == 0.0 or b[_N] == 0.0:
        d = 0.0
    p, q = a[_N] / n, b[_N] / n
    mean = (a[_MEAN] if a[_N] > 0.0 else b[_MEAN]) + d * q
    variance = (a[_SECOND] + b[_SECOND]) / n + d * d * p * q
    low, high = min(a[_LOW], b[_LOW]), max(a[_HIGH], b[_HIGH])
    out[MEAN, at] = mean
    out[VARIANCE, at] = variance
    out[MINIMUM, at] = low
    out[MAXIMUM, at] = high
    if out.shape[0] < STATISTICS:
        return
    third = (
        (a[_THIRD] + b[_THIRD]) / n
        + d * d * d * p * q * (p - q)
        + 3.0 * d * (p * b[_SECOND] - q * a[_SECOND]) / n
    )
    fourth = (
        (a[_FOURTH] + b[_FOURTH]) / n
        + d * d * d * d * p * q * (p * p - p * q + q * q)
        + 6.0 * d * d * (p * p * b[_SECOND] + q * q * a[_SECOND]) / n
        + 4.0 * d * (p * b[_THIRD] - q * a[_THIRD]) / n
    )
    out[RMS, at] = np.sqrt(variance + mean * mean)
    out[PEAK_TO_PEAK, at] = high - low
    out[SKEWNESS, at] = np.nan
    out[KURTOSIS, at] = np.nan
    out[CREST, at] = np.nan
    if variance > ROUNDING * mean * mean:
        deviation = np.sqrt(variance)
        out[SKEWNESS, at] = third / (variance * deviation)
        out[KURTOSIS, at] = fourth / (variance * variance)
        out[CREST, at] = max(high - mean, mean - low) / deviation


@njit(cache=True, nogil=True)
def exact(data: Array, start: int, length: int, window: int, scratch: Array, out: Array) -> None:
    """Fill `out` (4, 5 or 10, samples) with the windows of `data` that end from `start` on.

    There are `length` ≤ window of them; the one that ends at `data[i]` has column `i - window`.
    `data` has `window` samples before `start`; `scratch` (7 * (window + 2),) is overwritten.
    """
    shape = out.shape[0] == STATISTICS
    before = scratch[: KNOWN * (window + 1)]
    known = scratch[KNOWN * (window + 1) : KNOWN * (window + 2)]
    _clear(known)
    _clear(before[KNOWN * window :])
    for i in range(window - 1, 0, -1):
        _add(known, data[start - window + i], shape)
        for k in range(KNOWN):
            before[KNOWN * i + k] = known[k]
    _clear(known)
    for i in range(length):
        _add(known, data[start + i], shape)
        _tell(before[KNOWN * (i + 1) : KNOWN * (i + 2)], known, out, start + i - window)


def compile_all() -> None:
    """Compile every kernel for the one signature it has."""
    exact(np.arange(4.0), 2, 2, 2, np.empty(KNOWN * 4), np.empty((5, 2)))
