"""Remaining life from the rise of one index of damage: a Wiener process with an uncertain drift.

Nothing is learnt of others: what it needs to know is at which index machines have failed, more or
less. Where there is a library of an equipment class, `remaining_life.py` knows better.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels.first_passage import passage_quantiles
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
SCHEMA = Schema("a degradation")

# Weight of the observation i of n is (i / n)**RECENT: the drift is that of about the last third,
# however long the rise has lasted.
RECENT = 2.0
# Observations, and normal deviations of the drift, from which there is a trend (one-sided 95 %).
LEAST_POINTS = 8
SIGNIFICANT = 1.6448536269514722
# The drift that is to come is that of late, give or take this share.
DRIFT_CHANGE = 0.5
MOST_HOURS = 10_000.0
# Failure levels that stand for all, as likely as one another.
LEVELS = 9
_CHANCES = np.array([0.05, 0.5, 0.95])
# A Brownian path of variance s an hour has a variance of s T / 15 around its line over T hours.
_AROUND_LINE = 15.0


@dataclass(frozen=True, slots=True)
class Passage:
    """Hours until the index reaches the failure level: median and 90 % interval."""

    median: float
    lower: float
    upper: float


class Degradation:
    """Follow the index of one machine from when it began to rise.

    Half of the machines fail below `threshold`; `spread` is the standard deviation of the logarithm
    of the index at failure.
    """

    def __init__(self, threshold: float, spread: float) -> None:
        self._threshold = threshold
        self._spread = spread
        self.reset()

    def reset(self) -> None:
        """Forget the rise: the machine is as it was before."""
        self._seen = 0
        self._hours = 0.0
        self._last_residual = 0.0
        # Discounted sums: weight, time, time squared, index, time times index; of squared
        # residuals, and of products of neighbours. Times are from the last observation.
        self._sums = np.zeros(7)

    @property
    def hours(self) -> float:
        """The time of the last observation."""
        return self._hours

    def update(self, hours: float, index: float) -> Passage | None:
        """Take the index at a time (hours) and return the remaining life, None without a trend.

        Numbers that are none are passed over. A clock that is put back moves what was seen along.
        """
        if not (np.isfinite(hours) and np.isfinite(index)):
            return None
        self._take(hours, index)
        return self._passage()

    @property
    def evidence(self) -> float:
        """How many normal deviations the drift is above 0; 0 before there are enough points."""
        fit = self._fit()
        if fit is None:
            return 0.0
        _, drift, spread, _ = fit
        return max(0.0, drift / spread)

    def _take(self, hours: float, index: float) -> None:
        s = self._sums
        fit = self._fit()
        n = self._seen = min(self._seen + 1, 1_000_000)
        s *= ((n - 1.0) / n) ** RECENT
        if n > 1:
            elapsed = max(0.0, hours - self._hours)
            s[4] -= elapsed * s[3]
            s[2] += elapsed * (elapsed * s[0] - 2.0 * s[1])
            s[1] -= elapsed * s[0]
        if fit is not None:
            level, drift, _, _ = fit
            residual = index - level - drift * max(0.0, hours - self._hours)
            s[6] += residual * self._last_residual
            s[5] += residual**2
            self._last_residual = residual
        s[0] += 1.0
        s[3] += index
        self._hours = hours

    def _fit(self) -> tuple[float, float, float, float] | None:
        """Return level now, drift, its standard deviation, and the diffusion an hour."""
        weight, time, squares, index, product, around, neighbours = self._sums.tolist()
        if self._seen < LEAST_POINTS // 2:
            return None
        across = squares - time**2 / weight
        if across <= 0.0:
            return None
        drift = (product - time * index / weight) / across
        level = (index - drift * time) / weight
        variance = max(around / weight, 1e-12)
        alike = min(max(neighbours / max(around, 1e-12), 0.0), 0.95)
        # Neighbours that are alike count as fewer (Priestley 1981, 5.3.2).
        inflated = variance * (1.0 + alike) / (1.0 - alike)
        # The discounted weights have a span of which the uniform one has this standard deviation.
        span = float(np.sqrt(12.0 * across / weight))
        diffusion = max(_AROUND_LINE * alike * variance / span, 1e-6 * inflated / span)
        return level, drift, float(np.sqrt(inflated / across)), diffusion

    def _passage(self) -> Passage | None:
        fit = self._fit()
        if self._seen < LEAST_POINTS or fit is None:
            return None
        level, drift, spread, diffusion = fit
        if drift < SIGNIFICANT * spread:
            return None
        hours = np.empty(_CHANCES.size)
        passage_quantiles(
            _CHANCES,
            _levels_above(level, self._threshold, self._spread) - level,
            drift,
            float(np.hypot(spread, DRIFT_CHANGE * drift)),
            diffusion,
            MOST_HOURS,
            hours,
        )
        low, median, high = hours.tolist()
        return Passage(median, low, high)

    def state(self) -> dict[str, Any]:
        """Return the sums."""
        return {
            "schema": SCHEMA.version,
            "threshold": self._threshold,
            "spread": self._spread,
            "seen": self._seen,
            "hours": self._hours,
            "last_residual": self._last_residual,
            "sums": self._sums,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the model in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        model = cls(state["threshold"], state["spread"])
        model._seen = state["seen"]
        model._hours = state["hours"]
        model._last_residual = state["last_residual"]
        model._sums = state["sums"].copy()
        return model


def _levels_above(level: float, centre: float, spread: float) -> Array:
    """Return equally likely levels of failure above `level`: a machine that runs has not failed."""
    normal = NormalDist(float(np.log(centre)), spread)
    below = min(normal.cdf(float(np.log(level))), 1.0 - 1e-9) if level > 0.0 else 0.0
    shares = (np.arange(LEVELS) + 0.5) / LEVELS
    found = np.exp([normal.inv_cdf(below + (1.0 - below) * share) for share in shares.tolist()])
    return np.maximum(found, level + 1e-6 * centre)
