"""Prognostics assessment (ISO 13374-2, 5.5): how long until the machine has failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from stream_processor.models.degradation import MOST_HOURS, Degradation
from stream_processor.models.remaining_life import LifeLibrary, Trajectory
from stream_processor.schema import Schema, State
from stream_processor.stages.items import (
    Assessment,
    Catalogue,
    Deviation,
    Outlook,
    RemainingHours,
)

# Health at which a machine counts as failed, and under which its decline is followed.
FAILED = 0.2
DECLINING = 0.97
# How many standard deviations of its healthy running a machine's worst feature is away when it has
# failed, and how uncertain the logarithm of that is: from the simulated plant, one half of its
# scenarios (benchmarks/prognosis.py).
FAILURE_INDEX = 20.0
FAILURE_SPREAD = 0.45
# An observation is a row of a library from this share of the time between two rows on.
EARLY = 0.75
_MS_PER_HOUR = 3_600_000.0


def _begin_anew(state: State) -> State:
    # The points of before were of health, which levels off long before a failure and says nothing
    # of the index that is followed now.
    return {
        "degradation": Degradation(FAILURE_INDEX, FAILURE_SPREAD).state(),
        "channels": "",
        "trajectory": None,
        "taken_hours": 0.0,
        "told": None,
    }


SCHEMA = Schema("prognostics assessment", 2, {1: _begin_anew})


def index_of(known: Catalogue, deviation: Deviation) -> float:
    """Return how many standard deviations the worst feature is from what was expected.

    Features of channels that are themselves faulty do not count against the machine. Severity is
    cut off where an alarm is certain; this goes on rising until the machine fails.
    """
    faulty = {f.channel for f in deviation.sensor_faults if f.ratio >= 1.0}
    sound = [
        abs(score)
        for feature, score in zip(known.features, deviation.score.tolist(), strict=True)
        if feature.channel not in faulty and np.isfinite(score)
    ]
    return max(sound, default=float("nan"))


def series_of(
    known: Catalogue, deviation: Deviation, names: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """Return the values (n,) of series by their names in the historian, NaN where there is none."""
    observation = deviation.observation
    values = dict(
        zip((f.series for f in known.features), observation.measured.tolist(), strict=True)
    )
    trends = zip((f.series for f in known.trends), observation.trends.tolist(), strict=True)
    values = {**dict(trends), **values}
    return np.array([values.get(name, np.nan) for name in names])


class Prognosis:
    """Follow the damage of one machine from when its health began to decline.

    Where `libraries` has one of the machine's class that knows how far apart its rows are, and the
    machine is near enough to its end for the library to bound it, the library has the say.
    """

    libraries: ClassVar[Mapping[str, LifeLibrary]] = {}

    def __init__(self) -> None:
        self._degradation = Degradation(FAILURE_INDEX, FAILURE_SPREAD)
        # Of which series there is a trajectory, and when its last row was due.
        self._channels: tuple[str, ...] = ()
        self._trajectory: Trajectory | None = None
        self._taken_hours = 0.0
        self._told: RemainingHours | None = None

    @classmethod
    def using(cls, libraries: Mapping[str, LifeLibrary]) -> type[Self]:
        """Return the stage with libraries by equipment class."""
        return type(cls.__name__, (cls,), {"libraries": dict(libraries), "__doc__": cls.__doc__})

    def update(self, item: Assessment) -> Outlook:
        """Return the remaining life, None while there is no significant trend."""
        known = item.detections.features.catalogue
        found = [
            self._follow(known, deviation, condition.health)
            for deviation, condition in zip(
                item.detections.deviations, item.conditions, strict=True
            )
        ]
        return Outlook(item, tuple(found))

    def _follow(
        self, known: Catalogue, deviation: Deviation, health: float
    ) -> RemainingHours | None:
        by_others = self._by_others(known, deviation)
        if health >= DECLINING:
            self._degradation.reset()
            return by_others
        passage = None
        if deviation.judged:
            hours = deviation.observation.time_ms / _MS_PER_HOUR
            passage = self._degradation.update(hours, index_of(known, deviation))
        if health <= FAILED:
            return RemainingHours(0.0, 0.0, 0.0)
        if by_others is not None:
            return by_others
        if passage is None:
            return None
        return RemainingHours(passage.median, passage.lower, passage.upper)

    def _by_others(self, known: Catalogue, deviation: Deviation) -> RemainingHours | None:
        """Return what became of others of the class, None without a library or an end in sight."""
        library = self.libraries.get(known.info.equipment_class)
        if library is None or not np.isfinite(library.hours):
            return None
        hours = deviation.observation.time_ms / _MS_PER_HOUR
        since = hours - self._taken_hours
        if self._trajectory is None or self._channels != library.channels:
            self._channels, self._trajectory = library.channels, Trajectory(len(library.channels))
            self._told, self._taken_hours = None, hours
        elif -library.hours < since < EARLY * library.hours:
            return self._told
        elif EARLY * library.hours <= since < 2.0 * library.hours:
            # On the grid of the library, so that many early ones do not make time run faster.
            self._taken_hours += library.hours
        else:
            self._taken_hours = hours
        followed = self._trajectory.update(series_of(known, deviation, library.channels))
        if not self._trajectory.ready:
            return None
        life = library.remaining(followed)
        self._told = None
        if np.isfinite(life.upper):
            median, lower, upper = (
                min(x * library.hours, MOST_HOURS) for x in (life.median, life.lower, life.upper)
            )
            self._told = RemainingHours(median, lower, upper)
        return self._told

    def state(self) -> dict[str, Any]:
        """Return the rise of the damage, and the trajectory for a library."""
        return {
            "schema": SCHEMA.version,
            "degradation": self._degradation.state(),
            "channels": "\n".join(self._channels),
            "trajectory": self._trajectory and self._trajectory.state(),
            "taken_hours": self._taken_hours,
            "told": self._told and (self._told.median, self._told.lower, self._told.upper),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        stage = cls()
        stage._degradation = Degradation.restore(state["degradation"])
        if state["trajectory"] is not None:
            stage._channels = tuple(state["channels"].split("\n"))
            stage._trajectory = Trajectory.restore(state["trajectory"])
            stage._taken_hours = state["taken_hours"]
            stage._told = state["told"] and RemainingHours(*state["told"])
        return stage
