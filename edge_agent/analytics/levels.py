"""How strong a window is: moments, bands, and the velocity that ISO 20816 judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.analytics.spectrum import Array, Spectrum

# Metres per second squared in a unit of acceleration; millimetres a second in one of velocity.
ACCELERATION = {"m/s2": 1.0, "mm/s2": 1e-3, "g": 9.80665}
VELOCITY = {"mm/s": 1.0, "m/s": 1e3}


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a window about its mean, in the channel's unit; crest factor and kurtosis have none."""

    mean: float
    minimum: float
    maximum: float
    rms: float
    peak: float
    crest_factor: float
    kurtosis: float

    @property
    def peak_to_peak(self) -> float:
        """The span of the samples."""
        return self.maximum - self.minimum


def moments(centred: Array, mean: float, work: Array) -> Moments:
    """Return the moments of samples that `mean` was taken from, float64 of shape (n,), n >= 1.

    `peak` is the largest distance from the mean, `crest_factor` peak over RMS, `kurtosis` the
    fourth moment over the square of the second: 1.5 of a sine, 3 of noise (Dyer and Stewart,
    "Detection of rolling element bearing damage by statistical vibration analysis", Journal of
    Mechanical Design 100 (1978), 229-235). The last two are NaN where nothing moves. `work`, of the
    same shape, is overwritten.

    >>> wave = np.array([1.0, -1.0, 1.0, -1.0])
    >>> found = moments(wave, 5.0, np.empty(4))
    >>> found.rms, found.minimum, found.crest_factor
    (1.0, 4.0, 1.0)
    """
    low, high = float(centred.min()), float(centred.max())
    peak = max(high, -low)
    if peak == 0.0:
        return Moments(mean, mean, mean, 0.0, 0.0, np.nan, np.nan)
    # In units of the peak, so that no fourth power overflows or vanishes.
    square = np.divide(centred, peak, out=work)
    np.multiply(square, square, out=square)
    second = float(square.mean())
    fourth = float(square @ square) / square.size
    root = float(np.sqrt(second))
    return Moments(mean, mean + low, mean + high, peak * root, peak, 1.0 / root, fourth / second**2)


def band_rms(spectrum: Spectrum, low: float, high: float) -> float:
    """Return the RMS of what lies from `low` to `high`, in the unit of the spectrum's `rate`.

    NaN when the spectrum is too coarse to have a line there.
    """
    power = spectrum.power(*spectrum.band(low, high))
    return float(np.sqrt(power.sum())) if power.size else float("nan")


def velocity_rms(spectrum: Spectrum, unit: str, band_hz: tuple[float, float]) -> float:
    """Return the velocity RMS in mm/s of a spectrum of acceleration or velocity over a band.

    ISO 20816-1:2016: RMS of the velocity from 10 to 1,000 Hz, or from 2 Hz below 600 turns a
    minute. Acceleration is integrated by a division by 2 pi f of each line. NaN when the spectrum
    is too coarse to have a line there.

    Raises:
        KeyError: the unit is one of neither.
    """
    if unit in VELOCITY:
        return VELOCITY[unit] * band_rms(spectrum, *band_hz)
    first, stop = spectrum.band(*band_hz)
    # What does not move has no frequency to divide by.
    first = max(first, 1)
    power = spectrum.power(first, stop)
    if not power.size:
        return float("nan")
    omega = 2 * np.pi * spectrum.resolution * np.arange(first, stop)
    return 1e3 * ACCELERATION[unit] * float(np.sqrt(np.sum(power / omega**2)))


def zone(velocity_mm_s: float, limits_mm_s: Sequence[float]) -> float:
    """Return the evaluation zone of ISO 20816-1:2016: 1 for A, 2 for B, 3 for C, 4 for D.

    A velocity at a limit is still in the zone below; NaN has no zone.

    >>> [zone(v, (2.3, 4.5, 7.1)) for v in (1.0, 2.3, 4.6, 9.0)]
    [1.0, 1.0, 3.0, 4.0]
    """
    if np.isnan(velocity_mm_s):
        return float("nan")
    return 1.0 + sum(velocity_mm_s > limit for limit in limits_mm_s)
