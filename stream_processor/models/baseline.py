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

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
SCHEMA = 1

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

    def _regressors(self, drivers: Array) -> Array:
        fresh = np.isnan(self._origin)
        if fresh.any():
            self._origin = np.where(fresh, drivers, self._origin)
        unit = self._unit()
        x = np.ones(drivers.size + 1)
        x[1:] = np.nan_to_num((drivers - self._origin) / unit)
        return x

    def _unit(self) -> Array:
        scale = DRIVER_UNIT * np.abs(self._origin)
        return np.where(scale > 1e-9, scale, 1.0)

    def score(self, drivers: Array, targets: Array, tolerance: Array, trust: float = 1.0) -> Scored:
        """Return the scores of an observation; `learn` takes the same one.

        `drivers` (d,), `targets` (m,) with NaN for missing, `tolerance` (m,): the least standard
        deviation of each target; `trust` 0 to 1: how well the interval of observations is known.
        """
        x = self._regressors(drivers)
        found = np.empty((2, targets.size))
        kernel.residuals(x, targets, self._own, self._inverse, self._weights, found)
        if drivers.size:
            is_driver = self._own > 0
            found[0, is_driver] *= self._unit()[self._own[is_driver] - 1]
        scored = np.empty((3, targets.size))
        kernel.score(found, tolerance, trust, self._statistics, scored)
        self._found, self._scored, self._x = found, scored, x
        return Scored(found[0], scored[0], scored[1], scored[2])

    def learn(self, targets: Array, ratio: Array, memory: float) -> None:
        """Learn the observation that was scored last; `ratio` (m,) is its score over the limit."""
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
            "schema": SCHEMA,
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
            ValueError: the schema is newer than this code.
        """
        if state["schema"] > SCHEMA:
            raise ValueError(f"baseline state has schema {state['schema']}, not {SCHEMA}")
        own = state["own"]
        model = cls(state["origin"].size, np.where(own > 0, own - 1, -1))
        model._origin = state["origin"].copy()
        model._inverse = state["inverse"].copy()
        model._weights = state["weights"].copy()
        model._statistics = state["statistics"].copy()
        return model
