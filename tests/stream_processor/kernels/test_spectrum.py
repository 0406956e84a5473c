from __future__ import annotations

import numpy as np
import pytest

from stream_processor.kernels import spectrum, warm_up

RATE = 3200.0
TIME = np.arange(3200) / RATE


def test_the_bins_of_a_spectrum_sum_to_the_mean_square():
    x = spectrum.fill_gaps(np.random.default_rng(1).normal(size=3200))
    power = spectrum.power_spectrum(x * spectrum.hann(3200))
    assert power.sum() > 0
    tone = np.sqrt(2) * np.sin(2 * np.pi * 100.0 * TIME)
    assert spectrum.power_spectrum(tone).sum() == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("frequency", [24.5, 25.0, 24.83, 148.1])
def test_a_line_between_bins_is_measured_whole(frequency):
    tone = 0.7 * np.sin(2 * np.pi * frequency * TIME)
    power = spectrum.line_power(spectrum.power_spectrum(tone), 1.0, frequency)
    assert np.sqrt(2 * power) == pytest.approx(0.7, rel=0.01)


def test_acceleration_integrates_to_velocity():
    velocity_mm_s = 4.5
    peak = np.sqrt(2) * velocity_mm_s * 1e-3 * 2 * np.pi * 50.0
    power = spectrum.power_spectrum(peak * np.sin(2 * np.pi * 50.0 * TIME))
    found = 1e3 * np.sqrt(spectrum.velocity_power(power, 1.0, 10.0, 1000.0))
    assert found == pytest.approx(velocity_mm_s, rel=0.01)


def test_the_envelope_shows_the_rate_of_impacts_that_ring_a_resonance():
    impulses = np.zeros(3200)
    impulses[(np.arange(76) * 3200 / 76.3).astype(int)] = 1.0
    ring = np.exp(-400 * TIME) * np.sin(2 * np.pi * 1150 * TIME)
    signal = np.convolve(impulses, ring)[:3200]
    noise = 0.05 * np.random.default_rng(1).normal(size=3200)
    amplitude, width = spectrum.envelope_spectrum(signal + noise, 0.2, 0.47)
    at_fault = spectrum.comb_amplitude(amplitude, width, 76.3, 3, 0.015)
    elsewhere = spectrum.comb_amplitude(amplitude, width, 61.0, 3, 0.015)
    assert at_fault > 5 * elsewhere


def test_warm_up_compiles_every_kernel_and_tells_how_far_it_is():
    seen = []
    warm_up(lambda name, done, total: seen.append((name, done, total)))
    assert [done for _, done, _ in seen] == list(range(len(seen)))
    assert seen[-1][1] == seen[-1][2]
