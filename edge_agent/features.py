"""What a block of a device looks like to its model: a fixed-order vector of features.

Training and scoring both use it, so a change here needs new models.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.base import Block, Channel, Device

Vector = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex128]

# Edges of the band energies as shares of the Nyquist frequency, an octave each.
BANDS: Final = tuple(2.0**-k for k in range(7, -1, -1))
ENVELOPE_BANDS_HZ: Final = ((2.0, 20.0), (20.0, 80.0), (80.0, 200.0), (200.0, 500.0))
VIBRATION: Final = (
    "rms",
    "crest",
    "kurtosis",
    "skewness",
    "peak_to_peak",
    "velocity_rms",
    *(f"band_{k}" for k in range(len(BANDS) - 1)),
    *(f"envelope_{low:g}_{high:g}" for low, high in ENVELOPE_BANDS_HZ),
)
SLOW: Final = ("mean", "spread", "slope")
# Slower channels have no waveform worth a spectrum.
WAVEFORM_RATE_HZ: Final = 100.0
_TINY = 1e-12


def is_waveform(channel: Channel) -> bool:
    """Say whether a channel is sampled fast enough for spectral features."""
    return channel.sample_rate_hz >= WAVEFORM_RATE_HZ


def feature_names(device: Device) -> tuple[str, ...]:
    """Return `{channel}/{feature}` for each place of the vector, in the order of the channels."""
    return tuple(
        f"{channel.name}/{feature}"
        for channel in device.channels
        for feature in (VIBRATION if is_waveform(channel) else SLOW)
    )


def feature_vector(device: Device, block: Block) -> Vector:
    """Return the features of a block, float64 of shape (len(feature_names(device)),).

    What a channel did not deliver, or delivered as NaN only, is NaN.
    """
    parts: list[Vector] = []
    for channel in device.channels:
        samples = block.samples.get(channel.name)
        waveform = is_waveform(channel)
        if samples is None:
            parts.append(np.full(len(VIBRATION if waveform else SLOW), np.nan))
        elif waveform:
            parts.append(vibration_features(np.asarray(samples, float), channel.sample_rate_hz))
        else:
            parts.append(slow_features(np.asarray(samples, float), channel.sample_rate_hz))
    return np.concatenate(parts) if parts else np.empty(0)


def vibration_features(samples: Vector, rate_hz: float) -> Vector:
    """Return the `VIBRATION` features of an acceleration block in m/s2, shape (n,).

    `velocity_rms` is in mm/s over 10 to 1,000 Hz (ISO 20816-1); energies are natural logarithms of
    mean squares, so that they add up where vibration multiplies. A block with missing samples is
    described by those it has, joined; one of fewer than 64 is all NaN.
    """
    present = samples[np.isfinite(samples)]
    if present.size < 64:
        return np.full(len(VIBRATION), np.nan)
    centred = present - present.mean()
    square = centred * centred
    variance = float(square.mean())
    rms = np.sqrt(variance)
    if rms < _TINY:
        moments = (0.0, 0.0, 0.0)
    else:
        moments = (
            float(np.abs(centred).max() / rms),
            float((square * square).mean() / variance**2),
            float((square * centred).mean() / variance**1.5),
        )
    amplitude = np.fft.rfft(centred)
    frequency = np.fft.rfftfreq(present.size, 1.0 / rate_hz)
    # One-sided mean squares, so that they sum to the variance (Parseval).
    power: Vector = (amplitude.real**2 + amplitude.imag**2) * (2.0 / present.size**2)
    if present.size % 2 == 0:
        # The Nyquist line has no twin.
        power[-1] /= 2.0
    edges = np.searchsorted(frequency, [b * rate_hz / 2 for b in BANDS])
    bands = np.add.reduceat(np.append(power, 0.0), edges)[:-1]
    # In a short block a low band holds no line; reduceat returns its neighbour's then.
    bands[edges[1:] == edges[:-1]] = 0.0
    return np.array(
        [
            np.log(rms + _TINY),
            *moments,
            float(np.ptp(present)),
            np.log(velocity_rms(power, frequency) + _TINY),
            *np.log(bands + _TINY),
            *np.log(envelope_energies(amplitude, present.size, rate_hz) + _TINY),
        ]
    )


def velocity_rms(power: Vector, frequency: npt.NDArray[np.floating]) -> float:
    """Return the velocity RMS in mm/s from one-sided mean squares of acceleration in m/s2.

    Integrates by dividing by the angular frequency between 10 and 1,000 Hz (ISO 20816-1, 4.2).
    """
    band = (frequency >= 10.0) & (frequency <= 1000.0)
    return float(1000.0 * np.sqrt(np.sum(power[band] / (2 * np.pi * frequency[band]) ** 2)))


def envelope_energies(amplitude: Spectrum, size: int, rate_hz: float) -> Vector:
    """Return the mean squares of the squared envelope's spectrum in `ENVELOPE_BANDS_HZ`.

    `amplitude` is the transform of `size` real samples, (size // 2 + 1,). The envelope is that of
    the upper half of the band, where bearings ring (Randall and Antoni, "Rolling element bearing
    diagnostics", 2011), relative to its own mean. It is computed at the lowest rate that holds it:
    moved to zero, the band is as wide as a quarter of the sample rate, and its square twice that.
    """
    low, high = size // 4, size // 2
    count = 2 * (high - low)
    band = np.zeros(count, complex)
    band[: high - low] = 2.0 * amplitude[low:high]
    envelope = np.abs(np.fft.ifft(band)) ** 2 * (count / size) ** 2
    mean = envelope.mean()
    if mean < _TINY:
        return np.zeros(len(ENVELOPE_BANDS_HZ))
    line = np.fft.rfft(envelope / mean - 1.0)
    power = (line.real**2 + line.imag**2) * (2.0 / count**2)
    edges = np.searchsorted(np.arange(line.size) * (rate_hz / size), ENVELOPE_BANDS_HZ)
    return np.array([power[first:last].sum() for first, last in edges])


def slow_features(samples: Vector, rate_hz: float) -> Vector:
    """Return mean, standard deviation and slope a second of a slow channel, shape (n,)."""
    present = np.isfinite(samples)
    count = np.count_nonzero(present)
    if count == 0:
        return np.full(len(SLOW), np.nan)
    values = samples[present]
    if count < 3:
        return np.array([values.mean(), 0.0, 0.0])
    time = np.flatnonzero(present) / rate_hz
    time = time - time.mean()
    slope = float(time @ (values - values.mean()) / (time @ time))
    return np.array([values.mean(), values.std(), slope])
