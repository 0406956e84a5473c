import numpy as np
import pytest

from firmware_sim.physics.chance import Chance
from firmware_sim.physics.hour import SECONDS, Hour


def hour(state: dict[str, float], index: int = 0) -> Hour:
    ones = np.ones(SECONDS)
    random = Chance(5, "hour").at(0, index)
    return Hour(ones, ones, ones, ones, random, {}, state)


@pytest.mark.parametrize("time_constant_s", [10.0, 60.0, 1800.0])
def test_the_lag_is_the_recurrence_it_stands_for(time_constant_s: float) -> None:
    target = 20.0 + Chance(1, "target").at(0).standard_normal(SECONDS).cumsum()
    a = np.exp(-1 / time_constant_s)
    expected, y = [], 7.0
    for u in target:
        y = a * y + (1 - a) * u
        expected.append(y)
    state = {"node": 7.0}
    np.testing.assert_allclose(hour(state).lag("node", target, time_constant_s), expected)
    assert state["node"] == pytest.approx(expected[-1])


def test_a_lag_begins_at_rest_and_goes_on_in_the_next_hour() -> None:
    state: dict[str, float] = {}
    first = hour(state).lag("node", np.full(SECONDS, 40.0), 900.0)
    np.testing.assert_allclose(first, 40.0)
    second = hour(state).lag("node", np.full(SECONDS, 50.0), 900.0)
    assert second[0] == pytest.approx(40.0 + 10.0 * (1 - np.exp(-1 / 900.0)))
    assert second[899] == pytest.approx(40.0 + 10.0 * (1 - np.exp(-1.0)))


def test_wandering_has_the_deviation_asked_for() -> None:
    state: dict[str, float] = {}
    walked = np.concatenate([hour(state, k).wander("w", 0.5, 30.0) for k in range(40)])
    assert walked.std() == pytest.approx(0.5, rel=0.1)
    assert abs(walked.mean()) < 0.05


def test_a_total_counts_up_to_the_start_of_each_second() -> None:
    state: dict[str, float] = {}
    first = hour(state).total("turns", np.full(SECONDS, 2.0))
    second = hour(state).total("turns", np.full(SECONDS, 2.0))
    assert first[0] == 0.0
    np.testing.assert_allclose(np.diff(np.concatenate((first, second))), 2.0)
