"""The expected value of every feature of a machine at its present load, and the score of what is.

A multi-output recursive least squares with robust updates. `river.linear_model` learns one target
with its own optimiser and gives no variance of a prediction; here all targets share one covariance
and the prediction's variance widens where the machine has not yet been.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels import baseline as kernel
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
SCHEMA = Schema("a baseline")

# A unit of a regression's driver is this share of the driver's first value.
DRIVER_UNIT = 0.1


@dataclass(frozen=True, slots=True)
class Scored:
    """Targets against expectation; arrays (m,).

    `deviation` is one standard deviation of the prediction, `score` the residual over it,
    `smoothed` the larger of two running means of the score over their own deviations.
    """

    residual: Array
    deviation: Array
    score: Array
    smoothed: Array


class Baseline:
    """Expectation of `targets` features given `drivers` drivers.

    `own[j]` is the driver (counted from 0) that target `j` is itself, -1 when it is none.
    """

    def __init__(self, drivers: int, own: Indices) -> None:
        k = drivers + 1
        self._own = np.where(own >= 0, own + 1, -1).astype(np.int64)
        self._origin = np.full(drivers, np.nan)
        prior = np.full(k, kernel.PRIOR_SLOPE)
        prior[0] = kernel.PRIOR_LEVEL
        self._inverse = np.diag(prior)
        self._weights = np.zeros((k, own.size))
        self._statistics = np.zeros((kernel.ROWS, own.size))

    def retargeted(self, own: Indices, columns: Indices) -> Baseline:
        """Return a baseline of other targets on the same drivers, which goes on where it can.

        `own` is as at the start, of the new targets; `columns[j]` is which target `j` was here, -1
        when it is new. Expectations, variances and scores of the others go on; what is known of
        the drivers, which all share, begins anew, so that new targets are learnt as fast as at
        the start.
        """
        other = Baseline(self._origin.size, own)
        other._origin = self._origin.copy()
        kept = columns >= 0
        other._weights[:, kept] = self._weights[:, columns[kept]]
        other._statistics[:, kept] = self._statistics[:, columns[kept]]
        return other

    @property
    def seen(self) -> Array:
        """How many healthy observations each target was learnt from (m,)."""
        out: Array = self._statistics[kernel.SEEN]
        return out

    @property
    def level(self) -> Array:
        """The usual value of each target, whatever the load (m,)."""
        out: Array = self._statistics[kernel.LEVEL]
        return out

    def update(
        self, drivers: Array, targets: Array, tolerance: Array, trust: float = 1.0
    ) -> Scored:
        """Take an observation and return its scores; `learn` takes the same one as usual.

        `drivers` (d,) and `targets` (m,) with NaN for missing, `tolerance` (m,): the least standard
        deviation of each target; `trust` 0 to 1: how well the interval of observations is known.
        A target that is missing has no score and is not learnt; a driver that is missing is taken
        to be where it was first, which an observation should be kept from where it matters.
        """
        x = np.empty(drivers.size + 1)
        unit = np.empty(drivers.size)
        kernel.regressors(drivers, DRIVER_UNIT, self._origin, unit, x)
        found = np.empty((2, targets.size))
        kernel.residuals(x, targets, self._own, unit, self._inverse, self._weights, found)
        scored = np.empty((3, targets.size))
        kernel.score(found, tolerance, trust, self._statistics, scored)
        self._found, self._scored, self._x = found, scored, x
        return Scored(found[0], scored[0], scored[1], scored[2])

    def learn(self, targets: Array, ratio: Array, memory: float) -> None:
        """Learn the observation that was taken last; `ratio` (m,) is its score over the limit."""
        kernel.learn(
            self._x,
            targets,
            self._own,
            self._found,
            self._scored,
            ratio,
            memory,
            self._inverse,
            self._weights,
            self._statistics,
        )

    def state(self) -> dict[str, Any]:
        """Return the arrays."""
        return {
            "schema": SCHEMA.version,
            "own": self._own,
            "origin": self._origin,
            "inverse": self._inverse,
            "weights": self._weights,
            "statistics": self._statistics,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the baseline in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        own = state["own"]
        model = cls(state["origin"].size, np.where(own > 0, own - 1, -1))
        model._origin = state["origin"].copy()
        model._inverse = state["inverse"].copy()
        model._weights = state["weights"].copy()
        model._statistics = state["statistics"].copy()
        return model
