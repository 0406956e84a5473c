"""Half-space trees in flat arrays (Tan, Ting and Liu, IJCAI 2011)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Masses = npt.NDArray[np.float32]


def grow(trees: int, height: int, dimensions: int, seed: int) -> tuple[Indices, Array]:
    """Return the split dimensions and values (trees, 2**height - 1) of random half-space trees.

    Points lie in the unit cube. Each tree's work range is drawn around a random point, as in the
    paper; the result is a pure function of the arguments, so no state has to hold it.
    """
    random = np.random.default_rng(seed)
    inner = 2**height - 1
    split = random.integers(dimensions, size=(trees, inner))
    value = np.empty((trees, inner))
    for tree in range(trees):
        centre = random.random(dimensions)
        reach = 2.0 * np.maximum(centre, 1.0 - centre)
        low = {0: centre - reach}
        high = {0: centre + reach}
        for node in range(inner):
            axis = split[tree, node]
            a, b = low.pop(node), high.pop(node)
            middle = 0.5 * (a[axis] + b[axis])
            value[tree, node] = middle
            left, right = 2 * node + 1, 2 * node + 2
            low[left], high[left] = a, b.copy()
            high[left][axis] = middle
            low[right], high[right] = a.copy(), b
            low[right][axis] = middle
    return split, value


@njit(cache=True, nogil=True)
def score_point(x: Array, split: Indices, value: Array, mass: Masses, least: float) -> float:
    """Return the mass of `x`: the sum over trees of `mass * 2**depth` where it comes to rest.

    `mass` is (trees, 2**(height + 1) - 1). A walk ends at the first node with a mass under
    `least`, or at a leaf. A low sum is an anomaly.
    """
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
def learn_point(x: Array, split: Indices, value: Array, mass: Masses) -> None:
    """Add `x` to the mass of every node on its way to a leaf of each tree."""
    inner = split.shape[1]
    for tree in range(split.shape[0]):
        node = 0
        mass[tree, 0] += 1.0
        while node < inner:
            below = x[split[tree, node]] <= value[tree, node]
            node = 2 * node + (1 if below else 2)
            mass[tree, node] += 1.0


def compile_all() -> None:
    """Compile both kernels for the one signature they have."""
    split, value = grow(1, 2, 1, 0)
    mass = np.zeros((1, 7), dtype=np.float32)
    x = np.zeros(1)
    learn_point(x, split, value, mass)
    score_point(x, split, value, mass, 1.0)
