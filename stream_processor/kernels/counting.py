"""Whether a series is a counter, of which its increments are followed and not its values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Steps after which it is decided, and over how many their shares are known from then on.
DECIDED = 200
# A counter never falls in its first steps and rises in more than half of them. It may start again
# from time to time: it is none after all when it falls this often.
RISES, FALLS = 0.5, 0.05

# Places in `steps`: the last value, values seen, the shares of steps up and down, 1 of a counter.
LAST, SEEN, UP, DOWN, COUNTS = range(5)
STEPS = 5


@njit(cache=True, nogil=True)
def taken(value: float, rows: int, steps: Array) -> float:
    """Return the value, or of a counter its increment a row over so many; NaN if it starts again.

    A counter's first value is no increment, so NaN too.
    """
    step = value - steps[LAST]
    steps[LAST] = value
    steps[SEEN] = min(steps[SEEN] + 1.0, 1e6)
    if steps[SEEN] > 1.0:
        gain = 1.0 / min(steps[SEEN] - 1.0, DECIDED)
        steps[UP] += gain * ((1.0 if step > 0.0 else 0.0) - steps[UP])
        steps[DOWN] += gain * ((1.0 if step < 0.0 else 0.0) - steps[DOWN])
    if steps[COUNTS] == 0.0:
        return value
    return step / rows if step >= 0.0 else np.nan


@njit(cache=True, nogil=True)
def decide(steps: Array) -> bool:
    """Decide what the series is; return whether that has changed."""
    if steps[COUNTS] == 0.0:
        begun = steps[SEEN] == DECIDED + 1.0
        counts = bool(begun and steps[DOWN] == 0.0 and steps[UP] > RISES)
        if counts:
            steps[COUNTS] = 1.0
        return counts
    if steps[DOWN] > FALLS:
        steps[COUNTS] = 0.0
        return True
    return False


def compile_all() -> None:
    """Compile what is called from outside."""
    steps = np.zeros(STEPS)
    taken(0.0, 1, steps)
    decide(steps)
