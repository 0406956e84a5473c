"""Spectra of a vibration block: power at shaft orders, band energies and the envelope spectrum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def fill_gaps(x: Array) -> Array:
    """Return `x` less its mean with samples that are not numbers set to zero."""
    n = 0
    total = 0.0
    for v in x:
        if np.isfinite(v):
            n += 1
            total += v
    mean = total / n if n else 0.0
    out = np.empty(x.size)
    for i in range(x.size):
        v = x[i]
        out[i] = v - mean if np.isfinite(v) else 0.0
    return out


@njit(cache=True, nogil=True)
def band_power(power: Array, resolution: float, low: float, high: float) -> float:
    """Return the sum of a one-sided power spectrum from `low` to `high` Hz."""
    total = 0.0
    first = max(1, int(np.ceil(low / resolution - 1e-9)))
    last = min(power.size - 1, int(np.floor(high / resolution + 1e-9)))
    for k in range(first, last + 1):
        total += power[k]
    return total


@njit(cache=True, nogil=True)
def band_powers(power: Array, resolution: float, bands: Array, out: Array) -> None:
    """Fill `out` (k,) with the sums of a one-sided power spectrum over `bands` (k, 2), in Hz."""
    for k in range(bands.shape[0]):
        out[k] = band_power(power, resolution, bands[k, 0], bands[k, 1])


@njit(cache=True, nogil=True)
def velocity_power(power: Array, resolution: float, low: float, high: float) -> float:
    """Return the mean square of velocity between `low` and `high` Hz from that of acceleration.

    Integration in time is a division by 2πf in frequency (ISO 20816-1:2016 takes the rms of
    velocity from 10 to 1000 Hz).
    """
    total = 0.0
    first = max(1, int(np.ceil(low / resolution - 1e-9)))
    last = min(power.size - 1, int(np.floor(high / resolution + 1e-9)))
    for k in range(first, last + 1):
        omega = 2.0 * np.pi * k * resolution
        total += power[k] / (omega * omega)
    return total


@njit(cache=True, nogil=True)
def line_power(power: Array, resolution: float, frequency: float) -> float:
    """Return the power of the line nearest `frequency`: its bin and two on either side.

    With a Hann window the five bins hold all of a sinusoid wherever it lies between bins.
    """
    at = int(np.rint(frequency / resolution))
    if at < 1 or at + 2 >= power.size:
        return np.nan
    total = 0.0
    for k in range(max(1, at - 2), at + 3):
        total += power[k]
    return total


@njit(cache=True, nogil=True)
def comb_amplitude(
    amplitude: Array, resolution: float, frequency: float, harmonics: int, slip: float
) -> float:
    """Return the root of the summed squares of the peaks at `frequency` and its harmonics.

    Rolling elements slip, so each peak is sought within `slip` (a share) of its frequency, at
    least one bin on either side (Randall and Antoni, MSSP 25 (2011), 485-520).
    """
    total = 0.0
    for h in range(1, harmonics + 1):
        centre = h * frequency / resolution
        reach = max(1.0, slip * centre)
        first = max(1, int(np.floor(centre - reach)))
        last = min(amplitude.size - 1, int(np.ceil(centre + reach)))
        peak = 0.0
        for k in range(first, last + 1):
            peak = max(peak, amplitude[k])
        total += peak * peak
    return float(np.sqrt(total))


@njit(cache=True, nogil=True)
def one_sided_power(spectrum: npt.NDArray[np.complex128], scale: float, out: Array) -> None:
    """Fill `out` with the one-sided power of a real signal's spectrum."""
    for k in range(spectrum.size):
        z = spectrum[k]
        out[k] = (z.real * z.real + z.imag * z.imag) * scale
    out[0] *= 0.5


def power_spectrum(x: Array) -> Array:
    """Return the one-sided power spectrum (n // 2 + 1) of a block without gaps, Hann window.

    The bins of a band sum to the mean square of the signal in that band.
    """
    window = hann(x.size)
    spectrum = np.fft.rfft(x * window)
    out = np.empty(spectrum.size)
    one_sided_power(spectrum, 2.0 / (x.size * float(window @ window)), out)
    return out


def envelope_spectrum(x: Array, low: float, high: float) -> tuple[Array, float]:
    """Return the squared-envelope spectrum of a band, and its bin width in bins of the block.

    `low` and `high` are shares of the sampling rate. The band is cut out of the block's spectrum
    and brought to base band, which leaves the squared envelope as it is and makes the second
    transform a third as long. Amplitudes are shares of the mean squared envelope: the depth of
    modulation (Randall and Antoni 2011, section 5).
    """
    spectrum = np.fft.rfft(x)
    first, last = int(low * x.size), min(int(high * x.size), spectrum.size)
    size = 1 << int(np.ceil(np.log2(max(last - first, 8))))
    analytic = np.zeros(size, dtype=np.complex128)
    analytic[: last - first] = spectrum[first:last]
    signal = np.fft.ifft(analytic)
    squared = signal.real**2 + signal.imag**2
    mean = float(squared.mean())
    if not mean > 0.0:
        return np.zeros(size // 2 + 1), 1.0
    window = hann(size)
    amplitude = np.abs(np.fft.rfft((squared / mean - 1.0) * window))
    return amplitude * (2.0 / float(window.sum())), 1.0


_WINDOWS: dict[int, Array] = {}


def hann(size: int) -> Array:
    """Return the periodic Hann window of `size` samples; the same array each time."""
    if size not in _WINDOWS:
        _WINDOWS[size] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
    return _WINDOWS[size]
