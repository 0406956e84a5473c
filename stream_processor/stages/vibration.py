"""Features of a vibration block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream_processor.frames import ChannelInfo, EquipmentInfo
from stream_processor.kernels import blocks, spectrum
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
_LEAST_SAMPLES = 64


def velocity_rms(channel: ChannelInfo, power: Array, resolution: float) -> float:
    """Return the velocity in mm/s rms from 10 to 1000 Hz, NaN when the unit is not known."""
    low, high = VELOCITY_BAND_HZ
    if channel.quantity == "velocity":
        factor = _VELOCITY_MM_S.get(channel.unit, np.nan)
        return factor * float(np.sqrt(spectrum.band_power(power, resolution, low, high)))
    factor = 1e3 * _ACCELERATION.get(channel.unit, np.nan)
    return factor * float(np.sqrt(spectrum.velocity_power(power, resolution, low, high)))


def _amplitude(power: float) -> float:
    """Return the peak amplitude of a sinusoid of this mean square."""
    return float(np.sqrt(2.0 * power))


def vibration_features(
    info: EquipmentInfo, channel: ChannelInfo, samples: Array, shaft_hz: float
) -> dict[str, float]:
    """Return the features of a block by name; those that cannot be computed are left out.

    `samples` is one block, NaN for missing; `shaft_hz` the shaft's frequency, NaN when unknown.
    """
    moments = blocks.block_moments(samples)
    if moments[blocks.COUNT] < _LEAST_SAMPLES or moments[blocks.VARIANCE] == 0.0:
        return {}
    rate = channel.sample_rate_hz
    resolution = rate / samples.size
    signal = spectrum.fill_gaps(samples)
    power = spectrum.power_spectrum(signal)
    found = {
        "rms": float(np.sqrt(moments[blocks.VARIANCE])),
        "kurtosis": float(moments[blocks.KURTOSIS]),
        "crest": float(moments[blocks.CREST]),
        "velocity_rms": velocity_rms(channel, power, resolution),
    }
    for name, (low, high) in BANDS.items():
        band = spectrum.band_power(power, resolution, low * rate, high * rate)
        found[name] = float(np.sqrt(band))
    # Most of the bins hold no line: their median is the noise between the lines.
    first, last = (round(edge * samples.size) for edge in NOISE_BAND)
    found["floor"] = float(np.sqrt(np.median(power[first:last]) * (last - first)))
    if not shaft_hz > 0.0:
        return found
    for name, order in LINES.items():
        found[name] = _amplitude(spectrum.line_power(power, resolution, order * shaft_hz))
    vanes, teeth = fact(info, "Vane Count"), fact(info, "Gear Teeth")
    # Vanes and teeth have lines of their own; they say nothing of looseness.
    whole: tuple[float, ...] = tuple(
        n for n in HIGH_ORDERS if not (n % vanes == 0.0 or n % teeth == 0.0)
    )
    for name, together in (("half_x", HALF_ORDERS), ("harmonics", whole)):
        found[name] = _amplitude(
            sum(spectrum.line_power(power, resolution, n * shaft_hz) for n in together)
        )
    if vanes > 0.0:
        found["vane_pass"] = _amplitude(spectrum.line_power(power, resolution, vanes * shaft_hz))
    if teeth > 0.0:
        mesh = sum(
            spectrum.line_power(power, resolution, (teeth + side) * shaft_hz) for side in (-1, 0, 1)
        )
        found["gear_mesh"] = _amplitude(mesh)
    amplitude, width = spectrum.envelope_spectrum(signal, *ENVELOPE_BAND)
    for name, order_name in BEARING_FACTS.items():
        order = fact(info, order_name)
        if order > 0.0:
            found[name] = spectrum.comb_amplitude(
                amplitude, width * resolution, order * shaft_hz, ENVELOPE_HARMONICS, SLIP
            )
    return found
