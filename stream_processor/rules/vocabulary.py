"""What a rule can name: the features of `stages/catalogue.py`, quantities, scores.

The words are said again here so that a rule file can be read without loading the kernels; a test
compares them with the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stream_processor.rules.units import ONE, QUANTITIES, UNMEASURED
from stream_processor.v1.alert_pb2 import FailureMode, Severity

CHANNEL = "the channel's"
# Unit of each feature of a waveform; CHANNEL when it is that of its samples.
WAVEFORM_FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "rms": CHANNEL,
        "kurtosis": ONE,
        "crest": ONE,
        "velocity_rms": "mm/s",
        "floor": CHANNEL,
        "1x": CHANNEL,
        "2x": CHANNEL,
        "3x": CHANNEL,
        "half_x": CHANNEL,
        "harmonics": CHANNEL,
        "vane_pass": CHANNEL,
        "gear_mesh": CHANNEL,
        "envelope_bpfo": ONE,
        "envelope_bpfi": ONE,
        "envelope_bsf": ONE,
        "envelope_ftf": ONE,
        "band_low": CHANNEL,
        "band_mid": CHANNEL,
        "band_high": CHANNEL,
    }
)
SLOW_FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "mean": CHANNEL,
        "rolling_mean": CHANNEL,
        "rolling_deviation": CHANNEL,
        "rolling_minimum": CHANNEL,
        "rolling_maximum": CHANNEL,
        "drift": ONE,
    }
)
# Of a feature that is watched, how far it is from what was expected, over its limit.
DEVIATING = frozenset(WAVEFORM_FEATURES) - {"band_low", "band_mid", "band_high"} | {"mean"}
SCORES: Mapping[str, str] = MappingProxyType(
    {
        "edge": ONE,
        "forest": ONE,
        "surprise": ONE,
        "severity": ONE,
        "health": ONE,
        "remaining_life": "h",
        "deviation": ONE,
    }
)
ALL_QUANTITIES = (*QUANTITIES, *UNMEASURED)
WAVEFORM_QUANTITIES = ("acceleration", "velocity")

SEVERITIES: Mapping[str, Severity.ValueType] = MappingProxyType(
    {
        name.removeprefix("SEVERITY_").lower(): value
        for name, value in Severity.items()
        if value != Severity.SEVERITY_UNSPECIFIED
    }
)
FAILURE_MODES: Mapping[str, FailureMode.ValueType] = MappingProxyType(
    {
        name.removeprefix("FAILURE_MODE_").lower(): value
        for name, value in FailureMode.items()
        if value != FailureMode.FAILURE_MODE_UNSPECIFIED
    }
)
