"""Levels and slopes of many series over several memories, each observation in constant time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Rows of `sums` for each memory: the weights, their first and second moments of age, and those of
# the values and of values times age.
WEIGHT, AGE, AGE_SQUARED, VALUE, VALUE_AGE = range(5)
ROWS = 5
# Rows of `start`: how many of the first observations were taken, and their mean.
TAKEN, START = range(2)
# Observations that say how a machine was when it was first seen.
FIRST = 20.0


@njit(cache=True, nogil=True)
def follow(values: Array, memories: Array, sums: Array, start: Array, out: Array) -> None:
    """Take an observation (n,) and fill `out` (2 k + 1, n): level and rise for each memory, start.

    Weights fall by `exp(-1 / memory)` an observation, `memories` (k,). A level is the weighted
    mean, a rise the slope of the weighted line over one memory, drawn towards 0 while little was
    seen (a ridge of as much weight as a memory of observations). `start` (2, n) keeps the mean of
    the first observations. A value that is no number leaves its series as it was; what is not known
    yet is NaN.
    """
    for j in range(values.size):
        x = values[j]
        if np.isfinite(x):
            if start[TAKEN, j] < FIRST:
                start[TAKEN, j] += 1.0
                start[START, j] += (x - start[START, j]) / start[TAKEN, j]
            for k in range(memories.size):
                keep = np.exp(-1.0 / memories[k])
                s = sums[k]
                # All that was seen is one observation older; age counts backwards.
                s[AGE_SQUARED, j] = keep * (s[AGE_SQUARED, j] - 2.0 * s[AGE, j] + s[WEIGHT, j])
                s[VALUE_AGE, j] = keep * (s[VALUE_AGE, j] - s[VALUE, j])
                s[AGE, j] = keep * (s[AGE, j] - s[WEIGHT, j])
                s[WEIGHT, j] = keep * s[WEIGHT, j] + 1.0
                s[VALUE, j] = keep * s[VALUE, j] + x
        for k in range(memories.size):
            s = sums[k]
            weight = s[WEIGHT, j]
            if weight == 0.0:
                out[2 * k, j] = np.nan
                out[2 * k + 1, j] = np.nan
                continue
            spread = weight * s[AGE_SQUARED, j] - s[AGE, j] ** 2 + weight * memories[k]
            rise = weight * s[VALUE_AGE, j] - s[AGE, j] * s[VALUE, j]
            out[2 * k, j] = s[VALUE, j] / weight
            out[2 * k + 1, j] = memories[k] * rise / spread
        out[2 * memories.size, j] = start[START, j] if start[TAKEN, j] > 0.0 else np.nan


def compile_all() -> None:
    """Compile for the one signature it has."""
    one = np.ones(1)
    follow(one, one, np.zeros((1, ROWS, 1)), np.zeros((2, 1)), np.empty((3, 1)))
