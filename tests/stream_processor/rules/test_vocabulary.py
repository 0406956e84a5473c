"""Rules can name what the catalogue of features has, and nothing else."""

from __future__ import annotations

from stream_processor.frames import ChannelInfo, EquipmentInfo
from stream_processor.rules.vocabulary import (
    CHANNEL,
    DEVIATING,
    FAILURE_MODES,
    SEVERITIES,
    SLOW_FEATURES,
    WAVEFORM_FEATURES,
)
from stream_processor.stages.catalogue import catalogue
from stream_processor.v1.alert_pb2 import FailureMode, Severity

KNOWN = catalogue(
    EquipmentInfo(
        "site", "node", "M-1", "machine", "", "live",
        {
            c.name: c
            for c in (
                ChannelInfo("Vibration", "g", 3200.0, "acceleration"),
                ChannelInfo("Temperature", "degF", 1.0, "temperature"),
            )
        },
        {
            "Nominal Speed": 25.0, "Vane Count": 6, "Gear Teeth": 23, "BPFO Order": 3.1,
            "BPFI Order": 4.9, "BSF Order": 2.0, "FTF Order": 0.4,
        },
    )
)  # fmt: skip


def test_the_features_are_those_of_the_catalogue() -> None:
    found: dict[str, dict[str, str]] = {"Vibration": {}, "Temperature": {"drift": "1"}}
    for feature in (*KNOWN.features, *KNOWN.trends):
        found[feature.channel][feature.name] = feature.unit
    own = {"Vibration": "g", "Temperature": "degF"}
    for channel, features in (("Vibration", WAVEFORM_FEATURES), ("Temperature", SLOW_FEATURES)):
        assert found[channel] == {
            name: own[channel] if unit == CHANNEL else unit for name, unit in features.items()
        }


def test_deviations_are_followed_of_what_is_watched() -> None:
    assert {feature.name for feature in KNOWN.features} == DEVIATING


def test_the_words_are_those_of_the_contracts() -> None:
    assert set(SEVERITIES.values()) == set(Severity.values()) - {0}
    assert set(FAILURE_MODES.values()) == set(FailureMode.values()) - {0}
