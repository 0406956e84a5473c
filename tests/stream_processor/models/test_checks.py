"""Every model of the package, held to the common laws."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.models import (
    Baseline,
    Degradation,
    DriftMonitor,
    HalfSpaceForest,
    JointMonitor,
    SeriesMonitor,
    SignalMonitor,
    Trajectory,
)
from stream_processor.models import checks as subject
from stream_processor.models.checks import Driven
from stream_processor.models.series import LAYOUT
from stream_processor.schema import Schema

Array = np.ndarray
TARGETS = 4


def observe_baseline(model: Baseline, row: Array) -> float:
    """The first number is the load, the others follow it."""
    drivers = np.array([50.0 + row[0]])
    targets = 0.1 * drivers + 0.05 * row[1:]
    scored = model.update(drivers, targets, np.full(TARGETS, 0.01))
    # As the stage does: nothing is said of a target that is not known for long enough.
    return float(np.abs(np.where(model.seen >= 40, scored.smoothed, 0.0)).max())


def learn_baseline(model: Baseline, row: Array) -> None:
    targets = 0.1 * (50.0 + row[0]) + 0.05 * row[1:]
    model.learn(targets, np.zeros(TARGETS), 4000.0)


def point(row: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-row / 3.0))


def counts(row: Array) -> tuple[Array, Array, Array, Array]:
    """A few of a hundred samples are lost and as many alone, more in an anomaly."""
    present = np.where(np.isfinite(row), 100.0, row)
    few = np.maximum(np.round(2.0 + 8.0 * np.maximum(row - 2.0, 0.0)), 0.0)
    return present, few, np.ones(row.size), few / 2.0


def observe_signal(model: SignalMonitor, row: Array) -> float:
    found = model.update(*counts(row), np.full(row.size, 100.0))
    return float(np.max([found.dropout, found.stuck, found.spike]))


def observe_series(model: SeriesMonitor, row: Array) -> float:
    """Its times are all over the week."""
    time_ms = int(abs(row[0]) * 1e9) if np.isfinite(row[0]) else 0
    return model.update(float(row[0]), time_ms).value


def observe_degradation(model: Degradation, row: Array) -> float:
    """An index an hour, of a machine that has been alarmed."""
    model.update(model.hours + 1.0, 8.0 + float(row[0]))
    return model.evidence


def observe_trajectory(model: Trajectory, row: Array) -> float:
    """How far the level of late is from how the machine was at first."""
    followed = model.update(row)
    return float(np.nan_to_num(np.abs(followed[0] - followed[-1])).max())


DRIVEN: dict[type[Any], Driven] = {
    Baseline: Driven(
        lambda: Baseline(1, np.full(TARGETS, -1)),
        observe_baseline,
        learn_baseline,
        width=1 + TARGETS,
        bytes_a_series=400,
        learnt=("inverse", "weights"),
        # The load of a row without a single target is learnt all the same.
        traces=0.01,
    ),
    Degradation: Driven(
        lambda: Degradation(20.0, 0.4),
        observe_degradation,
        None,
        width=1,
        bytes_a_series=500,
    ),
    DriftMonitor: Driven(
        lambda: DriftMonitor(3),
        lambda model, row: float(np.abs(model.update(row)).max()),
        None,
        width=3,
        bytes_a_series=150,
    ),
    HalfSpaceForest: Driven(
        lambda: HalfSpaceForest(4),
        lambda model, row: model.score_one(point(row)),
        lambda model, row: model.learn_one(point(row)),
        width=4,
        bytes_a_series=700,
        most=1.0,
        pure=True,
        learnt=("reference", "latest"),
        # Their logistic function is a number.
        broken=(np.nan,),
    ),
    JointMonitor: Driven(
        lambda: JointMonitor(4),
        lambda model, row: model.update(row, 0, 10_000.0).value,
        None,
        width=4,
        bytes_a_series=20_000,
        most=60.0,
    ),
    SeriesMonitor: Driven(
        SeriesMonitor,
        observe_series,
        lambda model, row: model.learn(),
        width=1,
        bytes_a_series=15_000,
        most=12.0,
        parts=lambda state: dict(LAYOUT.views(state["memory"])),
        learnt=(
            "slow",
            "weights",
            "inverse",
            "profile",
            "phases",
            "blocks",
            "known",
            "count",
            "tails",
            "events",
        ),
    ),
    SignalMonitor: Driven(
        lambda: SignalMonitor(3),
        observe_signal,
        lambda model, row: model.learn(*counts(row)),
        width=3,
        bytes_a_series=150,
    ),
    Trajectory: Driven(
        lambda: Trajectory(3),
        observe_trajectory,
        None,
        width=3,
        bytes_a_series=300,
    ),
}
everyone = pytest.mark.parametrize("kind", DRIVEN, ids=lambda kind: kind.__name__)


def test_none_is_forgotten() -> None:
    assert set(subject.models()) == set(DRIVEN)


@everyone
@pytest.mark.parametrize("check", subject.CHECKS, ids=lambda check: check.__name__)
def test_each_law_holds(kind: type[Any], check: Callable[[Driven], None]) -> None:
    check(DRIVEN[kind])


@everyone
@settings(max_examples=15, deadline=None)
@given(seen=st.integers(0, 600), seed=st.integers(0, 9))
def test_a_model_goes_on_from_its_state(kind: type[Any], seen: int, seed: int) -> None:
    subject.check_state_goes_on(DRIVEN[kind], seen, seed)


class Sound:
    """The mean of what was learnt, and how far a row is from it: a model that keeps every law."""

    def __init__(self) -> None:
        self.seen = 0.0
        self.mean = np.zeros(2)

    @property
    def ready(self) -> bool:
        return self.seen >= 10

    def score_one(self, x: Array) -> float:
        if not np.isfinite(x).all() or not self.ready:
            return 0.0
        return float(1.0 - np.exp(-np.abs(x - self.mean).max()))

    def learn_one(self, x: Array) -> None:
        if np.isfinite(x).all():
            self.seen += 1.0
            self.mean += (x - self.mean) / self.seen

    def state(self) -> dict[str, Any]:
        return {"schema": 1, "seen": self.seen, "mean": self.mean}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        self = cls()
        state = Schema("a sound model").current(state)
        self.seen, self.mean = state["seen"], state["mean"].copy()
        return self


class LearnsWhatItScores(Sound):
    def score_one(self, x: Array) -> float:
        self.learn_one(x)
        return super().score_one(x)


class Accuses(Sound):
    @property
    def ready(self) -> bool:
        return True


class NeverReady(Sound):
    @property
    def ready(self) -> bool:
        return False


class Draws(Sound):
    def learn_one(self, x: Array) -> None:
        super().learn_one(x + 1e-6 * np.random.normal())


class AsksTheTime(Sound):
    def learn_one(self, x: Array) -> None:
        super().learn_one(x + 1e-12 * time.time())


class Forgets(Sound):
    def state(self) -> dict[str, Any]:
        return super().state() | {"seen": min(self.seen, 100.0)}


class KeepsObjects(Sound):
    def state(self) -> dict[str, Any]:
        return super().state() | {"model": Fraction(1, 3)}


class DragsAlong(Sound):
    def state(self) -> dict[str, Any]:
        return super().state() | {"mean": np.stack([self.mean] * 9)[0]}


class Shares(Sound):
    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        self = super().restore(state)
        self.mean = state["mean"]
        return self


class TakesAnything(Sound):
    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        return super().restore({**state, "schema": 1})


class IsPoisoned(Sound):
    def learn_one(self, x: Array) -> None:
        self.seen += 1.0
        self.mean += (x - self.mean) / self.seen


class RemembersAll(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[float] = []

    def learn_one(self, x: Array) -> None:
        super().learn_one(x)
        self.rows.append(float(x[0]))

    def state(self) -> dict[str, Any]:
        return super().state() | {"rows": self.rows}


class SeesNothing(Sound):
    def score_one(self, x: Array) -> float:
        return 0.5 if self.ready else 0.0


class IsOutOfRange(Sound):
    def score_one(self, x: Array) -> float:
        return 2.0 * super().score_one(x)


def driven(kind: type[Sound]) -> Driven:
    return Driven(
        kind,
        lambda model, row: model.score_one(row),
        lambda model, row: model.learn_one(row),
        width=2,
        bytes_a_series=300,
        most=1.0,
        pure=True,
        learnt=("seen", "mean"),
    )


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (IsOutOfRange, subject.check_scores),
        (Accuses, subject.check_warm_up),
        (NeverReady, subject.check_warm_up),
        (LearnsWhatItScores, subject.check_scoring_teaches_nothing),
        (Draws, subject.check_determinism),
        (AsksTheTime, subject.check_determinism),
        (Forgets, lambda model: subject.check_state_goes_on(model, 400, 1)),
        (KeepsObjects, subject.check_state_is_plain),
        (DragsAlong, subject.check_state_is_plain),
        (Shares, subject.check_state_is_apart),
        (TakesAnything, subject.check_other_schemas),
        (IsPoisoned, subject.check_what_is_no_number),
        (RemembersAll, subject.check_size),
        (SeesNothing, subject.check_anomalies),
    ],
    ids=lambda item: item.__name__,
)
def test_a_model_that_breaks_a_law_is_found(kind: type[Sound], check: Any) -> None:
    check(driven(Sound))
    with pytest.raises(AssertionError):
        check(driven(kind))
