from collections.abc import Callable

import numpy as np
import pytest

from firmware_sim.physics.chance import Chance
from firmware_sim.physics.vibration import Line, Mode, VibrationModel, shaft_cycles

MODE = Mode(1000.0, 0.05)


def quiet(lines: list[Line], faults: dict[str, list[Line]] | None = None) -> VibrationModel:
    return VibrationModel(Chance(1, "v").at(0), lines, faults or {}, (0.001,), MODE)


def one_second(
    model: VibrationModel, start: float, index: int = 0, **severity: float
) -> np.ndarray:
    random = Chance(1, "second").at(1, index)
    cycles = shaft_cycles(random, start, 40.25)
    return model.second(random, cycles, start, 40.25, 1.0, severity, None)[0]


def test_a_line_has_the_velocity_it_was_given(velocity_rms: Callable[..., float]) -> None:
    seconds = [one_second(quiet([Line(1.0, (2.0,))]), k * 40.25, k) for k in range(20)]
    assert np.mean([velocity_rms(s) for s in seconds]) == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize("order", [1.0, 0.4123, 3.0506])
def test_the_phase_goes_on_from_second_to_second(order: float) -> None:
    model = quiet([Line(order, (5.0,))])
    start = 40.25 * 1_000_003
    before, after = one_second(model, start, 0), one_second(model, start + 40.25, 1)
    steps = np.abs(np.diff(before))
    assert abs(after[0] - before[-1]) < 1.3 * steps.max()


def test_a_fault_adds_in_phase_to_the_line_that_is_there(
    amplitude_near: Callable[..., float],
) -> None:
    model = quiet([Line(1.0, (1.0,))], {"unbalance": [Line(1.0, (3.0,))]})
    healthy = amplitude_near(one_second(model, 0.0), 40.25)
    faulty = amplitude_near(one_second(model, 0.0, unbalance=0.5), 40.25)
    assert faulty / healthy == pytest.approx(2.5, rel=0.1)


def test_lines_past_half_the_sample_rate_do_not_fold_back(
    amplitude_near: Callable[..., float],
) -> None:
    out = one_second(quiet([Line(50.0, (5.0,))]), 0.0)  # 2012 Hz would fold to 1188 Hz
    assert amplitude_near(out, 3200 - 50 * 40.25) < 0.001


def test_impulses_ring_the_mode(amplitude_near: Callable[..., float]) -> None:
    model = quiet([Line(1.0, (0.0,))])
    impulses = np.zeros((1, 3200))
    impulses[0, 500] = 10.0
    random = Chance(1, "ring").at(0)
    out = model.second(random, np.linspace(0, 40, 3200), 0.0, 40.0, 1.0, {}, impulses)[0]
    assert np.abs(out[500:510]).max() == pytest.approx(10.0, rel=0.02)
    assert np.abs(out[:499]).max() < 0.02
    spectrum = np.abs(np.fft.rfft(out))
    assert np.argmax(spectrum) == pytest.approx(1000, abs=20)
