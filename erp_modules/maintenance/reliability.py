"""How likely it is that a component fails within a given time: Weibull survival with covariates.

Pure functions on arrays: what is learnt of an equipment class is a handful of numbers, and what
they say of a component follows from them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Of a coefficient of a covariate in units of its spread: one of 5 is no surprise.
PRIOR_SPREAD = 5.0
LEAST_FAILURES = 10
_STEPS = 100


class SurvivalError(ValueError):
    """Histories from which no survival can be learnt."""


@dataclass(frozen=True, slots=True)
class WeibullSurvival:
    """Survival `exp(-(t / exp(a + b x))**shape)` of the time t (days) from when x was seen.

    `covariates` name the columns of x, whose `mean` and `scale` (p,) make b (p,) comparable: of
    `weights` (p + 1,) the first is a.
    """

    covariates: tuple[str, ...]
    mean: Array
    scale: Array
    shape: float
    weights: Array

    def failure_within(self, x: Array, days: float) -> Array:
        """Return the probability (r,) of a failure within `days` of covariates (r, p).

        >>> usual = np.zeros(1)
        >>> life = WeibullSurvival(("age",), usual, usual + 1, 1.0, np.array([np.log(10.0), 0.0]))
        >>> life.failure_within(np.zeros((1, 1)), 10.0).round(3).tolist()
        [0.632]
        """
        scale = np.exp(self._location(x))
        found: Array = -np.expm1(-((days / scale) ** self.shape))
        return found

    def quantile(self, x: Array, chance: float) -> Array:
        """Return the days (r,) within which components with covariates (r, p) fail by a chance."""
        found: Array = np.exp(self._location(x)) * (-np.log1p(-chance)) ** (1.0 / self.shape)
        return found

    def _location(self, x: Array) -> Array:
        found: Array = _design(x, self.mean, self.scale) @ self.weights
        return found


def fit_weibull(
    days: Array, failed: npt.NDArray[np.bool_], x: Array, covariates: Sequence[str]
) -> WeibullSurvival:
    """Learn from components seen with covariates x (r, p): `days` (r,) until they failed.

    Where `failed` is False they had not by then (replaced before, or the record ends). A component
    may be in several rows, each seen at another time (landmarks: van Houwelingen, "Dynamic
    prediction by landmarking in event history analysis", Scandinavian Journal of Statistics 34
    (2007), 70-85). Maximum likelihood of the accelerated failure time model (Kalbfleisch and
    Prentice, "The Statistical Analysis of Failure Time Data", 2002, 2.3.3) with a weak normal prior
    on the coefficients, by Newton's method.

    Raises:
        SurvivalError: too few failures, or times that are not positive.
    """
    if int(failed.sum()) < LEAST_FAILURES:
        raise SurvivalError(f"{int(failed.sum())} failures: {LEAST_FAILURES} are needed")
    if not (days > 0.0).all():
        raise SurvivalError("every time to a failure or to the end of its record is above 0")
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    design = _design(x, mean, scale)
    log_days, events = np.log(days), failed.astype(np.float64)
    # Parameters: the logarithm of the shape, then -shape * weights, in which the likelihood is
    # nearly quadratic.
    found = np.zeros(design.shape[1] + 1)
    found[1] = np.log(events.sum() / days.sum())
    penalty = np.r_[0.0, 0.0, np.full(x.shape[1], 1.0 / PRIOR_SPREAD**2)]
    value = _loss(found, design, log_days, events, penalty)
    for _ in range(_STEPS):
        shape = np.exp(found[0])
        hazard = np.exp(shape * log_days + design @ found[1:])
        rest = hazard - events
        timed = shape * log_days
        gradient = np.r_[(rest * timed).sum() - events.sum(), design.T @ rest] + penalty * found
        by_shape = (hazard * timed**2).sum() + (rest * timed).sum()
        crossed = design.T @ (hazard * timed)
        curvature = np.empty((found.size, found.size))
        curvature[0, 0] = max(by_shape, 1e-9)
        curvature[0, 1:] = curvature[1:, 0] = crossed
        curvature[1:, 1:] = (design * hazard[:, np.newaxis]).T @ design
        curvature += np.diag(penalty + 1e-9)
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        share = 1.0
        while True:
            after = found - share * step
            lower = _loss(after, design, log_days, events, penalty)
            if lower <= value or share < 1e-6:
                break
            share *= 0.5
        if not lower < value - 1e-10 * abs(value):
            break
        found, value = after, lower
    shape = float(np.exp(found[0]))
    return WeibullSurvival(tuple(covariates), mean, scale, shape, -found[1:] / shape)


def _loss(found: Array, design: Array, log_days: Array, events: Array, penalty: Array) -> float:
    """Return the negative logarithm of the likelihood, with the prior."""
    shape = np.exp(found[0])
    linear = design @ found[1:]
    log_hazard = shape * log_days + linear
    if log_hazard.max() > 500.0:
        return float("inf")
    likelihood = (events * (found[0] + log_hazard)).sum() - np.exp(log_hazard).sum()
    return float(0.5 * (penalty * found**2).sum() - likelihood)


def _design(x: Array, mean: Array, scale: Array) -> Array:
    return np.hstack([np.ones((len(x), 1)), (x - mean) / scale])
