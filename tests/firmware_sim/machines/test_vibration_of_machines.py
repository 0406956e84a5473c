"""Every machine shows the lines its design says, and its faults where the books say."""

from collections.abc import Callable

import numpy as np
import pytest

from firmware_sim.faults import (
    BEARING_INNER_RACE,
    BEARING_OUTER_RACE,
    LOOSENESS,
    MISALIGNMENT,
    UNBALANCE,
    Fault,
)
from firmware_sim.machines.machine import SPEED, Machine
from firmware_sim.plant import MACHINES, Plant

SECONDS = 8
Measure = Callable[..., float]


def steady(tag: str, start_ms: int, label: str = "", severity: float = 1.0) -> Machine:
    faults = [Fault(tag, label, start_ms - 1, 0.0, severity=severity)] if label else []
    return Plant(1, start_ms, faults, [tag]).machines[tag]


def signals(machine: Machine, sensor: int = 0) -> list[tuple[float, np.ndarray]]:
    """Return the shaft frequency and the vibration of some seconds at a settled rate."""
    name = machine.accelerometers[sensor].name
    return [
        (machine.true(SPEED, at), machine.block(at).samples[name])
        for at in range(1000, 1000 + SECONDS)
    ]


@pytest.mark.parametrize("tag", MACHINES)
def test_the_shaft_is_seen_at_1x(tag: str, start_ms: int, prominence: Measure) -> None:
    assert np.median([prominence(x, f) for f, x in signals(steady(tag, start_ms))]) > 8.0


@pytest.mark.parametrize("tag", ["P-101", "F-201", "C-301"])
def test_vanes_are_seen_passing(tag: str, start_ms: int, prominence: Measure) -> None:
    machine = steady(tag, start_ms)
    vanes = int(machine.device("simulated").facts["Vane Count"])
    assert np.median([prominence(x, vanes * f) for f, x in signals(machine)]) > 8.0
    off = [prominence(x, (vanes - 0.5) * f) for f, x in signals(machine)]
    assert np.median(off) < 5.0


@pytest.mark.parametrize("tag", ["G-401", "CV-402", "FC-403"])
def test_teeth_are_seen_meshing_with_side_bands(
    tag: str, start_ms: int, prominence: Measure
) -> None:
    machine = steady(tag, start_ms)
    teeth = int(machine.device("simulated").facts["Gear Teeth"])
    found = signals(machine, sensor=1)
    assert np.median([prominence(x, teeth * f) for f, x in found]) > 6.0
    for side in (teeth - 1, teeth + 1):
        assert np.median([prominence(x, side * f) for f, x in found]) > 3.0


@pytest.mark.parametrize("tag", MACHINES)
@pytest.mark.parametrize(
    ("label", "order"), [(BEARING_OUTER_RACE, "BPFO Order"), (BEARING_INNER_RACE, "BPFI Order")]
)
def test_a_bearing_defect_is_seen_in_the_envelope_and_not_before(
    tag: str,
    label: str,
    order: str,
    start_ms: int,
    prominence: Measure,
    envelope: Callable[[np.ndarray], np.ndarray],
) -> None:
    def seen(machine: Machine) -> float:
        at = float(machine.device("simulated").facts[order])
        return float(np.median([prominence(envelope(x), at * f, 2.5) for f, x in signals(machine)]))

    assert seen(steady(tag, start_ms)) < 5.0
    assert seen(steady(tag, start_ms, label, 0.6)) > 8.0


@pytest.mark.parametrize("tag", MACHINES)
def test_an_inner_race_defect_is_modulated_by_the_shaft(
    tag: str,
    start_ms: int,
    prominence: Measure,
    envelope: Callable[[np.ndarray], np.ndarray],
) -> None:
    machine = steady(tag, start_ms, BEARING_INNER_RACE)
    bpfi = machine.bearing.bpfi
    for side in (bpfi - 1, bpfi + 1):
        found = [prominence(envelope(x), side * f, 2.5) for f, x in signals(machine)]
        assert np.median(found) > 4.0


@pytest.mark.parametrize("tag", MACHINES)
@pytest.mark.parametrize(
    ("label", "sensor", "order"),
    [
        (UNBALANCE, 0, 1.0),
        (MISALIGNMENT, 0, 2.0),
        (LOOSENESS, 0, 0.5),
        (LOOSENESS, 0, 3.0),
    ],
)
def test_a_rotor_fault_grows_at_its_order(
    tag: str, label: str, sensor: int, order: float, start_ms: int, amplitude_near: Measure
) -> None:
    def size(severity: float) -> float:
        machine = steady(tag, start_ms, label, severity) if severity else steady(tag, start_ms)
        found = [amplitude_near(x, order * f) for f, x in signals(machine, sensor)]
        return float(np.median(found))

    sizes = [size(s) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert np.all(np.diff(sizes) > 0.0)
    assert sizes[-1] > 3 * sizes[0]


@pytest.mark.parametrize("tag", ["P-101", "F-201", "C-301"])
def test_misalignment_is_axial_and_unbalance_is_not(
    tag: str, start_ms: int, velocity_rms: Measure
) -> None:
    def ratio(label: str) -> float:
        machine = steady(tag, start_ms, label)
        radial = np.mean([velocity_rms(x) for _, x in signals(machine, 0)])
        axial = np.mean([velocity_rms(x) for _, x in signals(machine, 1)])
        return float(axial / radial)

    assert ratio(MISALIGNMENT) > 1.0
    assert ratio(UNBALANCE) < 0.3


@pytest.mark.parametrize("tag", MACHINES)
@pytest.mark.parametrize("label", [BEARING_OUTER_RACE, BEARING_INNER_RACE])
def test_a_bearing_defect_grows_in_acceleration(tag: str, label: str, start_ms: int) -> None:
    def rms(severity: float) -> float:
        found = signals(steady(tag, start_ms, label, severity))
        return float(np.mean([x.std() for _, x in found]))

    assert np.all(np.diff([rms(s) for s in (0.2, 0.4, 0.6, 0.8, 1.0)]) > 0.0)
