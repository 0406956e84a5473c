"""Features of the vibration blocks of a machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stream_processor.frames import ChannelInfo, EquipmentInfo
from stream_processor.kernels import vibration as kernel
from stream_processor.kernels.spectrum import hann
from stream_processor.stages.catalogue import (
    BANDS,
    BEARING_FACTS,
    HALF_ORDERS,
    HIGH_ORDERS,
    LINES,
    NOISE_BAND,
    fact,
)

Array = npt.NDArray[np.float64]

# ISO 20816-1 evaluates broad-band velocity between these frequencies.
VELOCITY_BAND_HZ = (10.0, 1000.0)
# Impacts ring the housing above the shaft's and the gears' lines: the band that is demodulated, as
# shares of the sampling rate.
ENVELOPE_BAND = (0.2, 0.47)
ENVELOPE_HARMONICS = 3
SLIP = 0.015
# Metres per second squared in a unit of acceleration.
_ACCELERATION = {"m/s2": 1.0, "g": 9.80665, "mm/s2": 1e-3}
_VELOCITY_MM_S = {"mm/s": 1.0, "m/s": 1e3}
_LEAST_SAMPLES = 64.0

_SPECTRAL = (
    "rms", "kurtosis", "crest", "velocity_rms", *BANDS, "floor", *LINES, "half_x", "harmonics",
    "vane_pass", "gear_mesh",
)  # fmt: skip
NAMES = (*_SPECTRAL, *BEARING_FACTS)
"""What is computed of a block, in the order of its columns."""


def to_velocity(channel: ChannelInfo) -> tuple[float, float]:
    """Return the factors to mm/s from a velocity and from an acceleration, NaN for none."""
    if channel.quantity == "velocity":
        return _VELOCITY_MM_S.get(channel.unit, np.nan), np.nan
    return np.nan, 1e3 * _ACCELERATION.get(channel.unit, np.nan)


class VibrationFeatures:
    """How the vibration blocks of one machine, `channels` in their order, become features."""

    def __init__(self, info: EquipmentInfo, channels: tuple[str, ...]) -> None:
        self._channels = channels
        declared = [info.channels[name] for name in channels]
        self._rates = np.array([c.sample_rate_hz for c in declared])
        self._factors = np.array([to_velocity(c) for c in declared]).reshape(-1, 2)
        self._bands = np.array(list(BANDS.values()))
        self._lines = np.array(list(LINES.values()))
        vanes, teeth = fact(info, "Vane Count"), fact(info, "Gear Teeth")
        # Vanes and teeth have lines of their own; they say nothing of looseness.
        whole = [n for n in HIGH_ORDERS if not (n % vanes == 0.0 or n % teeth == 0.0)]
        self._sums = np.full((2, max(len(HALF_ORDERS), len(HIGH_ORDERS))), np.nan)
        self._sums[0, : len(HALF_ORDERS)] = HALF_ORDERS
        self._sums[1, : len(whole)] = whole
        self._passes = np.array([vanes, teeth])
        orders = np.array([fact(info, name) for name in BEARING_FACTS.values()])
        self._orders = np.where(orders > 0.0, orders, np.nan)
        self._has_bearing = bool((orders > 0.0).any())

    def of(self, samples: Mapping[str, Array], shaft_hz: float) -> Array:
        """Return the features (channels, NAMES) of a block of each channel that is in `samples`.

        NaN is what is missing in `samples`, and what cannot be computed; `shaft_hz` is the shaft's
        frequency, NaN when unknown.
        """
        out = np.full((len(self._channels), len(NAMES)), np.nan)
        by_size: dict[int, list[int]] = {}
        for row, name in enumerate(self._channels):
            if name in samples and samples[name].size >= _LEAST_SAMPLES:
                by_size.setdefault(samples[name].size, []).append(row)
        for size, rows in by_size.items():
            blocks = np.empty((len(rows), size))
            for at, row in enumerate(rows):
                blocks[at] = samples[self._channels[row]]
            if len(rows) == len(self._channels):
                self._compute(blocks, self._rates, self._factors, shaft_hz, out)
            else:
                found = np.full((len(rows), len(NAMES)), np.nan)
                self._compute(blocks, self._rates[rows], self._factors[rows], shaft_hz, found)
                out[rows] = found
        return out

    def _compute(
        self, blocks: Array, rates: Array, factors: Array, shaft_hz: float, out: Array
    ) -> None:
        count, size = blocks.shape
        moments, signal = np.empty((count, 8)), np.empty((count, size))
        kernel.prepare(blocks, moments, signal)
        spectra = np.fft.rfft(signal, axis=1)
        kernel.spectral(
            spectra, size, moments, _LEAST_SAMPLES, rates, factors, self._bands, VELOCITY_BAND_HZ,
            NOISE_BAND, shaft_hz, self._lines, self._sums, self._passes, out,
        )  # fmt: skip
        if not (self._has_bearing and shaft_hz > 0.0):
            return
        # The band is brought to base band, which leaves the squared envelope as it is and makes
        # the transforms a third as long. Amplitudes are shares of the mean squared envelope: the
        # depth of modulation (Randall and Antoni, MSSP 25 (2011), section 5).
        low, high = ENVELOPE_BAND
        first, last = int(low * size), min(int(high * size), spectra.shape[1])
        length = 1 << int(np.ceil(np.log2(max(last - first, 8))))
        window = hann(length)
        depth = np.empty((count, length))
        kernel.depth(np.fft.ifft(spectra[:, first:last], length, axis=1), window, depth)
        combs = np.empty((count, len(BEARING_FACTS)))
        kernel.combs(
            np.fft.rfft(depth, axis=1), 4.0 / length, rates / size, self._orders * shaft_hz,
            ENVELOPE_HARMONICS, SLIP, combs,
        )  # fmt: skip
        combs[np.isnan(out[:, 0])] = np.nan
        out[:, len(_SPECTRAL) :] = combs
