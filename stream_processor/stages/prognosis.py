"""Prognostics assessment (ISO 13374-2, 5.5): how long until the machine has failed."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from stream_processor.models.trend import theil_sen
from stream_processor.schema import Schema
from stream_processor.stages.items import Assessment, Outlook, RemainingHours

SCHEMA = Schema("prognostics assessment")
# Health at which a machine counts as failed, and under which its decline is followed.
FAILED = 0.2
DECLINING = 0.97
# Points of the decline that are kept; when they are full, every second one goes and the distance
# between the next ones doubles, so that a decline of a minute and one of a month fit alike.
POINTS = 48
MOST_HOURS = 10_000.0
_MS_PER_HOUR = 3_600_000.0


class Prognosis:
    """Extrapolate the decline of one machine's health to failure."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._healths: list[float] = []
        self._stride = 1
        self._skipped = 0

    def update(self, item: Assessment) -> Outlook:
        """Return the remaining life, None while the trend of health is not significant."""
        found = [
            self._follow(deviation.observation.time_ms / _MS_PER_HOUR, condition.health)
            for deviation, condition in zip(
                item.detections.deviations, item.conditions, strict=True
            )
        ]
        return Outlook(item, tuple(found))

    def _follow(self, hours: float, health: float) -> RemainingHours | None:
        if health >= DECLINING:
            self._times, self._healths, self._stride, self._skipped = [], [], 1, 0
            return None
        self._keep(hours, health)
        return self._remaining(health)

    def _keep(self, hours: float, health: float) -> None:
        if self._times and hours < self._times[-1]:
            # The machine's clock was put back; its decline goes on.
            ahead = self._times[-1] - hours
            self._times = [time - ahead for time in self._times]
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self._times.append(hours)
        self._healths.append(health)
        if len(self._times) >= POINTS:
            self._times, self._healths = self._times[::2], self._healths[::2]
            self._stride *= 2

    def _remaining(self, health: float) -> RemainingHours | None:
        if health <= FAILED:
            return RemainingHours(0.0, 0.0, 0.0)
        trend = theil_sen(np.array(self._times), np.array(self._healths))
        if trend is None or not trend.upper < 0.0:
            return None
        left = health - FAILED

        def until(slope: float) -> float:
            return min(left / -slope, MOST_HOURS)

        return RemainingHours(until(trend.slope), until(trend.lower), until(trend.upper))

    def state(self) -> dict[str, Any]:
        """Return the points of the decline."""
        return {
            "schema": SCHEMA.version,
            "times": np.array(self._times),
            "healths": np.array(self._healths),
            "stride": self._stride,
            "skipped": self._skipped,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        stage = cls()
        stage._times = state["times"].tolist()
        stage._healths = state["healths"].tolist()
        stage._stride = state["stride"]
        stage._skipped = state["skipped"]
        return stage
