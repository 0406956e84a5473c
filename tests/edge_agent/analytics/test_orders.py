"""Order tracking and envelopes of shafts whose speed, and whose amplitudes, are known."""

from __future__ import annotations

import doctest

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.analytics import orders
from edge_agent.analytics.envelope import defect_amplitude, envelope
from edge_agent.analytics.orders import at_places, order_spectrum
from edge_agent.analytics.spectrum import Spectrum, line_amplitude
from edge_agent.analytics.speed import Speed, Turning

Vector = npt.NDArray[np.float64]
RATE_HZ = 12_800.0
SIZE = 12_800
TIME = np.arange(SIZE) / RATE_HZ


def run_up(from_hz: float, to_hz: float) -> tuple[Vector, Turning]:
    """Return the angle at each sample, and what is known of it from a reading at either end."""
    speed = Speed(float("nan"), 10.0)
    speed.add(np.array([from_hz, to_hz]) * 60.0, 0.0, 1.0)
    turning = speed.turning(0.0, 1.0)
    assert turning is not None
    return from_hz * TIME + (to_hz - from_hz) * TIME**2 / 2, turning


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(orders).failed == 0


@settings(max_examples=40)
@given(
    from_hz=st.floats(20.0, 60.0),
    to_hz=st.floats(20.0, 60.0),
    amplitudes=st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0), st.floats(0.1, 10.0)),
    phase=st.floats(0.0, 6.3),
)
def test_orders_keep_their_amplitudes_while_speed_changes(
    from_hz: float, to_hz: float, amplitudes: tuple[float, float, float], phase: float
) -> None:
    turns, turning = run_up(from_hz, to_hz)
    places = (1.0, 2.0, 6.0)
    samples = sum(
        a * np.sin(2 * np.pi * n * turns + phase) for n, a in zip(places, amplitudes, strict=True)
    )
    spectrum = order_spectrum(Spectrum.of(np.asarray(samples), RATE_HZ), turning, 6.0)
    assert spectrum is not None

    for place, amplitude in zip(places, amplitudes, strict=True):
        found = line_amplitude(spectrum, place)
        # Ends of the block that do not fit together, and the cut below the highest order.
        assert found == pytest.approx(amplitude, rel=0.02, abs=0.02 * max(amplitudes))
    between = line_amplitude(spectrum, 4.0)
    assert between < 0.03 * max(amplitudes)


def test_a_fixed_frequency_is_no_order() -> None:
    turns, turning = run_up(20.0, 60.0)
    samples = np.sin(2 * np.pi * turns) + np.sin(2 * np.pi * 97.0 * TIME)
    spectrum = order_spectrum(Spectrum.of(samples, RATE_HZ), turning, 6.0)
    assert spectrum is not None

    assert line_amplitude(spectrum, 1.0) == pytest.approx(1.0, rel=0.05)
    assert max(line_amplitude(spectrum, n) for n in (2.0, 3.0, 5.0)) < 0.5


def test_what_is_above_the_kept_orders_does_not_fold_back() -> None:
    turns, turning = run_up(30.0, 50.0)
    samples = np.sin(2 * np.pi * turns) + 50.0 * np.sin(2 * np.pi * 40 * turns)
    spectrum = order_spectrum(Spectrum.of(samples, RATE_HZ), turning, 6.0)
    assert spectrum is not None

    amplitudes = [line_amplitude(spectrum, n) for n in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]
    assert amplitudes[0] == pytest.approx(1.0, rel=0.1)
    assert max(amplitudes[1:]) < 0.2


def test_too_few_turns_have_no_orders() -> None:
    _, turning = run_up(4.0, 4.5)

    assert order_spectrum(Spectrum.of(np.sin(TIME), RATE_HZ), turning, 3.0) is None


@pytest.mark.parametrize("from_hz", [1e-3, 1e-12, 1e-300])
def test_a_shaft_that_all_but_stood_has_no_orders(from_hz: float) -> None:
    _, turning = run_up(from_hz, 25.0)

    assert turning.total > 5.0
    assert order_spectrum(Spectrum.of(np.sin(TIME), RATE_HZ), turning, 3.0) is None


@given(st.lists(st.floats(-10, 10), min_size=4, max_size=4), st.floats(1.0, 5.999))
def test_cubics_are_met(coefficients: list[float], place: float) -> None:
    samples = np.polyval(coefficients, np.arange(8.0))

    found = at_places(samples, np.array([place]))

    assert found[0] == pytest.approx(np.polyval(coefficients, place), abs=1e-9 * 5000)


@settings(max_examples=40)
@given(
    carrier=st.floats(3000.0, 5000.0),
    modulation=st.floats(20.0, 300.0),
    depth=st.floats(0.05, 0.9),
    amplitude=st.floats(0.1, 10.0),
)
def test_an_envelope_is_what_a_carrier_was_modulated_by(
    carrier: float, modulation: float, depth: float, amplitude: float
) -> None:
    swell = amplitude * (1 + depth * np.cos(2 * np.pi * modulation * TIME))
    spectrum = Spectrum.of(swell * np.sin(2 * np.pi * carrier * TIME), RATE_HZ)

    found, rate_hz = envelope(spectrum, 2500.0, 5500.0, 400.0)

    assert rate_hz < RATE_HZ
    middle = slice(found.size // 10, -found.size // 10)
    time = np.arange(found.size) / rate_hz
    due = amplitude * (1 + depth * np.cos(2 * np.pi * modulation * time))
    np.testing.assert_allclose(found[middle], due[middle], atol=0.05 * amplitude)
    beat = line_amplitude(Spectrum.of(found - found.mean(), rate_hz), modulation)
    assert beat == pytest.approx(amplitude * depth, rel=0.03, abs=0.005 * amplitude)


def test_an_envelope_leaves_out_what_is_not_in_its_band() -> None:
    spectrum = Spectrum.of(100.0 * np.sin(2 * np.pi * 50 * TIME), RATE_HZ)

    found, _ = envelope(spectrum, 2500.0, 5500.0, 400.0)

    assert found.max() < 1e-9


@pytest.mark.parametrize("slide", [-0.01, 0.0, 0.01])
def test_a_defect_is_found_although_elements_slide(slide: float) -> None:
    turns, turning = run_up(25.0, 35.0)
    order = 3.57
    pulses = np.maximum(np.cos(2 * np.pi * order * (1 + slide) * turns), 0.0) ** 8
    rng = np.random.default_rng(3)
    samples = pulses * np.sin(2 * np.pi * 4000 * TIME) + 0.05 * rng.standard_normal(SIZE)

    found, rate_hz = envelope(Spectrum.of(samples, RATE_HZ), 2500.0, 5500.0, 600.0)
    spectrum = order_spectrum(Spectrum.of(found - found.mean(), rate_hz), turning, 3 * order)
    assert spectrum is not None

    right = defect_amplitude(spectrum, order, 3, 0.015)
    angle = np.linspace(0.0, 2 * np.pi, 1000, endpoint=False)
    pulse = np.maximum(np.cos(angle), 0.0) ** 8
    due = np.sqrt(sum((2 * np.mean(pulse * np.cos(n * angle))) ** 2 for n in (1, 2, 3)))
    assert right == pytest.approx(due, rel=0.1)
    assert right > 8 * defect_amplitude(spectrum, 4.9, 2, 0.015)


def test_a_defect_beyond_the_spectrum_is_not_told() -> None:
    spectrum = Spectrum.of(np.sin(TIME), 10.0)

    assert np.isnan(defect_amplitude(spectrum, 6.0, 3, 0.015))
    assert defect_amplitude(spectrum, 4.0, 3, 0.0) >= 0.0
