import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.physics.hydraulics import (
    Curve,
    npsh_available_m,
    operating_flow,
    vapour_pressure_pa,
)


@given(
    st.floats(10.0, 100.0),
    st.floats(-1e-2, -1e-4),
    st.floats(0.0, 9.0),
    st.floats(1e-4, 1e-1),
)
def test_the_operating_point_lies_on_both_curves(
    rest: float, fall: float, lift: float, rise: float
) -> None:
    machine, system = Curve(rest, fall), Curve(lift, rise)
    flow = float(operating_flow(machine, system))
    assert flow > 0.0
    assert machine.at(flow) == pytest.approx(system.at(flow))


def test_a_machine_too_weak_moves_nothing() -> None:
    assert operating_flow(Curve(5.0, -0.01), Curve(6.0, 0.01)) == 0.0


def test_water_boils_at_its_boiling_points() -> None:
    # Steam tables: 2.339 kPa at 20 degC, 7.385 kPa at 40 degC.
    assert vapour_pressure_pa(20.0) == pytest.approx(2339, rel=0.01)
    assert vapour_pressure_pa(40.0) == pytest.approx(7385, rel=0.01)


def test_suction_head_at_atmosphere() -> None:
    # 10.35 m of water at one atmosphere less 0.24 m of vapour.
    assert npsh_available_m(np.array([0.0]), 20.0)[0] == pytest.approx(10.11, abs=0.03)
