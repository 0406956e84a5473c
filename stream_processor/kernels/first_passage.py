"""When a Wiener process with drift first reaches a level, the drift being known more or less."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Halvings of the logarithm of the time: they leave less than a millionth of it.
_HALVINGS = 32
_SHORTEST = 1e-9
_ROOT_TWO = math.sqrt(2.0)
_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)


@njit(cache=True, nogil=True)
def _tail(x: float) -> float:
    """Return the normal distribution at x <= 0 over its density there times the root of two pi."""
    if x > -30.0:
        return 0.5 * math.erfc(-x / _ROOT_TWO) * math.exp(0.5 * x * x)
    # Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.12.
    return (1.0 - 1.0 / (x * x)) / (-x * _ROOT_TWO_PI)


@njit(cache=True, nogil=True)
def passage_probability(
    hours: float, distance: float, drift: float, drift_spread: float, diffusion: float
) -> float:
    """Return the probability that `distance` is passed within `hours`; 1 when it is not above 0.

    The process has a drift drawn from a normal distribution (`drift` and `drift_spread`, per hour)
    and gains the variance `diffusion` > 0 an hour. With a spread of 0 it is the inverse Gaussian
    distribution (Chhikara and Folks, 1989). A drift that may be negative may never lead there: the
    limit is then below 1. Si, Wang, Hu, Chen and Zhou, "A Wiener-process-based degradation model
    with a recursive filter algorithm for remaining useful life estimation", MSSP 35 (2013),
    219-237, integrated over time.
    """
    if distance <= 0.0:
        return 1.0
    if hours <= 0.0:
        return 0.0
    spread = drift_spread * drift_spread
    root = math.sqrt(diffusion * hours + spread * hours * hours)
    ahead = (drift * hours - distance) / root
    passed = 0.5 * math.erfc(-ahead / _ROOT_TWO)
    # The paths that were there and came back, by reflection. In the usual form, a power of e times
    # the distribution, both overflow; together they are the density of `ahead` times a tail.
    back = -(2.0 * spread * distance * hours / diffusion + drift * hours + distance) / root
    if back <= 0.0:
        passed += math.exp(-0.5 * ahead * ahead) * _tail(back)
    else:
        exponent = 2.0 * distance / diffusion * (drift + spread * distance / diffusion)
        passed += math.exp(min(exponent, 0.0)) * 0.5 * math.erfc(-back / _ROOT_TWO)
    return min(max(passed, 0.0), 1.0)


@njit(cache=True, nogil=True)
def passage_quantiles(
    chances: Array,
    distances: Array,
    drift: float,
    drift_spread: float,
    diffusion: float,
    most: float,
    out: Array,
) -> None:
    """Fill `out` (q,) with the hours by which a level has been passed by `chances` (q,).

    `distances` (d,) are as likely as one another, for the level is known more or less. `most` hours
    are the longest that are told.
    """
    for q in range(chances.size):
        low, high = math.log(_SHORTEST * most), math.log(most)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            hours = math.exp(middle)
            total = 0.0
            for d in range(distances.size):
                total += passage_probability(hours, distances[d], drift, drift_spread, diffusion)
            if total >= chances[q] * distances.size:
                high = middle
            else:
                low = middle
        out[q] = math.exp(high)


def compile_all() -> None:
    """Compile for the one signature it has."""
    one = np.ones(1)
    passage_probability(1.0, 1.0, 1.0, 0.1, 1.0)
    passage_quantiles(0.5 * one, one, 1.0, 0.1, 1.0, 10.0, np.empty(1))
