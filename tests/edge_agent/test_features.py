"""Laws that the features keep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.features import (
    BANDS,
    SLOW,
    VIBRATION,
    feature_names,
    feature_vector,
    slow_features,
    vibration_features,
)

RATE_HZ = 3200.0
N = 3200
Vector = npt.NDArray[np.float64]


def named(samples: Vector, rate_hz: float = RATE_HZ) -> dict[str, float]:
    return dict(zip(VIBRATION, vibration_features(samples, rate_hz).tolist(), strict=True))


def bands(features: dict[str, float]) -> float:
    return float(sum(np.exp(features[f"band_{k}"]) for k in range(len(BANDS) - 1)))


def noise(seed: int, size: int = N) -> Vector:
    return np.random.default_rng(seed).standard_normal(size)


def above_the_lowest_band(samples: Vector) -> Vector:
    """Return samples without what lies below the lowest band, and on the Nyquist line."""
    spectrum = np.fft.rfft(samples)
    spectrum[: int(np.ceil(BANDS[0] * (len(spectrum) - 1)))] = 0.0
    spectrum[-1] = 0.0
    return np.fft.irfft(spectrum, samples.size)


@given(
    amplitude=st.floats(0.01, 100.0),
    frequency=st.integers(10, 1000),
    phase=st.floats(0.0, 6.0),
    offset=st.floats(-20.0, 20.0),
)
def test_velocity_of_a_sine(amplitude: float, frequency: int, phase: float, offset: float) -> None:
    time = np.arange(N) / RATE_HZ
    samples = amplitude * np.sin(2 * np.pi * frequency * time + phase) + offset

    features = named(samples)

    velocity_mm_s = 1000 * amplitude / (2 * np.pi * frequency) / np.sqrt(2)
    assert np.exp(features["velocity_rms"]) == pytest.approx(velocity_mm_s, rel=1e-6)
    assert np.exp(features["rms"]) == pytest.approx(amplitude / np.sqrt(2), rel=1e-6)
    assert features["kurtosis"] == pytest.approx(1.5, rel=1e-3)
    assert features["skewness"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("frequency", [5, 1200])
def test_velocity_leaves_out_what_the_standard_does(frequency: int) -> None:
    samples = np.sin(2 * np.pi * frequency * np.arange(N) / RATE_HZ)

    assert np.exp(named(samples)["velocity_rms"]) < 1e-6


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3))
def test_bands_sum_to_the_variance(seed: int, scale: float) -> None:
    samples = above_the_lowest_band(noise(seed)) * scale

    assert bands(named(samples)) == pytest.approx(samples.var(), rel=1e-6, abs=1e-11)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(64, 400))
def test_no_line_of_a_short_block_counts_twice(seed: int, size: int) -> None:
    samples = noise(seed, size)

    assert bands(named(samples)) <= samples.var() * (1 + 1e-9) + 1e-9


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-2, 1e2))
def test_what_scaling_does(seed: int, scale: float) -> None:
    samples = noise(seed)

    one, many = named(samples), named(samples * scale)

    for name, value in one.items():
        if name in ("rms", "velocity_rms"):
            due = value + np.log(scale)
        elif name.startswith("band_"):
            due = value + 2 * np.log(scale)
        elif name == "peak_to_peak":
            due = value * scale
        else:
            due = value
        assert many[name] == pytest.approx(due, rel=1e-5, abs=1e-5), name


def test_a_bearing_that_rings_shows_in_the_envelope() -> None:
    time = np.arange(N) / RATE_HZ
    ringing = np.sin(2 * np.pi * 1200 * time) * (1 + 0.8 * np.sin(2 * np.pi * 130 * time))

    features = named(ringing + 0.01 * noise(1))

    energies = {k: v for k, v in features.items() if k.startswith("envelope")}
    assert max(energies, key=energies.__getitem__) == "envelope_80_200"


@given(seed=st.integers(0, 2**32 - 1), holes=st.sets(st.integers(0, N - 1), max_size=40))
def test_missing_samples_are_left_out(seed: int, holes: set[int]) -> None:
    samples = noise(seed)
    torn = samples.copy()
    torn[list(holes)] = np.nan
    joined = np.delete(samples, list(holes))

    np.testing.assert_array_equal(
        vibration_features(torn, RATE_HZ), vibration_features(joined, RATE_HZ)
    )


def test_too_little_is_not_described() -> None:
    samples = np.full(N, np.nan)
    samples[:63] = noise(3, 63)

    assert np.isnan(vibration_features(samples, RATE_HZ)).all()


@pytest.mark.parametrize("samples", [np.zeros(N), np.full(N, 1e6), noise(1) * 1e-15])
def test_silence_is_finite(samples: Vector) -> None:
    assert np.isfinite(vibration_features(samples, RATE_HZ)).all()


@given(
    slope=st.floats(-10, 10),
    start=st.floats(-100, 100),
    holes=st.sets(st.integers(0, 59), max_size=50),
)
def test_a_slow_line_has_its_slope(slope: float, start: float, holes: set[int]) -> None:
    samples = start + slope * np.arange(60) / 2.0
    samples[list(holes)] = np.nan

    mean, spread, found = slow_features(samples, 2.0)

    assert mean == pytest.approx(np.nanmean(samples), abs=1e-9)
    assert spread == pytest.approx(np.nanstd(samples), abs=1e-9)
    assert found == pytest.approx(slope, abs=1e-7)


def test_a_vector_has_a_place_for_every_name() -> None:
    device = Device(
        "D",
        "c",
        "p",
        (Channel("V", "m/s2", RATE_HZ, "acceleration"), Channel("T", "degC", 1.0)),
    )
    names = feature_names(device)
    assert names == (*(f"V/{n}" for n in VIBRATION), *(f"T/{n}" for n in SLOW))

    whole = feature_vector(device, Block("D", 0, {"V": noise(1), "T": np.array([1.0, 2.0, 3.0])}))
    part = feature_vector(device, Block("D", 0, {"T": np.array([1.0, 2.0, 3.0])}))

    assert whole.shape == part.shape == (len(names),)
    assert np.isfinite(whole).all()
    assert np.isnan(part[: len(VIBRATION)]).all()
    np.testing.assert_allclose(part[len(VIBRATION) :], [2.0, np.std([1, 2, 3]), 1.0])
