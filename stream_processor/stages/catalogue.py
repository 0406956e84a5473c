"""Which features a machine has, from what its birth declares."""

from __future__ import annotations

from stream_processor.frames import ChannelInfo, EquipmentInfo
from stream_processor.stages.items import Catalogue, FeatureInfo

# A channel sampled faster than this is a waveform.
WAVEFORM_RATE_HZ = 20.0
VIBRATION_QUANTITIES = frozenset({"acceleration", "velocity"})
# Quantities that say how hard a machine is being driven.
DRIVER_QUANTITIES = ("speed", "flow", "power", "current", "pressure", "differential_pressure")
# More of them add little and cost warm-up.
MAX_DRIVERS = 5

# A vibration amplitude is taken to vary by no less than this share, a temperature by this many
# kelvin and load duty by this many points (the air around a machine and what the plant asks of it
# are seldom measured), any other slow quantity by this share of its usual value.
AMPLITUDE_TOLERANCE = 0.08
TEMPERATURE_TOLERANCE = 3.5
DUTY_TOLERANCE = 4.0
SLOW_TOLERANCE = 0.01

# Shaft orders whose lines are features; `half_x` sums the half orders, `harmonics` the high ones.
LINES = {"1x": 1.0, "2x": 2.0, "3x": 3.0}
HALF_ORDERS = (0.5, 1.5, 2.5, 3.5)
HIGH_ORDERS = (4, 5, 6, 7, 8)
BEARING_FACTS = {
    "envelope_bpfo": "BPFO Order",
    "envelope_bpfi": "BPFI Order",
    "envelope_bsf": "BSF Order",
    "envelope_ftf": "FTF Order",
}
# Bands of energy as shares of the sampling rate: at 3.2 kHz 10-320, 320-800 and 800-1500 Hz. They
# are shown but not watched: a line that follows the speed may cross an edge.
BANDS = {"band_low": (0.003125, 0.1), "band_mid": (0.1, 0.25), "band_high": (0.25, 0.46875)}
# Where the noise between the lines is watched: resonances, cavitation, rubbing.
NOISE_BAND = (0.25, 0.46875)
# What is shown of a slow channel beside its aggregates.
TRENDS = ("rolling_mean", "rolling_deviation", "rolling_minimum", "rolling_maximum")


def is_waveform(channel: ChannelInfo) -> bool:
    """Return whether a channel's samples are a waveform rather than readings."""
    return channel.sample_rate_hz >= WAVEFORM_RATE_HZ


def is_duty(channel: ChannelInfo) -> bool:
    """Return whether a channel is the share of time a machine is loaded."""
    return channel.unit == "%" and "duty" in channel.name.lower()


def fact(info: EquipmentInfo, name: str) -> float:
    """Return a numeric fact of the birth, NaN when it was not declared or is no number."""
    value = info.facts.get(name)
    return float(value) if isinstance(value, int | float) else float("nan")


def _vibration_features(info: EquipmentInfo, channel: ChannelInfo) -> list[FeatureInfo]:
    def amplitude(name: str, unit: str) -> FeatureInfo:
        return FeatureInfo(
            channel.name,
            name,
            unit,
            channel.quantity,
            "log",
            tolerance=AMPLITUDE_TOLERANCE,
            rises_only=True,
        )

    unit = channel.unit
    found = [amplitude("rms", unit), amplitude("kurtosis", "1"), amplitude("crest", "1")]
    if channel.quantity in VIBRATION_QUANTITIES:
        found.append(amplitude("velocity_rms", "mm/s"))
    found.append(amplitude("floor", unit))
    if fact(info, "Nominal Speed") > 0.0:
        found += [amplitude(name, unit) for name in (*LINES, "half_x", "harmonics")]
        if fact(info, "Vane Count") > 0.0:
            found.append(amplitude("vane_pass", unit))
        if fact(info, "Gear Teeth") > 0.0:
            found.append(amplitude("gear_mesh", unit))
        found += [
            amplitude(name, "1") for name, order in BEARING_FACTS.items() if fact(info, order) > 0.0
        ]
    return found


def _slow_features(channel: ChannelInfo) -> list[FeatureInfo]:
    if channel.quantity == "speed":
        # How fast a machine turns is asked of it.
        return []
    tolerance, relative = 0.0, SLOW_TOLERANCE
    if channel.quantity == "temperature":
        tolerance, relative = TEMPERATURE_TOLERANCE, 0.0
    elif is_duty(channel):
        tolerance, relative = DUTY_TOLERANCE, 0.0
    mean = FeatureInfo(
        channel.name,
        "mean",
        channel.unit,
        channel.quantity,
        "linear",
        tolerance,
        relative,
        # A machine that has less to do is not worse for it.
        rises_only=is_duty(channel),
    )
    return [mean]


def catalogue(info: EquipmentInfo) -> Catalogue:
    """Return the features of a machine in a fixed order."""
    waveforms = [c for c in info.channels.values() if is_waveform(c)]
    slow = [c for c in info.channels.values() if not is_waveform(c)]
    features: list[FeatureInfo] = []
    for channel in waveforms:
        features += _vibration_features(info, channel)
    for channel in slow:
        features += _slow_features(channel)
    ranked = sorted(
        (c for c in slow if c.quantity in DRIVER_QUANTITIES),
        key=lambda c: DRIVER_QUANTITIES.index(c.quantity),
    )
    return Catalogue(
        info,
        tuple(features),
        tuple(
            FeatureInfo(c.name, name, c.unit, c.quantity, "linear")
            for channels, names in ((waveforms, tuple(BANDS)), (slow, TRENDS))
            for c in channels
            for name in names
        ),
        tuple(c.name for c in ranked[:MAX_DRIVERS]),
        tuple(c.name for c in slow),
        tuple(c.name for c in waveforms),
    )
