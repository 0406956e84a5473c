"""The features of the vibration blocks of a machine, all channels of one length at once.

Each block is transformed once. A periodic Hann window is a convolution with (-1/4, 1/2, -1/4) in
frequency (Harris, Proceedings of the IEEE 66 (1978), 51-83), so the windowed spectrum is taken from
the plain one, of which the envelope's band is cut out as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_processor.kernels import blocks
from stream_processor.kernels.blocks import block_moments
from stream_processor.kernels.spectrum import band_power, fill_gaps, line_power, velocity_power

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

_COUNT, _VARIANCE, _KURTOSIS, _CREST = (
    blocks.COUNT,
    blocks.VARIANCE,
    blocks.KURTOSIS,
    blocks.CREST,
)


@njit(cache=True, nogil=True)
def prepare(samples: Array, moments: Array, signal: Array) -> None:
    """Fill `moments` (m, 8) and `signal` (m, n): each block of `samples` (m, n) without its mean.

    Samples that are not numbers are zero in `signal`.
    """
    for row in range(samples.shape[0]):
        moments[row] = block_moments(samples[row])
        signal[row] = fill_gaps(samples[row])


@njit(cache=True, nogil=True)
def windowed_power(spectrum: Complex, size: int, out: Array) -> None:
    """Fill `out` (size // 2 + 1,) with the one-sided power under a Hann window.

    `spectrum` is that of `size` >= 3 real samples without a window.
    """
    last = spectrum.size - 1
    scale = 2.0 / (0.375 * size * size)
    for k in range(1, last):
        z = 0.5 * spectrum[k] - 0.25 * (spectrum[k - 1] + spectrum[k + 1])
        out[k] = (z.real * z.real + z.imag * z.imag) * scale
    z = 0.5 * spectrum[0] - 0.25 * (np.conj(spectrum[1]) + spectrum[1])
    out[0] = 0.5 * (z.real * z.real + z.imag * z.imag) * scale
    after = np.conj(spectrum[last - 1]) if size % 2 == 0 else np.conj(spectrum[last])
    z = 0.5 * spectrum[last] - 0.25 * (spectrum[last - 1] + after)
    out[last] = (z.real * z.real + z.imag * z.imag) * scale


@njit(cache=True, nogil=True)
def _amplitude(power: float) -> float:
    return float(np.sqrt(2.0 * power))


@njit(cache=True, nogil=True)
def spectral(
    spectra: Complex,
    size: int,
    moments: Array,
    least: float,
    rates: Array,
    factors: Array,
    bands: Array,
    velocity_band: tuple[float, float],
    noise_band: tuple[float, float],
    shaft_hz: float,
    lines: Array,
    sums: Array,
    passes: Array,
    out: Array,
) -> None:
    """Fill the columns of `out` (m, columns) from the moments and the spectra of m blocks.

    Columns are rms, kurtosis, crest, velocity, a `bands` (b, 2) each, floor, one of each order in
    `lines`, and of each row of `sums` (s, orders), padded with NaN; then the line of order
    `passes[0]` and those of `passes[1]` with both its side lines, NaN for none. `factors` (m, 2)
    takes a channel's unit to mm/s: from velocity, NaN for none, and from acceleration. A block of
    fewer than `least` numbers, or one that is constant, has none.
    """
    power = np.empty(spectra.shape[1])
    for row in range(spectra.shape[0]):
        out[row, :] = np.nan
        variance = moments[row, _VARIANCE]
        if moments[row, _COUNT] < least or variance == 0.0:
            continue
        windowed_power(spectra[row], size, power)
        resolution = rates[row] / size
        out[row, 0] = np.sqrt(variance)
        out[row, 1] = moments[row, _KURTOSIS]
        out[row, 2] = moments[row, _CREST]
        low, high = velocity_band
        if factors[row, 0] == factors[row, 0]:
            out[row, 3] = factors[row, 0] * np.sqrt(band_power(power, resolution, low, high))
        elif factors[row, 1] == factors[row, 1]:
            out[row, 3] = factors[row, 1] * np.sqrt(velocity_power(power, resolution, low, high))
        at = 4
        for b in range(bands.shape[0]):
            energy = band_power(
                power, resolution, bands[b, 0] * rates[row], bands[b, 1] * rates[row]
            )
            out[row, at] = np.sqrt(energy)
            at += 1
        # Most of the bins hold no line: their median is the noise between the lines.
        first = int(np.rint(noise_band[0] * size))
        last = int(np.rint(noise_band[1] * size))
        out[row, at] = np.sqrt(np.median(power[first:last]) * (last - first))
        at += 1
        if not shaft_hz > 0.0:
            continue
        for order in lines:
            out[row, at] = _amplitude(line_power(power, resolution, order * shaft_hz))
            at += 1
        for s in range(sums.shape[0]):
            total = 0.0
            for order in sums[s]:
                if order == order:
                    total += line_power(power, resolution, order * shaft_hz)
            out[row, at] = _amplitude(total)
            at += 1
        if passes[0] > 0.0:
            out[row, at] = _amplitude(line_power(power, resolution, passes[0] * shaft_hz))
        at += 1
        if passes[1] > 0.0:
            total = 0.0
            for side in (-1.0, 0.0, 1.0):
                total += line_power(power, resolution, (passes[1] + side) * shaft_hz)
            out[row, at] = _amplitude(total)


@njit(cache=True, nogil=True)
def depth(analytic: Complex, window: Array, out: Array) -> None:
    """Fill `out` (m, n) with the windowed squared envelopes of (m, n) signals over their means.

    Less one, so that what is left is the modulation; zero for a signal that is zero.
    """
    for row in range(analytic.shape[0]):
        total = 0.0
        for i in range(analytic.shape[1]):
            z = analytic[row, i]
            out[row, i] = z.real * z.real + z.imag * z.imag
            total += out[row, i]
        mean = total / analytic.shape[1]
        for i in range(analytic.shape[1]):
            out[row, i] = (out[row, i] / mean - 1.0) * window[i] if mean > 0.0 else 0.0


@njit(cache=True, nogil=True)
def combs(
    spectra: Complex,
    scale: float,
    resolutions: Array,
    frequencies: Array,
    harmonics: int,
    slip: float,
    out: Array,
) -> None:
    """Fill `out` (m, f) with the comb amplitudes at `frequencies`, NaN where one is NaN.

    As `spectrum.comb_amplitude`, of amplitudes that are the moduli of `spectra` by `scale`.
    """
    for row in range(spectra.shape[0]):
        for f in range(frequencies.size):
            out[row, f] = np.nan
            if not frequencies[f] > 0.0:
                continue
            total = 0.0
            for h in range(1, harmonics + 1):
                centre = h * frequencies[f] / resolutions[row]
                reach = max(1.0, slip * centre)
                first = max(1, int(np.floor(centre - reach)))
                last = min(spectra.shape[1] - 1, int(np.ceil(centre + reach)))
                peak = 0.0
                for k in range(first, last + 1):
                    z = spectra[row, k]
                    peak = max(peak, z.real * z.real + z.imag * z.imag)
                total += peak
            out[row, f] = scale * np.sqrt(total)


def compile_all() -> None:
    """Compile every kernel for the one signature it has."""
    samples = np.random.default_rng(1).normal(size=(1, 64))
    moments, signal, out = np.empty((1, 8)), np.empty((1, 64)), np.empty((1, 12))
    prepare(samples, moments, signal)
    spectra = np.fft.rfft(signal, axis=1)
    windowed_power(spectra[0], 64, np.empty(33))
    one, nan = np.ones(1), np.full((1, 2), np.nan)
    spectral(spectra, 64, moments, 64.0, 64.0 * one, nan, np.array([[0.1, 0.2]]), (10.0, 20.0),
             (0.25, 0.4), 2.0, one, nan, np.ones(2), out)  # fmt: skip
    depth(np.fft.ifft(spectra, axis=1), np.ones(33), np.empty((1, 33)))
    combs(spectra, 1.0, one, one, 3, 0.02, out)
