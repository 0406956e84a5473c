"""Statistics of a whole block in two fused passes, and one-second aggregates in one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Positions in what `block_moments` returns.
COUNT, MEAN, RMS, VARIANCE, SKEWNESS, KURTOSIS, CREST, PEAK_TO_PEAK = range(8)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def block_moments(x: Array) -> Array:
    """Return count, mean, rms, variance, skewness, kurtosis, crest factor and peak to peak of `x`.

    Samples that are not numbers are skipped. Variance is that of the population, kurtosis is the
    fourth standardised moment (3 for a normal distribution), the crest factor is the largest
    distance from the mean over the standard deviation. Skewness, kurtosis and crest factor of a
    constant are NaN, as is all but the count of an empty block.
    """
    out = np.full(8, np.nan)
    n = 0.0
    total = 0.0
    low = np.inf
    high = -np.inf
    for v in x:
        good = abs(v) < np.inf
        n += 1.0 if good else 0.0
        total += v if good else 0.0
        low = v if good and v < low else low
        high = v if good and v > high else high
    out[0] = n
    if n == 0.0:
        return out
    mean = total / n
    second = 0.0
    third = 0.0
    fourth = 0.0
    rest = 0.0
    for v in x:
        d = v - mean if abs(v) < np.inf else 0.0
        s = d * d
        rest += d
        second += s
        third += s * d
        fourth += s * s
    # What rounding left of the mean (Chan, Golub, LeVeque 1983).
    mean += rest / n
    variance = max(0.0, second / n - (rest / n) ** 2)
    out[1] = mean
    out[2] = np.sqrt(variance + mean * mean)
    out[3] = variance
    out[7] = high - low
    if variance > 1e-28 * mean * mean:
        deviation = np.sqrt(variance)
        out[4] = third / n / (variance * deviation)
        out[5] = fourth / n / (variance * variance)
        out[6] = max(high - mean, mean - low) / deviation
    return out


@njit(cache=True, nogil=True)
def second_aggregates(x: Array, rate: float, out: Array) -> int:
    """Fill `out` (4, seconds) with mean, minimum, maximum and count of each second of `x`.

    Sample `i` belongs to second `floor(i / rate)` of the block; a slower channel than 1 Hz has one
    column a sample. Return how many columns were filled.
    """
    columns = 0
    at = -1
    total = 0.0
    for i in range(x.size):
        second = i if rate <= 1.0 else int(i / rate + 1e-9)
        if second != at:
            if columns > 0:
                n = out[3, columns - 1]
                out[0, columns - 1] = total / n if n > 0.0 else np.nan
            at = second
            total = 0.0
            out[1, columns] = np.inf
            out[2, columns] = -np.inf
            out[3, columns] = 0.0
            columns += 1
        v = x[i]
        if np.isfinite(v):
            total += v
            out[3, columns - 1] += 1.0
            out[1, columns - 1] = min(out[1, columns - 1], v)
            out[2, columns - 1] = max(out[2, columns - 1], v)
    if columns > 0:
        n = out[3, columns - 1]
        out[0, columns - 1] = total / n if n > 0.0 else np.nan
    for c in range(columns):
        if out[3, c] == 0.0:
            out[1, c] = np.nan
            out[2, c] = np.nan
    return columns


def one_second_aggregates(x: Array, rate: float) -> Array:
    """Return (4, seconds): mean, minimum, maximum and count of each second of a block."""
    out = np.empty((4, x.size if rate <= 1.0 else int(x.size / rate) + 2))
    return out[:, : second_aggregates(x, rate, out)]


@njit(cache=True, nogil=True)
def longest_run(x: Array, last: float, run: int) -> tuple[int, float, int]:
    """Return the longest run of identical numbers in `x`, the last number and its run so far.

    `last` and `run` carry a run over from the block before; samples that are not numbers neither
    extend nor break a run.
    """
    longest = 0
    for v in x:
        if np.isfinite(v):
            run = run + 1 if v == last else 1
            last = v
            longest = max(longest, run)
    return longest, last, run


@njit(cache=True, nogil=True)
def count_spikes(x: Array, edge: Array, reach: float, noise: float) -> tuple[int, float]:
    """Return how many samples stand alone far from both neighbours, and the noise as now known.

    `edge` (3,) holds the last two samples before `x` and is moved on. A spike is a sample that
    differs from the mean of its two neighbours by more than `reach` times the usual size of that
    difference, `noise`, and by more than twice the neighbours differ from each other: a step or a
    ramp is none. `noise` follows the median of the differences by steps of its own size, so that
    spikes do not raise it; 0 means it is not yet known. `edge[2]` counts what it was learnt from.
    """
    spikes = 0
    before = edge[0]
    at = edge[1]
    for v in x:
        if not np.isfinite(v):
            continue
        if np.isfinite(before) and np.isfinite(at):
            d = abs(at - 0.5 * (before + v))
            across = abs(v - before)
            seen = edge[2]
            if seen < 8.0:
                noise = max(noise, d) if seen > 0.0 else d
            elif d > reach * noise and d > 2.0 * across and noise > 0.0:
                spikes += 1
            else:
                step = 0.5 / np.sqrt(seen)
                noise *= 1.0 + (step if d > noise else -step)
                noise = max(noise, 1e-9 * abs(at))
            edge[2] = min(seen + 1.0, 400.0)
        before = at
        at = v
    edge[0] = before
    edge[1] = at
    return spikes, noise
