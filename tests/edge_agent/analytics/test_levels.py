"""Levels against naive formulas, and against waves of known strength."""

from __future__ import annotations

import doctest

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_agent.analytics import levels
from edge_agent.analytics.levels import band_rms, moments, velocity_rms, zone
from edge_agent.analytics.spectrum import Spectrum

Vector = npt.NDArray[np.float64]
RATE_HZ = 25_600.0
SIZE = 25_600
TIME = np.arange(SIZE) / RATE_HZ
BAND_HZ = (10.0, 1000.0)


def described(samples: Vector) -> levels.Moments:
    mean = float(samples.mean())
    return moments(samples - mean, mean, np.empty(samples.size))


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(levels).failed == 0


@given(hnp.arrays(np.float64, st.integers(2, 200), elements=st.floats(-1e3, 1e3)))
def test_moments_are_the_naive_ones(samples: Vector) -> None:
    found = described(samples)

    centred = samples - samples.mean()
    rms = np.sqrt(np.mean(centred**2))
    assert found.mean == pytest.approx(samples.mean())
    assert found.rms == pytest.approx(rms, rel=1e-9, abs=1e-150)
    assert found.peak == pytest.approx(np.abs(centred).max())
    assert found.minimum == pytest.approx(samples.min(), abs=1e-9)
    assert found.maximum == pytest.approx(samples.max(), abs=1e-9)
    assert found.peak_to_peak == pytest.approx(np.ptp(samples), abs=1e-9)
    if rms > 1e-3:
        assert found.crest_factor == pytest.approx(np.abs(centred).max() / rms, rel=1e-9)
        assert found.kurtosis == pytest.approx(np.mean(centred**4) / rms**4, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e9, 1e150])
def test_no_scale_is_too_small_or_large(scale: float) -> None:
    found = described(scale * np.sin(2 * np.pi * 50 * TIME))

    assert found.rms == pytest.approx(scale / np.sqrt(2), rel=1e-6)
    assert found.crest_factor == pytest.approx(np.sqrt(2), rel=1e-4)
    assert found.kurtosis == pytest.approx(1.5, rel=1e-6)


def test_what_stands_still_has_no_shape() -> None:
    found = described(np.full(10, 7.0))

    assert (found.mean, found.minimum, found.maximum, found.rms) == (7.0, 7.0, 7.0, 0.0)
    assert np.isnan([found.crest_factor, found.kurtosis]).all()


@given(
    velocity=st.floats(0.1, 50.0),
    frequency=st.floats(15.0, 950.0),
    phase=st.floats(0.0, 6.3),
    offset=st.floats(-50.0, 50.0),
)
def test_velocity_of_a_known_wave(
    velocity: float, frequency: float, phase: float, offset: float
) -> None:
    """An acceleration of amplitude 2 pi f v sqrt(2) has the velocity v rms."""
    peak = 2 * np.pi * frequency * velocity * 1e-3 * np.sqrt(2)
    samples = peak * np.sin(2 * np.pi * frequency * TIME + phase) + offset
    spectrum = Spectrum.of(samples - samples.mean(), RATE_HZ)

    assert velocity_rms(spectrum, "m/s2", BAND_HZ) == pytest.approx(velocity, rel=0.01)


@pytest.mark.parametrize(("unit", "of_one"), [("m/s2", 1.0), ("g", 9.80665), ("mm/s2", 1e-3)])
def test_units_of_acceleration(unit: str, of_one: float) -> None:
    spectrum = Spectrum.of(np.sin(2 * np.pi * 100 * TIME), RATE_HZ)

    due = 1e3 * of_one / (2 * np.pi * 100) / np.sqrt(2)
    assert velocity_rms(spectrum, unit, BAND_HZ) == pytest.approx(due, rel=1e-3)


@pytest.mark.parametrize(("unit", "of_one"), [("mm/s", 1.0), ("m/s", 1e3)])
def test_a_velocity_is_not_integrated(unit: str, of_one: float) -> None:
    spectrum = Spectrum.of(np.sin(2 * np.pi * 100 * TIME), RATE_HZ)

    assert velocity_rms(spectrum, unit, BAND_HZ) == pytest.approx(of_one / np.sqrt(2), rel=1e-6)


@pytest.mark.parametrize("frequency", [5.0, 1100.0, 5000.0])
def test_velocity_leaves_out_what_the_standard_does(frequency: float) -> None:
    spectrum = Spectrum.of(np.sin(2 * np.pi * frequency * TIME), RATE_HZ)

    assert velocity_rms(spectrum, "m/s2", BAND_HZ) < 1e-6


def test_velocities_of_two_waves_add_as_squares() -> None:
    def of(*waves: tuple[float, float]) -> float:
        samples = sum(a * np.sin(2 * np.pi * f * TIME) for f, a in waves)
        return velocity_rms(Spectrum.of(np.asarray(samples), RATE_HZ), "m/s2", BAND_HZ)

    both = of((50.0, 1.0), (120.0, 3.0))

    assert both**2 == pytest.approx(of((50.0, 1.0)) ** 2 + of((120.0, 3.0)) ** 2, rel=1e-9)


def test_a_band_between_two_lines_is_not_told() -> None:
    spectrum = Spectrum.of(np.sin(TIME[:100]), 1000.0)

    assert np.isnan(band_rms(spectrum, 12.0, 18.0))
    assert np.isnan(velocity_rms(spectrum, "m/s2", (12.0, 18.0)))
    assert np.isnan(velocity_rms(spectrum, "mm/s", (12.0, 18.0)))


@given(seed=st.integers(0, 2**32 - 1), edge=st.integers(1, 499))
def test_bands_beside_one_another_hold_it_all(seed: int, edge: int) -> None:
    spectrum = Spectrum.of(np.random.default_rng(seed).standard_normal(1000), 1000.0)

    parts = [band_rms(spectrum, 0.0, float(edge)), band_rms(spectrum, edge + 1.0, 500.0)]

    assert np.hypot(*parts) == pytest.approx(band_rms(spectrum, 0.0, 500.0), rel=1e-9)


@given(
    st.lists(st.floats(0.1, 100.0), min_size=3, max_size=3, unique=True).map(sorted),
    st.floats(0.0, 200.0),
)
def test_a_zone_is_how_many_limits_are_exceeded(limits: list[float], velocity: float) -> None:
    found = zone(velocity, limits)

    assert found in (1.0, 2.0, 3.0, 4.0)
    assert found == 1 + np.searchsorted(limits, velocity, side="left")


def test_no_velocity_has_no_zone() -> None:
    assert np.isnan(zone(float("nan"), (1.0, 2.0, 3.0)))
