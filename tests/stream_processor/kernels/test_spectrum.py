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


def test_gaps_and_infinities_count_as_the_mean_and_add_no_power():
    random = np.random.default_rng(2)
    x = 5.0 + random.normal(size=3200)
    x[random.random(3200) < 0.05] = np.nan
    x[7], x[11] = np.inf, -np.inf
    good = np.isfinite(x)
    filled = spectrum.fill_gaps(x)
    np.testing.assert_allclose(filled[good], x[good] - x[good].mean(), rtol=1e-12, atol=1e-12)
    assert (filled[~good] == 0.0).all()
    assert np.isfinite(spectrum.power_spectrum(filled)).all()
    assert (spectrum.fill_gaps(np.full(8, np.nan)) == 0.0).all()


def test_power_in_a_band_is_the_mean_square_of_what_is_in_it():
    tones = np.sqrt(2) * (np.sin(2 * np.pi * 50.0 * TIME) + 3 * np.sin(2 * np.pi * 400.0 * TIME))
    power, out = spectrum.power_spectrum(tones), np.empty(2)
    spectrum.band_powers(power, 1.0, np.array([[10.0, 200.0], [200.0, 1000.0]]), out)
    np.testing.assert_allclose(out, [1.0, 9.0], rtol=1e-9)


def test_a_spike_of_one_block_leaves_the_spectrum_of_the_next_as_it_is():
    tone = np.sin(2 * np.pi * 50.0 * TIME)
    before = spectrum.power_spectrum(spectrum.fill_gaps(tone))
    spiked = tone.copy()
    spiked[100] = 1e9
    spectrum.envelope_spectrum(spectrum.fill_gaps(spiked), 0.2, 0.47)
    spectrum.power_spectrum(spectrum.fill_gaps(spiked))
    np.testing.assert_array_equal(spectrum.power_spectrum(spectrum.fill_gaps(tone)), before)


def test_float32_is_transformed_in_float64():
    x = np.random.default_rng(3).normal(size=3200).astype(np.float32)
    filled = spectrum.fill_gaps(x)
    assert filled.dtype == np.float64
    np.testing.assert_array_equal(filled, spectrum.fill_gaps(x.astype(np.float64)))


def test_warm_up_compiles_every_kernel_and_tells_how_far_it_is():
    seen = []
    warm_up(lambda name, done, total: seen.append((name, done, total)))
    assert [done for _, done, _ in seen] == list(range(len(seen)))
    assert seen[-1][1] == seen[-1][2]
