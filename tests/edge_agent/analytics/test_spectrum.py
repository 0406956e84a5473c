"""Laws of the shared spectrum, against a window laid on in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analytics.spectrum import Spectrum, line_amplitude, smooth_size

Vector = npt.NDArray[np.float64]
RATE_HZ = 1000.0


def noise(seed: int, size: int) -> Vector:
    return np.random.default_rng(seed).standard_normal(size)


def naive_power(samples: Vector) -> Vector:
    """Return one-sided mean squares with the window laid on in time, by the definition."""
    size = samples.size
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    power = np.abs(np.fft.fft(samples * window)) ** 2 / (size * np.sum(window**2))
    half = size // 2
    one_sided = power[: half + 1].copy()
    one_sided[1 : (size + 1) // 2] += power[: -((size + 1) // 2) : -1]
    return one_sided


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(4, 300))
def test_power_is_that_of_a_window_in_time(seed: int, size: int) -> None:
    samples = noise(seed, size)
    spectrum = Spectrum.of(samples, RATE_HZ)

    power = spectrum.power(0, size // 2 + 1)

    np.testing.assert_allclose(power, naive_power(samples), rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(4, 300), data=st.data())
def test_any_lines_are_those_of_the_whole(seed: int, size: int, data: st.DataObject) -> None:
    spectrum = Spectrum.of(noise(seed, size), RATE_HZ)
    first = data.draw(st.integers(0, size // 2))
    stop = data.draw(st.integers(first + 1, size // 2 + 1))

    whole = spectrum.power(0, size // 2 + 1)

    np.testing.assert_allclose(spectrum.power(first, stop), whole[first:stop], rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(4, 300))
def test_power_sums_to_the_weighted_mean_square(seed: int, size: int) -> None:
    samples = noise(seed, size)
    weight = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)) ** 2

    total = Spectrum.of(samples, RATE_HZ).power(0, size // 2 + 1).sum()

    assert total == pytest.approx(np.sum(weight * samples**2) / np.sum(weight), rel=1e-9)


@given(
    frequency=st.floats(20.0, 480.0),
    amplitude=st.floats(1e-3, 1e3),
    phase=st.floats(0.0, 6.3),
)
def test_a_line_counts_in_full_wherever_it_lies(
    frequency: float, amplitude: float, phase: float
) -> None:
    time = np.arange(1000) / RATE_HZ
    spectrum = Spectrum.of(amplitude * np.sin(2 * np.pi * frequency * time + phase), RATE_HZ)

    assert line_amplitude(spectrum, frequency) == pytest.approx(amplitude, rel=5e-3)
    assert line_amplitude(spectrum, frequency * 1.01, slip=0.02) == pytest.approx(
        amplitude, rel=5e-3
    )


@pytest.mark.parametrize("frequency", [0.0, 1.0, 2.4, 499.0, 500.0, 1e6])
def test_a_line_out_of_reach_is_not_told(frequency: float) -> None:
    assert np.isnan(line_amplitude(Spectrum.of(noise(1, 1000), RATE_HZ), frequency))


def test_a_given_place_takes_the_lines() -> None:
    samples, out = noise(1, 64), np.empty(33, complex)

    lines = Spectrum.of(samples, RATE_HZ, out).lines

    np.testing.assert_array_equal(lines, np.fft.rfft(samples))


@given(st.integers(0, 100_000))
def test_smooth_sizes_are_even_and_near(least: int) -> None:
    size = smooth_size(least)

    assert size >= max(least, 2)
    assert size % 2 == 0
    assert size <= 1.15 * least + 4
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    assert size == 1


@given(st.integers(0, 600), st.integers(0, 600))
def test_a_band_has_its_lines(low: int, width: int) -> None:
    spectrum = Spectrum.of(noise(1, 250), RATE_HZ)

    first, stop = spectrum.band(low, low + width)

    assert list(range(first, stop)) == [k for k in range(126) if low <= 4 * k <= low + width]
    assert spectrum.power(first, stop).size == stop - first
