"""The features of a stretch of samples, all in two fused passes, into the caller's arrays.

Moments are taken about the stretch's own mean, so nothing is carried over from earlier stretches
and nothing can drift. The passes assume finite samples, which lets the compiler vectorise them;
`tumble` checks for that and sets aside what is not a number first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

# Positions in the features of a stretch. The slope of `describe` is a sample, that of a window by
# event time is a unit of time.
COUNT, SKIPPED, MEAN, VARIANCE, SKEWNESS, KURTOSIS, RMS = range(7)
CREST, PEAK_TO_PEAK, MINIMUM, MAXIMUM, SLOPE, CROSSINGS = range(7, 13)
FEATURES = 13

# A spread below this share of the squared mean is rounding alone: shape and crest are undefined.
_ROUNDING = 1e-28


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz", "nnan"})
def describe(x: Array, out: Array) -> None:
    """Fill `out` (13,) with the features of `x`, which holds finite samples only.

    Variance is that of the population, kurtosis the fourth standardised moment, the crest factor
    the largest distance from the mean over the standard deviation. A crossing is a change of sign
    between neighbours, zero counting as positive. The mean is corrected for what rounding left of
    it (Chan, Golub and LeVeque, The American Statistician 37 (1983), 242-247): its error is a few
    units in the last place of the largest sample, and that of the variance of the order of
    n ε times itself. All but the counts of an empty stretch are NaN.
    """
    n = x.size
    out[:] = np.nan
    out[COUNT] = n
    out[SKIPPED] = 0.0
    out[CROSSINGS] = 0.0
    if n == 0:
        return
    total = 0.0
    low = np.inf
    high = -np.inf
    for i in range(n):
        v = x[i]
        total += v
        low = v if v < low else low
        high = v if v > high else high
    mean = total / n
    middle = 0.5 * (n - 1)
    rest = 0.0
    second = 0.0
    third = 0.0
    fourth = 0.0
    moment = 0.0
    for i in range(n):
        d = x[i] - mean
        s = d * d
        rest += d
        second += s
        third += s * d
        fourth += s * s
        moment += (i - middle) * d
    crossings = 0
    for i in range(1, n):
        crossings += (x[i] >= 0.0) != (x[i - 1] >= 0.0)
    mean += rest / n
    variance = max(0.0, second / n - (rest / n) ** 2)
    out[MEAN] = mean
    out[VARIANCE] = variance
    out[RMS] = np.sqrt(variance + mean * mean)
    out[PEAK_TO_PEAK] = high - low
    out[MINIMUM] = low
    out[MAXIMUM] = high
    out[CROSSINGS] = crossings
    if n > 1:
        out[SLOPE] = moment / (n * (float(n) * n - 1.0) / 12.0)
    if variance > _ROUNDING * mean * mean:
        deviation = np.sqrt(variance)
        out[SKEWNESS] = third / n / (variance * deviation)
        out[KURTOSIS] = fourth / n / (variance * variance)
        out[CREST] = max(high - mean, mean - low) / deviation


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def all_finite(x: Array) -> bool:
    """Return whether every sample of `x` is a number: a number less itself is zero."""
    wrong = 0
    for i in range(x.size):
        wrong += 0 if abs(x[i]) < np.inf else 1
    return wrong == 0


@njit(cache=True, nogil=True)
def tumble(x: Array, kept: Array, out: Array) -> None:
    """Fill `out` (13,) with the features of the block `x`; `kept` (x.size,) is scratch.

    Samples that are not numbers are skipped and counted; the slope, which needs each sample's
    place, is then taken over the places that are left.
    """
    if all_finite(x):
        describe(x, out)
        return
    n = 0
    place = 0.0
    for i in range(x.size):
        if np.isfinite(x[i]):
            kept[n] = x[i]
            place += i
            n += 1
    describe(kept[:n], out)
    out[SKIPPED] = x.size - n
    if n < 2:
        return
    place /= n
    moment = 0.0
    spread = 0.0
    for i in range(x.size):
        if np.isfinite(x[i]):
            d = i - place
            moment += d * (x[i] - out[MEAN])
            spread += d * d
    out[SLOPE] = moment / spread


@njit(cache=True, nogil=True)
def slope(times: Times, x: Array) -> float:
    """Return the least-squares slope of finite `x` over `times`, a unit of time; else NaN."""
    n = x.size
    if n < 2:
        return np.nan
    centre = 0.0
    mean = 0.0
    for i in range(n):
        centre += float(times[i] - times[0])
        mean += x[i]
    centre /= n
    mean /= n
    moment = 0.0
    spread = 0.0
    for i in range(n):
        d = float(times[i] - times[0]) - centre
        moment += d * (x[i] - mean)
        spread += d * d
    return moment / spread if spread > 0.0 else np.nan


@njit(cache=True, nogil=True)
def autocorrelation(x: Array, lags: Times, out: Array) -> None:
    """Fill `out` with the autocorrelation of `x` at each of `lags`, in samples.

    The estimator divides by the whole sum of squares (Box and Jenkins 1970, section 2.1.5), pairs
    with a sample that is not a number are skipped, and it is NaN for a constant.
    """
    n = 0
    mean = 0.0
    for v in x:
        if np.isfinite(v):
            n += 1
            mean += v
    mean = mean / n if n else np.nan
    square = 0.0
    for v in x:
        if np.isfinite(v):
            square += (v - mean) * (v - mean)
    for k in range(lags.size):
        lag = lags[k]
        total = 0.0
        for i in range(x.size - lag):
            if np.isfinite(x[i]) and np.isfinite(x[i + lag]):
                total += (x[i] - mean) * (x[i + lag] - mean)
        out[k] = total / square if square > _ROUNDING * n * mean * mean else np.nan


@njit(cache=True, nogil=True)
def correlation(x: Array, y: Array) -> float:
    """Return Pearson's correlation of the pairs of which both are numbers, in two passes.

    It is NaN where one of the two does not vary.
    """
    n = 0
    a = 0.0
    b = 0.0
    for i in range(x.size):
        if np.isfinite(x[i]) and np.isfinite(y[i]):
            n += 1
            a += x[i]
            b += y[i]
    if n < 2:
        return np.nan
    a /= n
    b /= n
    xx = 0.0
    yy = 0.0
    xy = 0.0
    for i in range(x.size):
        if np.isfinite(x[i]) and np.isfinite(y[i]):
            xx += (x[i] - a) * (x[i] - a)
            yy += (y[i] - b) * (y[i] - b)
            xy += (x[i] - a) * (y[i] - b)
    if xx <= _ROUNDING * n * a * a or yy <= _ROUNDING * n * b * b:
        return np.nan
    return float(min(1.0, max(-1.0, xy / np.sqrt(xx) / np.sqrt(yy))))


@njit(cache=True, nogil=True)
def cross_correlation(x: Array, y: Array, lags: Times, out: Array) -> None:
    """Fill `out` with the correlation of `x` with what `y` (as long) is `lags` samples later.

    A lag may be negative. The estimator divides by the whole sums of squares, as that of
    `autocorrelation` does (Box and Jenkins 1970, section 11.1.2); pairs with a sample that is not
    a number are skipped, and it is NaN where one of the two does not vary.
    """
    a = 0.0
    b = 0.0
    n = 0
    m = 0
    for i in range(x.size):
        if np.isfinite(x[i]):
            a += x[i]
            n += 1
        if np.isfinite(y[i]):
            b += y[i]
            m += 1
    a = a / n if n else np.nan
    b = b / m if m else np.nan
    xx = 0.0
    yy = 0.0
    for i in range(x.size):
        if np.isfinite(x[i]):
            xx += (x[i] - a) * (x[i] - a)
        if np.isfinite(y[i]):
            yy += (y[i] - b) * (y[i] - b)
    both = xx > _ROUNDING * n * a * a and yy > _ROUNDING * m * b * b
    for k in range(lags.size):
        lag = lags[k]
        total = 0.0
        for i in range(max(0, -lag), min(x.size, x.size - lag)):
            if np.isfinite(x[i]) and np.isfinite(y[i + lag]):
                total += (x[i] - a) * (y[i + lag] - b)
        out[k] = total / np.sqrt(xx) / np.sqrt(yy) if both else np.nan


def compile_all() -> None:
    """Compile every kernel for the one signature it has."""
    x, out = np.arange(4.0), np.empty(FEATURES)
    times = np.arange(4, dtype=np.int64)
    describe(x, out)
    all_finite(x)
    tumble(x, np.empty(4), out)
    slope(times, x)
    autocorrelation(x, times[:2], out[:2])
    correlation(x, x)
    cross_correlation(x, x, times[:2], out[:2])
