"""The tail of a distribution that is nearly known: how rare is what was called surprising."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

QUANTILE = 0.99
THRESHOLD = -math.log10(1.0 - QUANTILE)
# The mean by which more than that exceeds it, when a surprise is what it says.
EXCESS = 1.0 / math.log(10.0)
# The threshold falls no lower, so that what is always calm does not make a trifle rare.
LEAST = 1.0
# Observations and excesses that this knowledge is worth, the shape it has and what that is worth.
WORTH, EXCESS_WORTH = 1000.0, 5.0
SHAPE, SHAPE_WORTH, HEAVIEST = 0.1, 20.0, 0.45
# The most mean excesses that an excess may teach, and excesses that are remembered.
CLIP, MEMORY = 8.0, 400.0
MOST = 60.0
# Rows without an excess after which the next one is another.
APART = 25.0
COUNT, AT, MEAN, SQUARE, EXCEEDED, RUN = range(6)


def new(threshold: float = THRESHOLD, excess: float = EXCESS) -> Array:
    """Return the tail of what has so high a 99th percentile and exceeds it by so much."""
    return np.array([0.0, threshold, excess, 2.0 * excess**2, 0.0, 0.0])


@njit(cache=True, nogil=True)
def surprise(x: float, tail: Array) -> float:
    """Return -log10 of the probability of more than `x`, at most `MOST`.

    Above the 99th percentile by a generalised Pareto distribution (Pickands 1975), its shape by
    moments (Hosking and Wallis 1987); below it, where it does not matter, in proportion.
    """
    excess = x - tail[AT]
    if not excess > 0.0:
        calm: float = THRESHOLD * max(x, 0.0) / tail[AT]
        return calm
    known, mean = tail[EXCEEDED], tail[MEAN]
    shape = 0.5 * (1.0 - 1.0 / max(tail[SQUARE] / (mean * mean) - 1.0, 0.3))
    shape = (known * shape + SHAPE_WORTH * SHAPE) / (known + SHAPE_WORTH)
    shape = min(max(shape, 1.0 / (known + 10.0)), HEAVIEST)
    beyond = math.log1p(shape * excess / (mean * (1.0 - shape))) / shape
    out: float = min(THRESHOLD + beyond / math.log(10.0), MOST)
    return out


@njit(cache=True, nogil=True)
def learn(x: float, tail: Array) -> None:
    """Learn how far `x` is.

    Of excesses in a run the second counts for a quarter, the third for a ninth and so on: what
    lasts is rare however long it lasts, and what is counted are alarms rather than rows.
    """
    tail[COUNT] += 1.0
    mean, excess = tail[MEAN], x - tail[AT]
    # The best step of a stochastic approximation is one over the density at the quantile, which is
    # (1 - QUANTILE) / mean there.
    step = max(1.0 / (tail[COUNT] + WORTH), (1.0 - QUANTILE) / MEMORY)
    rate = mean / (1.0 - QUANTILE) * step
    if excess <= 0.0:
        tail[AT] = max(tail[AT] - rate * (1.0 - QUANTILE), LEAST)
        tail[RUN] -= tail[RUN] / APART
        return
    tail[RUN] += 1.0
    weight = 1.0 / tail[RUN] ** 2
    tail[AT] += rate * QUANTILE * weight
    tail[EXCEEDED] += weight
    gain = weight * max(1.0 / (tail[EXCEEDED] + EXCESS_WORTH), 1.0 / MEMORY)
    tail[MEAN] = mean + gain * (min(excess, CLIP * mean) - mean)
    clipped = min(excess, 1.5 * CLIP * tail[MEAN])
    tail[SQUARE] += gain * (clipped * clipped - tail[SQUARE])


def compile_all() -> None:
    """Compile what is called from outside."""
    tail = new()
    surprise(1.0, tail)
    learn(1.0, tail)
