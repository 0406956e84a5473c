import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.physics.bearing import BEARING_6206, BEARING_6309, Bearing, defect_impulses, train
from firmware_sim.physics.chance import Chance

CYCLES = 50.0 * np.arange(3200) / 3200


def test_orders_of_a_known_bearing() -> None:
    # SKF 6205-2RS as published with the Case Western Reserve University bearing data.
    drive_end = Bearing("6205", 9, 7.94, 39.04)
    assert drive_end.bpfo == pytest.approx(3.5848, abs=2e-3)
    assert drive_end.bpfi == pytest.approx(5.4152, abs=2e-3)
    assert drive_end.ftf == pytest.approx(0.39828, abs=2e-4)
    # Published per ball defect, which strikes both races: twice the spin.
    assert 2 * drive_end.bsf == pytest.approx(4.7135, abs=5e-3)


@pytest.mark.parametrize("bearing", [BEARING_6206, BEARING_6309])
def test_both_races_together_see_every_element(bearing: Bearing) -> None:
    assert bearing.bpfo + bearing.bpfi == pytest.approx(bearing.elements)
    assert bearing.bpfo == pytest.approx(bearing.elements * bearing.ftf)


def test_impulses_come_at_the_order_and_slip() -> None:
    random = Chance(1, "bearing").at(0)
    counts, jitters = [], []
    for _ in range(50):
        positions, _ = defect_impulses(random, 3.05, CYCLES, turns_with_shaft=False)
        counts.append(len(positions))
        jitters.append(np.std(np.diff(positions)) / np.mean(np.diff(positions)))
    assert np.mean(counts) == pytest.approx(3.05 * 50, abs=1.0)
    assert 0.005 < np.mean(jitters) < 0.02


def test_inner_race_impulses_are_silent_outside_the_load_zone() -> None:
    random = Chance(2, "bearing").at(0)
    positions, heights = defect_impulses(random, 4.95, CYCLES, turns_with_shaft=True)
    angle = np.cos(2 * np.pi * np.interp(positions, np.arange(3200), CYCLES))
    assert np.all(heights[angle < -0.05] == 0.0)
    assert heights[angle > 0.9].min() > 0.3


@given(st.lists(st.tuples(st.floats(0, 98.999), st.floats(-10, 10)), min_size=0, max_size=20))
def test_a_train_keeps_the_sum_of_its_impulses(impulses: list[tuple[float, float]]) -> None:
    places = np.array([p for p, _ in impulses])
    heights = np.array([h for _, h in impulses])
    assert train(places, heights, 100).sum() == pytest.approx(heights.sum(), abs=1e-9)
