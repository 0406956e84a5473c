from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.models import life_learning
from stream_processor.models.remaining_life import WARM_UP, LifeLibrary, LifeLibraryError
from stream_processor.stages import stages_with
from stream_processor.stages.items import (
    Assessment,
    Catalogue,
    Condition,
    Detections,
    Deviation,
    FeatureInfo,
    Features,
    Observation,
    RemainingHours,
    SensorFault,
    SignalQuality,
)
from stream_processor.stages.prognosis import FAILURE_INDEX, Prognosis
from stream_processor.v1.alert_pb2 import FailureMode

NONE = np.zeros(0)
INFO = EquipmentInfo("s", "n", "P-1", "pump", "", "live", {})
FEATURES = (
    FeatureInfo("Vibration", "rms", "m/s2", "acceleration", "log"),
    FeatureInfo("Temperature", "mean", "Cel", "temperature", "linear"),
)


@pytest.fixture
def follow() -> Callable[..., RemainingHours | None]:
    def step(
        stage: Prognosis,
        minute: int,
        index: float,
        health: float = 0.5,
        other: float = 0.0,
        faulty: tuple[str, ...] = (),
        values: np.ndarray = NONE,
    ) -> RemainingHours | None:
        at = 60_000 * minute
        values = values if values.size else np.full(2, np.nan)
        quality = SignalQuality(NONE, NONE, NONE, NONE)
        observation = Observation(at, values, NONE, NONE, quality, np.ones(2), NONE)
        faults = tuple(
            SensorFault(c, FailureMode.FAILURE_MODE_SENSOR_STUCK, 2.0, 1.0, 1.0) for c in faulty
        )
        score = np.array([index, other])
        deviation = Deviation(observation, NONE, NONE, score, NONE, faults, 0.0, 0.0, NONE, True)
        features = Features(
            Frame(INFO, at, at, {}), Catalogue(INFO, FEATURES, (), (), (), ()), (observation,)
        )
        item = Assessment(Detections(features, (deviation,)), (Condition(health, 0.0),))
        return stage.update(item).remaining[0]

    return step


def test_a_steady_rise_is_extrapolated_with_an_interval_that_holds_the_truth(follow):
    random = np.random.default_rng(1)
    stage = Prognosis()
    for minute in range(300):
        left = follow(stage, minute, 3.0 + minute * 8.0 / 300 + random.normal())
    truth = (FAILURE_INDEX - 11.0) / 8.0 * 300 / 60
    assert left is not None
    assert left.lower < truth < left.upper
    assert left.median == pytest.approx(truth, rel=0.4)


def test_a_machine_that_holds_its_state_has_no_end_in_sight(follow):
    random = np.random.default_rng(2)
    stage = Prognosis()
    told = [follow(stage, m, 6.0 + random.normal()) for m in range(300)]
    assert told[-1] is None
    assert [follow(stage, 300 + m, 1.0, health=1.0) for m in range(5)] == [None] * 5


def test_a_machine_that_recovers_is_followed_from_the_start_again(follow):
    stage = Prognosis()
    for minute in range(100):
        left = follow(stage, minute, 3.0 + 0.1 * minute)
    assert left is not None
    follow(stage, 100, 1.0, health=1.0)
    assert follow(stage, 101, 12.0) is None


def test_a_failed_machine_has_no_life_left(follow):
    assert follow(Prognosis(), 0, 30.0, health=0.1) == RemainingHours(0.0, 0.0, 0.0)


def test_a_faulty_sensor_says_nothing_of_the_end_of_the_machine(follow):
    stage, lone = Prognosis(), Prognosis()
    for minute in range(100):
        index = 3.0 + 0.05 * minute
        left = follow(stage, minute, index, other=10.0 + minute, faulty=("Temperature",))
        expected = follow(lone, minute, index)
    assert left == expected
    assert left is not None


def test_the_state_of_a_long_decline_stays_small(follow):
    stage = Prognosis()
    for minute in range(5000):
        follow(stage, minute, 4.0 + minute * 1e-3)
    assert stage.state()["degradation"]["sums"].size < 10


def test_a_clock_that_is_put_back_does_not_end_a_decline(follow):
    stage, whole, day = Prognosis(), Prognosis(), 1440
    for minute in range(300):
        index = 3.0 + minute * 8.0 / 300
        left = follow(stage, minute + (day if minute < 150 else 0), index)
        expected = follow(whole, minute, index)
    assert left is not None
    assert expected is not None
    assert left.median == pytest.approx(expected.median, rel=0.1)


def test_the_points_of_earlier_code_are_forgotten_and_no_more():
    earlier = {"schema": 1, "times": NONE, "healths": NONE, "stride": 1, "skipped": 0}
    assert Prognosis.restore(earlier).state()["schema"] == 2


def wearing(random: np.random.Generator) -> np.ndarray:
    """Two values of a machine each ten minutes, up to its failure."""
    left = np.arange(int(random.uniform(60, 120)))[::-1]
    worn = np.exp(-left / 25.0)[:, np.newaxis] * [3.0, 20.0]
    return np.array([2.0, 50.0]) + worn + random.normal(size=(left.size, 2)) * [0.2, 1.5]


@pytest.fixture(scope="module")
def library() -> LifeLibrary:
    random = np.random.default_rng(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(life_learning, "NETWORKS", 1)
        names = [f.series for f in FEATURES]
        histories = [wearing(random) for _ in range(20)]
        return life_learning.learn(histories, names, "pump", 50.0, "rows", hours=1 / 6)[0]


def test_a_library_of_the_class_has_the_say_when_the_end_is_in_sight(follow, library):
    stage = Prognosis.using({"pump": library})()
    unit = wearing(np.random.default_rng(8))
    # Observations come each minute, the library knows rows each ten minutes.
    told = [
        follow(stage, 10 * i + k, 1.0, health=0.99, values=row)
        for i, row in enumerate(unit)
        for k in range(10)
    ]
    assert told[: 10 * (WARM_UP - 1)] == [None] * (10 * (WARM_UP - 1))
    near = told[-1]
    assert near is not None
    assert near.lower <= near.median <= near.upper < 3.0
    assert near.median < 1.0


def test_a_library_of_another_class_says_nothing(follow, library):
    stage = Prognosis.using({"fan": library})()
    unit = wearing(np.random.default_rng(8))
    assert {follow(stage, 10 * i, 1.0, health=0.99, values=r) for i, r in enumerate(unit)} == {None}


def test_what_a_library_says_goes_on_from_the_state(follow, library):
    kind = Prognosis.using({"pump": library})
    unit = wearing(np.random.default_rng(9))
    stage, other = kind(), kind()
    for i, row in enumerate(unit):
        for k in range(3):
            other = kind.restore(pickle.loads(pickle.dumps(other.state())))
            expected = follow(stage, 10 * i + k, 1.0, health=0.99, values=row)
            assert follow(other, 10 * i + k, 1.0, health=0.99, values=row) == expected
    assert expected is not None


def test_libraries_are_read_from_a_folder_and_anything_else_is_refused(library, tmp_path):
    library.write(tmp_path / "pump.npz")
    assert dict(stages_with(tmp_path))["prognostics_assessment"].libraries.keys() == {"pump"}
    (tmp_path / "fan.npz").write_bytes(b"no library")
    with pytest.raises(LifeLibraryError, match=r"fan\.npz"):
        stages_with(tmp_path)
