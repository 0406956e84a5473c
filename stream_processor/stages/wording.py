"""What an advisory says to a person: one sentence with numbers and units."""

from __future__ import annotations

from stream_processor.stages.items import FeatureInfo, SensorFault
from stream_processor.v1.alert_pb2 import FailureMode

CAUSES: dict[FailureMode.ValueType, str] = {
    FailureMode.FAILURE_MODE_UNDETERMINED: "abnormal, cause not determined",
    FailureMode.FAILURE_MODE_UNBALANCE: "probable unbalance",
    FailureMode.FAILURE_MODE_MISALIGNMENT: "probable misalignment",
    FailureMode.FAILURE_MODE_LOOSENESS: "probable mechanical looseness",
    FailureMode.FAILURE_MODE_BEARING_OUTER_RACE: "probable bearing defect, outer race",
    FailureMode.FAILURE_MODE_BEARING_INNER_RACE: "probable bearing defect, inner race",
    FailureMode.FAILURE_MODE_CAVITATION: "probable cavitation",
    FailureMode.FAILURE_MODE_BLOCKED_FILTER: "probable blocked filter",
    FailureMode.FAILURE_MODE_OVERHEATING: "overheating",
    FailureMode.FAILURE_MODE_AIR_LEAK: "probable air leak",
    FailureMode.FAILURE_MODE_SENSOR_STUCK: "sensor stuck",
    FailureMode.FAILURE_MODE_SENSOR_DRIFT: "sensor drifting",
    FailureMode.FAILURE_MODE_SENSOR_DROPOUT: "sensor losing samples",
    FailureMode.FAILURE_MODE_SENSOR_SPIKE: "sensor giving spikes",
    FailureMode.FAILURE_MODE_GEAR_WEAR: "probable gear wear",
}
UNITS = {"degC": "°C", "1": "", "m/s2": "m/s²", "m3/h": "m³/h", "1/min": "rpm"}
FEATURES: dict[str, str] = {
    "rms": "acceleration",
    "velocity_rms": "velocity 10-1000 Hz",
    "kurtosis": "kurtosis",
    "crest": "crest factor",
    "floor": "high-frequency noise",
    "half_x": "half-order line",
    "1x": "running-speed line",
    "2x": "twice-running-speed line",
    "3x": "third-order line",
    "harmonics": "sum of the 4th to 8th harmonics",
    "vane_pass": "vane-pass line",
    "gear_mesh": "gear-mesh lines",
    "envelope_bpfo": "envelope at the outer race frequency",
    "envelope_bpfi": "envelope at the inner race frequency",
    "envelope_bsf": "envelope at the ball spin frequency",
    "envelope_ftf": "envelope at the cage frequency",
    # What rules make of them.
    "rate_of_change": "rate of change",
    "band_energy": "in the band",
    "deviation": "deviation in limits",
    "ratio": "ratio",
    "difference": "difference",
    "correlation": "correlation",
    "expression": "expression",
    "edge": "edge model's score",
    "forest": "forest score",
    "surprise": "surprise",
    "severity": "severity",
    "health": "health",
    "remaining_life": "remaining life",
}


def number(value: float, unit: str) -> str:
    """Return a value to three figures with its unit.

    >>> number(0.123456, "mm/s"), number(1234.5, "1"), number(81.25, "degC")
    ('0.123 mm/s', '1234', '81.2 °C')
    """
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    shown = UNITS.get(unit) if unit in UNITS else unit.replace("degC", "°C")
    return f"{text} {shown}".strip()


def machine_summary(
    equipment: str,
    mode: FailureMode.ValueType,
    feature: FeatureInfo,
    value: float,
    expected: float,
    load_known: bool,
) -> str:
    """Return what is wrong with a machine and the feature that says so.

    `load_known` tells whether the expectation follows the machine's load.
    """
    what = FEATURES.get(feature.name, "")
    subject = f"{feature.channel} {what}".strip()
    said = f"{subject} is {number(value, feature.unit)}"
    usual = f"{number(expected, feature.unit)} expected{' at this load' if load_known else ''}"
    if feature.scale == "log" and expected > 0.0:
        return f"{equipment}: {CAUSES[mode]}; {said}, {value / expected:.1f} times the {usual}."
    return f"{equipment}: {CAUSES[mode]}; {said} where {usual}."


def sensor_summary(equipment: str, fault: SensorFault) -> str:
    """Return what is wrong with a sensor."""
    cause = CAUSES[fault.mode]
    if fault.mode == FailureMode.FAILURE_MODE_SENSOR_STUCK:
        return f"{equipment}: {cause}; {fault.channel} gave {fault.value:.0f} identical samples."
    share = f"{100.0 * fault.value:.0f} % of the samples of {fault.channel}"
    what = "are missing" if fault.mode == FailureMode.FAILURE_MODE_SENSOR_DROPOUT else "are spikes"
    return f"{equipment}: {cause}; {share} {what}."


def cleared_summary(equipment: str, mode: FailureMode.ValueType) -> str:
    """Return that a condition is over."""
    return f"{equipment}: returned to normal after: {CAUSES[mode]}."
