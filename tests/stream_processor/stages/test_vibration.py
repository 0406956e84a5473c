"""The vibration features of a machine are the plain formulas of each of its blocks."""

from __future__ import annotations

import numpy as np
import pytest

from stream_processor.frames import ChannelInfo, EquipmentInfo
from stream_processor.kernels import spectrum
from stream_processor.stages.vibration import NAMES, VibrationFeatures

RATE_HZ, SHAFT_HZ = 3200.0, 24.7
ORDERS = {"envelope_bpfo": 3.1, "envelope_bpfi": 4.9, "envelope_bsf": 2.0}
UNITS = (("m/s2", "acceleration"), ("g", "acceleration"), ("mm/s", "velocity"), ("A", "current"))
CHANNELS = tuple(
    ChannelInfo(f"V{i}", unit, RATE_HZ, quantity) for i, (unit, quantity) in enumerate(UNITS)
)
INFO = EquipmentInfo(
    "s", "n", "e", "pump", "", "live", {c.name: c for c in CHANNELS},
    {"Nominal Speed": SHAFT_HZ, "Vane Count": 6, "Gear Teeth": 23, "BPFO Order": 3.1,
     "BPFI Order": 4.9, "BSF Order": 2.0},
)  # fmt: skip


def plain(channel: ChannelInfo, samples: np.ndarray, shaft_hz: float) -> dict[str, float]:
    """The features by numpy, with a transform for the window and one for the envelope."""
    known = samples[np.isfinite(samples)]
    x = np.where(np.isfinite(samples), samples - known.mean(), 0.0)
    d, n = known - known.mean(), samples.size
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    power = np.abs(np.fft.rfft(x * window)) ** 2 * 2.0 / (n * (window @ window))
    power[0] *= 0.5
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)

    def within(low: float, high: float) -> np.ndarray:
        return (hz > 0) & (hz >= low - 1e-9) & (hz <= high + 1e-9)

    def line(*orders: float) -> float:
        at = [round(order * shaft_hz * n / RATE_HZ) for order in orders]
        inside = all(k >= 1 and k + 2 < power.size for k in at)
        total = sum(power[max(1, k - 2) : k + 3].sum() for k in at)
        return float(np.sqrt(2 * total)) if inside else np.nan

    band = within(10.0, 1000.0)
    if channel.quantity == "velocity":
        velocity = np.sqrt(power[band].sum())
    else:
        factor = {"m/s2": 1e3, "g": 9806.65}.get(channel.unit, np.nan)
        velocity = factor * np.sqrt((power[band] / (2 * np.pi * hz[band]) ** 2).sum())
    first, last = round(0.25 * n), round(0.46875 * n)
    found = {
        "rms": d.std(),
        "kurtosis": (d**4).mean() / d.var() ** 2,
        "crest": np.abs(d).max() / d.std(),
        "velocity_rms": velocity,
        "band_low": np.sqrt(power[within(10.0, 320.0)].sum()),
        "band_mid": np.sqrt(power[within(320.0, 800.0)].sum()),
        "band_high": np.sqrt(power[within(800.0, 1500.0)].sum()),
        "floor": np.sqrt(np.median(power[first:last]) * (last - first)),
    }
    if not shaft_hz > 0.0:
        return found
    found |= {f"{n}x": line(n) for n in (1, 2, 3)}
    found["half_x"], found["harmonics"] = line(0.5, 1.5, 2.5, 3.5), line(4, 5, 7, 8)
    found["vane_pass"], found["gear_mesh"] = line(6), line(22, 23, 24)
    amplitude, width = spectrum.envelope_spectrum(x, 0.2, 0.47)
    for name, order in ORDERS.items():
        found[name] = spectrum.comb_amplitude(
            amplitude, width * RATE_HZ / n, order * shaft_hz, 3, 0.015
        )
    return found


@pytest.mark.parametrize("size", [100, 1000, 1023, 1024, 3200])
@pytest.mark.parametrize("shaft_hz", [SHAFT_HZ, float("nan")])
def test_all_channels_at_once_are_each_by_itself(size: int, shaft_hz: float) -> None:
    random = np.random.default_rng(size)
    samples = {c.name: 3.0 + random.normal(size=size) for c in CHANNELS}
    samples["V1"][5:9] = np.nan

    found = VibrationFeatures(INFO, tuple(samples)).of(samples, shaft_hz)

    for row, channel in zip(found, CHANNELS, strict=True):
        due = plain(channel, samples[channel.name], shaft_hz)
        np.testing.assert_allclose(row, [due.get(name, np.nan) for name in NAMES], rtol=1e-9)


def test_channels_of_other_lengths_and_rates_and_what_cannot_be_computed() -> None:
    random = np.random.default_rng(1)
    samples = {"V0": random.normal(size=1024), "V1": random.normal(size=512), "V3": np.ones(1024)}
    machine = VibrationFeatures(INFO, ("V0", "V1", "V2", "V3"))

    found = machine.of(samples, SHAFT_HZ)

    for row, name in ((0, "V0"), (1, "V1")):
        due = plain(CHANNELS[row], samples[name], SHAFT_HZ)
        np.testing.assert_allclose(found[row], [due.get(n, np.nan) for n in NAMES], rtol=1e-9)
    assert np.isnan(found[2:]).all()
