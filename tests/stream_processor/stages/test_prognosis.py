from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.stages.items import (
    Assessment,
    Catalogue,
    Condition,
    Detections,
    Deviation,
    Features,
    Observation,
    RemainingHours,
    SignalQuality,
)
from stream_processor.stages.prognosis import FAILED, Prognosis

NONE = np.zeros(0)
INFO = EquipmentInfo("s", "n", "P-1", "pump", "", "live", {})


@pytest.fixture
def follow() -> Callable[..., RemainingHours | None]:
    def step(stage: Prognosis, minute: int, health: float) -> RemainingHours | None:
        at = 60_000 * minute
        observation = Observation(
            at, NONE, NONE, NONE, SignalQuality(NONE, NONE, NONE, NONE), NONE, NONE
        )
        deviation = Deviation(observation, NONE, NONE, NONE, NONE, (), 0.0, 0.0, NONE, True)
        features = Features(
            Frame(INFO, at, at, {}), Catalogue(INFO, (), (), (), (), ()), (observation,)
        )
        item = Assessment(Detections(features, (deviation,)), (Condition(health, 0.0),))
        return stage.update(item).remaining[0]

    return step


def test_a_steady_decline_is_extrapolated_with_an_interval_that_holds_the_truth(follow):
    random = np.random.default_rng(1)
    stage = Prognosis()
    for minute in range(300):
        left = follow(stage, minute, 0.95 - minute * 0.6 / 300 + 0.01 * random.normal())
    truth = (0.95 - 0.6 - FAILED) / (0.6 / 300) / 60
    assert left is not None
    assert left.lower <= left.median <= left.upper
    assert left.median == pytest.approx(truth, rel=0.2)


def test_a_machine_that_holds_its_health_has_no_end_in_sight(follow):
    random = np.random.default_rng(2)
    stage = Prognosis()
    told = [follow(stage, m, 0.8 + 0.02 * random.normal()) for m in range(300)]
    assert told[-1] is None
    assert [follow(stage, 300 + m, 1.0) for m in range(5)] == [None] * 5


def test_a_failed_machine_has_no_life_left(follow):
    assert follow(Prognosis(), 0, 0.1) == RemainingHours(0.0, 0.0, 0.0)


def test_the_points_of_a_long_decline_stay_few(follow):
    stage = Prognosis()
    for minute in range(5000):
        follow(stage, minute, 0.9 - minute * 1e-4)
    assert stage.state()["times"].size < 50


def test_a_clock_that_is_put_back_does_not_end_a_decline(follow):
    stage, whole, day = Prognosis(), Prognosis(), 1440
    for minute in range(300):
        health = 0.95 - minute * 0.6 / 300
        left = follow(stage, minute + (day if minute < 150 else 0), health)
        expected = follow(whole, minute, health)
    assert left is not None
    assert expected is not None
    assert left.median == pytest.approx(expected.median, rel=0.05)
