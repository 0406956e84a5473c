import numpy as np
import pytest

from firmware_sim.faults import BEARING_OUTER_RACE, BLOCKED_FILTER, CAVITATION, OVERHEATING, Fault
from firmware_sim.machines.pump import (
    CAVITATION_INTENSITY,
    PUMP,
    PUMP_HEAD_M,
    STATIC_HEAD_M,
    STRAINER_SLOPE,
    SYSTEM_SLOPE,
)
from firmware_sim.plant import Plant

GROWTH_S = 3600.0


def true(name: str, start_ms: int, label: str = "", at: tuple[int, ...] = (600,)) -> list[float]:
    faults = [Fault("P-101", label, start_ms, GROWTH_S)] if label else []
    machine = Plant(1, start_ms, faults, ["P-101"]).machines["P-101"]
    return [machine.true(name, second) for second in at]


@pytest.mark.parametrize("at", [0, 4000, 40_000, 80_000])
def test_the_pump_works_where_its_curve_meets_the_systems(at: int, start_ms: int) -> None:
    (flow,) = true("Flow", start_ms, at=(at,))
    (head,) = true(PUMP_HEAD_M, start_ms, at=(at,))
    assert head == pytest.approx(float(PUMP.at(flow)))
    # The system asks for the same head with its valve at some place: open between 80 and 115 %.
    valve = (head - STATIC_HEAD_M - STRAINER_SLOPE * flow**2) / (SYSTEM_SLOPE * flow**2)
    assert 0.8 < valve**-0.5 < 1.15


GROWING = (0, 900, 1800, 2700, 3590)


def test_cavitation_roars_and_takes_the_head(start_ms: int) -> None:
    intensity = true(CAVITATION_INTENSITY, start_ms, CAVITATION, GROWING)
    assert intensity[0] == 0.0
    assert np.all(np.diff(intensity[1:]) > 0.0)
    assert np.all(np.diff(true("Suction Pressure", start_ms, CAVITATION, GROWING)) < 0.0)
    head = true(PUMP_HEAD_M, start_ms, CAVITATION, GROWING)
    assert head[-1] < 0.85 * head[0]
    machine = Plant(1, start_ms, [Fault("P-101", CAVITATION, start_ms, GROWTH_S)]).machines["P-101"]
    levels = [machine.block(k).samples["Vibration Drive End"].std() for k in GROWING]
    assert np.all(np.diff(levels[1:]) > 0.0)
    assert levels[-1] > 3 * levels[0]


def test_cavitation_is_broad_and_has_no_line(start_ms: int) -> None:
    fault = Fault("P-101", CAVITATION, start_ms - 1, 0.0)
    machine = Plant(1, start_ms, [fault]).machines["P-101"]
    healthy = Plant(1, start_ms).machines["P-101"]

    def power(m: object) -> np.ndarray:
        blocks = [machine.block(k) if m is machine else healthy.block(k) for k in range(20)]
        spectra = [np.abs(np.fft.rfft(b.samples["Vibration Drive End"])) ** 2 for b in blocks]
        return np.mean(spectra, axis=0)

    gain = power(machine) / power(healthy)
    assert np.percentile(gain[700:1500], 5) > 5.0


def test_a_blocked_strainer_raises_its_loss_and_starves_the_pump(start_ms: int) -> None:
    loss = true("Strainer Differential Pressure", start_ms, BLOCKED_FILTER, GROWING)
    flow = true("Flow", start_ms, BLOCKED_FILTER, GROWING)
    current = true("Motor Current", start_ms, BLOCKED_FILTER, GROWING)
    assert np.all(np.diff(loss) > 0.0)
    assert flow[-1] < 0.8 * flow[0]
    assert current[-1] < 0.9 * current[0]


@pytest.mark.parametrize(("label", "rise"), [(OVERHEATING, 15.0), (BEARING_OUTER_RACE, 4.0)])
def test_friction_and_lost_cooling_warm_the_bearing(label: str, rise: float, start_ms: int) -> None:
    healthy = true("Bearing Temperature", start_ms, at=(3590,))[0]
    assert true("Bearing Temperature", start_ms, label, (3590,))[0] > healthy + rise
