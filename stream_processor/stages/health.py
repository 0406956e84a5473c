"""Health assessment (ISO 13374-2, 5.4): from deviations to one number for a machine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from stream_processor.schema import Schema
from stream_processor.stages.items import Assessment, Catalogue, Condition, Detections, Deviation

# 2: how long a deviation by itself has kept an alarm standing.
SCHEMA = Schema("health assessment", 2, {1: lambda state: {**state, "held": 0}})
# Severity under which a machine is as new, and how fast health falls above it: at the alarm limit
# (severity 1) health is 0.88, at five times the limit 0.32.
NO_CONCERN = 0.5
DECAY = 0.25
# Share of the new severity a frame: a rise is believed sooner than a fall.
RISE_GAIN = 0.5
FALL_GAIN = 0.1
# Of readings beside each other a deviation that is no surprise any more keeps an alarm standing at
# this severity, for so many observations: then it is usual.
STANDING = 0.9
MOST_HELD = 1000
# The edge's model confirms more than it accuses.
EDGE_WEIGHT = 0.6


def health_of(severity: float) -> float:
    """Return the health, 1 (as new) to 0 (failed), of a severity (1 is the alarm limit).

    >>> health_of(0.0), round(health_of(1.0), 2), round(health_of(5.0), 2)
    (1.0, 0.88, 0.32)
    """
    return float(np.exp(-DECAY * max(0.0, severity - NO_CONCERN)))


def severity_of(known: Catalogue, deviation: Deviation) -> float:
    """Return the severity of an observation: the worst deviation, the edge's score, or a surprise.
    Features of channels that are themselves faulty do not count against the machine.
    """
    faulty = {f.channel for f in deviation.sensor_faults if f.ratio >= 1.0}
    if not faulty:
        worst = float(np.abs(deviation.ratio).max(initial=0.0))
        return max(worst, EDGE_WEIGHT * deviation.edge_ratio, deviation.surprise_ratio)
    ratios = np.abs(deviation.ratio).tolist()
    return max(
        (r for f, r in zip(known.features, ratios, strict=True) if f.channel not in faulty),
        default=0.0,
    )


class HealthAssessment:
    """Follow the health of one machine."""

    def __init__(self) -> None:
        self._severity = 0.0
        self._held = 0

    def update(self, item: Detections) -> Assessment:
        """Return the health at each observation of a frame."""
        known = item.features.catalogue
        found = []
        for deviation in item.deviations:
            if deviation.judged:
                now = severity_of(known, deviation)
                if known.compared:
                    now = self._of_readings(now, deviation.surprise_ratio)
                rise = 1.0 if known.compared else RISE_GAIN
                gain = rise if now > self._severity else FALL_GAIN
                self._severity += gain * (now - self._severity)
            found.append(Condition(health_of(self._severity), self._severity))
        return Assessment(item, tuple(found))

    def _of_readings(self, severity: float, surprise: float) -> float:
        """Return the severity of readings beside each other: a surprise, or what is left of one.

        A surprise holds readings against each other, against the last ones and against how they
        were at this hour, and is over when they are as they have been of late.
        """
        if surprise >= STANDING or severity < STANDING:
            self._held = 0
            return surprise
        self._held += 1
        return STANDING if self._held <= MOST_HELD else surprise

    def state(self) -> dict[str, Any]:
        """Return the smoothed severity."""
        return {"schema": SCHEMA.version, "severity": self._severity, "held": self._held}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        stage = cls()
        stage._severity = state["severity"]
        stage._held = state["held"]
        return stage
