"""Faults that are seen in the slow channels of fan, compressor and gearmotor."""

import numpy as np
import pytest

from firmware_sim.faults import AIR_LEAK, BLOCKED_FILTER, GEAR_WEAR, OVERHEATING, Fault
from firmware_sim.plant import MACHINES, Plant

GROWTH_S = 7200.0
GROWING = tuple(range(0, 7201, 1200))


def true(tag: str, name: str, label: str, start_ms: int) -> np.ndarray:
    machine = Plant(1, start_ms, [Fault(tag, label, start_ms, GROWTH_S)], [tag]).machines[tag]
    return np.array([machine.true(name, second) for second in GROWING])


def test_a_blocked_filter_of_the_fan(start_ms: int) -> None:
    loss = true("F-201", "Filter Differential Pressure", BLOCKED_FILTER, start_ms)
    flow = true("F-201", "Air Flow", BLOCKED_FILTER, start_ms)
    assert np.all(np.diff(loss) > 0.0)
    assert loss[-1] > 3 * loss[0]
    assert flow[-1] < 0.85 * flow[0]
    current = true("F-201", "Motor Current", BLOCKED_FILTER, start_ms)
    assert current[-1] < current[0] - 0.3


def test_an_air_leak_keeps_the_compressor_loaded_and_empties_the_receiver(start_ms: int) -> None:
    def falls(faults: list[Fault]) -> tuple[float, float]:
        machine = Plant(1, start_ms, faults, ["C-301"]).machines["C-301"]
        hour = [machine.true("Discharge Pressure", k) for k in range(7200, 10_800)]
        steps = np.diff(hour)
        duty = np.mean([machine.true("Load Duty", k) for k in range(7200, 10_800)])
        return float(np.median(steps[steps < 0.0])), float(duty)

    fall, duty = falls([])
    leak_fall, leak_duty = falls([Fault("C-301", AIR_LEAK, start_ms, GROWTH_S)])
    assert leak_fall < 1.3 * fall < 0.0
    assert leak_duty > duty + 20.0


@pytest.mark.parametrize("tag", MACHINES)
def test_every_machine_overheats(tag: str, start_ms: int) -> None:
    machine = Plant(1, start_ms).machines[tag]
    own = [s.channel.name for s in machine.sensors if s.channel.quantity == "temperature"]
    rises = []
    for name in own:
        hot = true(tag, name, OVERHEATING, start_ms)
        rises.append(hot[-1] - machine.true(name, GROWING[-1]))
    assert max(rises) > 12.0


def test_worn_gears_are_heard_in_the_side_bands(start_ms: int) -> None:
    def side_band(faults: list[Fault]) -> float:
        machine = Plant(1, start_ms, faults, ["G-401"]).machines["G-401"]
        speed = machine.true("Speed", 1000) / 60
        spectrum = np.abs(np.fft.rfft(machine.block(1000).samples["Vibration Gearbox Axial"]))
        at = round(18 * speed)
        return float(spectrum[at - 1 : at + 2].max())

    worn = side_band([Fault("G-401", GEAR_WEAR, start_ms - 1, 0.0)])
    assert worn > 5 * side_band([])
