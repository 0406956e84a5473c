"""Spectra as an analyst takes them, independent of how the plant makes its signals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, hilbert, sosfiltfilt

Signal = npt.NDArray[np.floating]
RATE = 3200.0


def amplitude_near(signal: Signal, frequency_hz: float, half_width_hz: float = 1.5) -> float:
    """Return the largest amplitude of a line within the half width of a frequency."""
    window = np.hanning(len(signal))
    spectrum = np.abs(np.fft.rfft(signal * window)) * 2 / window.sum()
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    return float(spectrum[np.abs(frequencies - frequency_hz) <= half_width_hz].max())


def prominence(signal: Signal, frequency_hz: float, half_width_hz: float = 1.5) -> float:
    """Return a line's amplitude over the median of the 60 Hz around it."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    distance = np.abs(frequencies - frequency_hz)
    floor = np.median(spectrum[(distance > half_width_hz) & (distance < 30.0)])
    return float(spectrum[distance <= half_width_hz].max() / floor)


def envelope(signal: Signal) -> Signal:
    """Return the envelope of 1000 to 1500 Hz, without its mean."""
    band = butter(4, (1000.0, 1500.0), "bandpass", fs=RATE, output="sos")
    rectified = np.abs(hilbert(sosfiltfilt(band, signal.astype(np.float64))))
    return np.asarray(rectified - rectified.mean())


def velocity_rms(signal: Signal) -> float:
    """Return the velocity of an acceleration, mm/s RMS from 10 to 1000 Hz (ISO 20816)."""
    spectrum = np.fft.rfft(signal)
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    band = (frequencies >= 10.0) & (frequencies <= 1000.0)
    velocity = spectrum[band] / (2j * np.pi * frequencies[band])
    return float(1000 * np.sqrt(2 * np.sum(np.abs(velocity) ** 2)) / len(signal))


@pytest.fixture(name="amplitude_near")
def _amplitude_near() -> Callable[..., float]:
    return amplitude_near


@pytest.fixture(name="prominence")
def _prominence() -> Callable[..., float]:
    return prominence


@pytest.fixture(name="envelope")
def _envelope() -> Callable[[Signal], Signal]:
    return envelope


@pytest.fixture(name="velocity_rms")
def _velocity_rms() -> Callable[[Signal], float]:
    return velocity_rms


@pytest.fixture
def start_ms() -> int:
    """Monday 2026-01-05 06:00 UTC."""
    return 1_767_592_800_000
