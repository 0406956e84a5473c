"""Half-space trees in flat arrays (Tan, Ting and Liu, IJCAI 2011)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Masses = npt.NDArray[np.float32]


# Where a node of trees within the cube is split: at least this share from either side.
LEAST_SHARE = 0.3


def grow(
    trees: int, height: int, dimensions: int, seed: int, within: bool
) -> tuple[Indices, Array]:
    """Return the split dimensions and values (trees, 2**height - 1) of random half-space trees.

    Points lie in the unit cube. As in the paper, each tree has a work range of up to four times
    that, drawn around a random point, and halves it; or it splits `within` the cube at random
    places, which leaves no part of it where no point comes. The result is a pure function of the
    arguments, so no state has to hold it.
    """
    random = np.random.default_rng(seed)
    inner = 2**height - 1
    split = random.integers(dimensions, size=(trees, inner))
    value = np.empty((trees, inner))
    for tree in range(trees):
        low, high = {0: np.zeros(dimensions)}, {0: np.ones(dimensions)}
        if not within:
            centre = random.random(dimensions)
            reach = 2.0 * np.maximum(centre, 1.0 - centre)
            low, high = {0: centre - reach}, {0: centre + reach}
        for node in range(inner):
            axis = split[tree, node]
            a, b = low.pop(node), high.pop(node)
            share = LEAST_SHARE + (1.0 - 2.0 * LEAST_SHARE) * random.random() if within else 0.5
            middle = (1.0 - share) * a[axis] + share * b[axis]
            value[tree, node] = middle
            left, right = 2 * node + 1, 2 * node + 2
            low[left], high[left] = a, b.copy()
            high[left][axis] = middle
            low[right], high[right] = a.copy(), b
            low[right][axis] = middle
    return split, value


grown = lru_cache(maxsize=64)(grow)
"""As `grow`, for machines that share their trees: the arrays are to be read only."""


@njit(cache=True, nogil=True)
def score_point(x: Array, split: Indices, value: Array, mass: Masses, least: float) -> float:
    """Return the mass of `x`: the sum over trees of `mass * 2**depth` where it comes to rest.

    `mass` is (trees, 2**(height + 1) - 1). A walk ends at the first node with a mass under
    `least`, or at a leaf. A low sum is an anomaly; NaN is the sum of a point not known in full.
    """
    for coordinate in x:
        if not np.isfinite(coordinate):
            return np.nan
    total = 0.0
    inner = split.shape[1]
    for tree in range(split.shape[0]):
        node = 0
        weight = 1.0
        while node < inner and mass[tree, node] >= least:
            below = x[split[tree, node]] <= value[tree, node]
            node = 2 * node + (1 if below else 2)
            weight *= 2.0
        total += mass[tree, node] * weight
    return total


@njit(cache=True, nogil=True)
def learn_point(x: Array, split: Indices, value: Array, mass: Masses) -> bool:
    """Add `x` to the mass of every node on its way to a leaf of each tree.

    Return False of a point not known in full, which teaches nothing.
    """
    for coordinate in x:
        if not np.isfinite(coordinate):
            return False
    inner = split.shape[1]
    for tree in range(split.shape[0]):
        node = 0
        mass[tree, 0] += 1.0
        while node < inner:
            below = x[split[tree, node]] <= value[tree, node]
            node = 2 * node + (1 if below else 2)
            mass[tree, node] += 1.0
    return True


def compile_all() -> None:
    """Compile both kernels for the one signature they have."""
    split, value = grow(1, 2, 1, 0, True)
    mass = np.zeros((1, 7), dtype=np.float32)
    x = np.zeros(1)
    learn_point(x, split, value, mass)
    score_point(x, split, value, mass, 1.0)
