"""How far a value is from the nearest that was seen: news where a range has gaps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Values that are remembered; of ten distances the radius within which one is not another is nine.
KNOWN = 64
SHARE = 0.9
RATE = 0.05
# How much of the way a known value moves to one within the radius.
DRAWN = 0.1

# Rows of `known`: the values, and when each was seen last, in values. Places in `count`: how many
# are known, how many were learnt, the radius.
VALUE, SEEN = range(2)
FILLED, LEARNT, RADIUS = range(3)
COUNT = 3


@njit(cache=True, nogil=True)
def nearest(value: float, known: Array, count: Array) -> int:
    """Return the place of the nearest in `known` (2, KNOWN), -1 if there is none."""
    best, place = np.inf, -1
    for i in range(int(count[FILLED])):
        distance = abs(value - known[VALUE, i])
        if distance < best:
            best, place = distance, i
    return place


@njit(cache=True, nogil=True)
def learn(value: float, known: Array, count: Array) -> None:
    """Learn a value: as one that is near, or in the place of what was not seen for longest.

    Leader clustering (Hartigan 1975), its radius a quantile of the distances by stochastic
    approximation.
    """
    count[LEARNT] += 1.0
    place = nearest(value, known, count)
    distance = abs(value - known[VALUE, place]) if place >= 0 else 0.0
    radius = count[RADIUS]
    if place >= 0 and distance <= radius:
        known[VALUE, place] += DRAWN * (value - known[VALUE, place])
        known[SEEN, place] = count[LEARNT]
        count[RADIUS] -= RATE * (1.0 - SHARE) * radius
        return
    if place >= 0:
        count[RADIUS] = distance if radius == 0.0 else radius + RATE * SHARE * distance
    filled = int(count[FILLED])
    if filled < KNOWN:
        place = filled
        count[FILLED] += 1.0
    else:
        place = int(known[SEEN].argmin())
    known[VALUE, place] = value
    known[SEEN, place] = count[LEARNT]


def compile_all() -> None:
    """Compile what is called from outside."""
    known, count = np.zeros((2, KNOWN)), np.zeros(COUNT)
    nearest(0.0, known, count)
    learn(0.0, known, count)
