"""How a shaft turned, from readings with gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analytics.speed import FASTEST, STALE_MS, Speed

NAN = float("nan")


def test_without_readings_the_nominal_speed_counts() -> None:
    turning = Speed(25.0, 10.0).turning(5000.0, 2.0)

    assert turning is not None
    assert turning.total == pytest.approx(50.0)
    assert turning.mean_hz == turning.slowest == turning.fastest == pytest.approx(25.0)


@given(st.lists(st.floats(60.0, 6000.0), min_size=3, max_size=20))
def test_turns_are_the_area_under_the_readings(readings: list[float]) -> None:
    speed = Speed(NAN, 100.0)
    speed.add(np.array(readings), 7000.0, 1.0)

    turning = speed.turning(7000.0, float(len(readings) - 1))

    assert turning is not None
    hertz = np.array(readings) / 60.0
    assert turning.total == pytest.approx(np.sum((hertz[1:] + hertz[:-1]) / 2), rel=1e-3)
    assert (np.diff(turning.turns) > 0).all()


def test_a_reading_holds_until_the_next_and_not_for_ever() -> None:
    speed = Speed(20.0, 10.0)
    speed.add(np.array([600.0, NAN]), 1000.0, 1.0)
    times = np.array([0.0, 1000.0, 2000.0, 1000.0 + STALE_MS, 1001.0 + STALE_MS])

    assert speed.at(times).tolist() == [10.0, 10.0, 10.0, 10.0, 20.0]


@pytest.mark.parametrize("reading", [float("inf"), -1e30, 1.01 * FASTEST, NAN])
def test_what_is_no_speed_is_left_out(reading: float) -> None:
    speed = Speed(25.0, 10.0)
    speed.add(np.array([600.0, reading]), 0.0, 1.0)

    assert speed.at(np.array([0.0, 1000.0])).tolist() == [10.0, 10.0]


def test_a_shaft_that_stands_or_is_unknown_does_not_turn() -> None:
    standing = Speed(25.0, 10.0)
    standing.add(np.array([1500.0, 0.0]), 0.0, 1.0)

    assert standing.turning(0.0, 2.0) is None
    assert Speed(NAN, 10.0).turning(0.0, 2.0) is None


def test_readings_are_kept_for_a_span_and_follow_a_clock_set_back() -> None:
    speed = Speed(NAN, 2.0)
    for second in range(100):
        speed.add(np.array([60.0 * second]), 1000.0 * second, 1.0)
    assert speed.at(np.array([96_500.0, 99_000.0])).tolist() == [97.0, 99.0]

    speed.add(np.array([600.0]), 98_500.0, 1.0)

    assert speed.at(np.array([98_000.0, 98_500.0, 99_000.0])).tolist() == [98.0, 10.0, 10.0]


def test_a_window_is_measured_when_readings_are_behind_all_of_it() -> None:
    speed = Speed(10.0, 100.0)
    speed.add(np.array([600.0]), 0.0, 1.0)

    for start_ms, measured in ((0.0, True), (STALE_MS - 500.0, False), (STALE_MS, False)):
        turning = speed.turning(start_ms, 1.0)
        assert turning is not None
        assert (turning.measured, turning.total) == (measured, pytest.approx(10.0))


def test_turning_backwards_is_turning() -> None:
    speed = Speed(NAN, 2.0)
    speed.add(np.array([-600.0]), 0.0, 1.0)

    turning = speed.turning(0.0, 1.0)

    assert turning is not None
    assert turning.total == pytest.approx(10.0)
