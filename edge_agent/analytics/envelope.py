"""The envelope of a band: where a defect of a rolling bearing shows."""

from __future__ import annotations

import numpy as np

from edge_agent.analytics.spectrum import Array, Spectrum, line_amplitude, smooth_size

# Of the sample rate: above the lines of shaft and gears, below the filter's edge.
DEFAULT_BAND = (0.2, 0.47)


def envelope(
    spectrum: Spectrum, low_hz: float, high_hz: float, highest_hz: float
) -> tuple[Array, float]:
    """Return the envelope of a band in the channel's unit, and its sample rate in Hz.

    Randall and Antoni, "Rolling element bearing diagnostics: a tutorial", Mechanical Systems and
    Signal Processing 25 (2011), 485-520, section 5: the lines of the band alone, one-sided, are the
    analytic signal (Hilbert), and its size is the envelope. Brought down to zero, which leaves the
    size as it is, the band needs no higher rate than its width and `highest_hz`, the highest
    frequency of the envelope that is of interest: what two lines of the band beat with is no faster
    than the band is wide, and folds back to above that.
    """
    first, stop = spectrum.band(low_hz, high_hz)
    width = stop - first
    reach = int(min(np.ceil(highest_hz / spectrum.resolution), width))
    size = smooth_size(max(width + reach, 2 * reach, 8))
    lines = np.zeros(size, np.complex128)
    lines[:width] = spectrum.lines[first:stop]
    analytic = np.fft.ifft(lines)
    # The transform back divides by its own size, the one before was of another.
    scale = 2.0 * size / spectrum.size
    return np.abs(analytic) * scale, spectrum.rate * size / spectrum.size


def defect_amplitude(orders: Spectrum, order: float, harmonics: int, slip: float) -> float:
    """Return how strongly an envelope pulses at a defect's order, in the envelope's unit.

    The root of the summed squares of the amplitudes at the order and its harmonics, each looked for
    within `slip` (a share), since rolling elements slide by 1 to 2 % (Randall and Antoni). `orders`
    is the spectrum of the envelope over turns of the shaft; harmonics beyond it are left out, NaN
    when the first is.
    """
    found = [line_amplitude(orders, order * n, slip) for n in range(1, harmonics + 1)]
    if np.isnan(found[0]):
        return float("nan")
    return float(np.sqrt(np.nansum(np.square(found))))
