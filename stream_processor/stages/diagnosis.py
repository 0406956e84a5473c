"""Probable failure modes, from which features deviate and how: the rules are a table.

The signatures are those of ISO 13373-3:2015 (annexes on unbalance, misalignment, looseness and
rolling-element bearings), Randall and Antoni (2011) for bearings, and Hydraulic Institute and
maker's guidance for cavitation, filters and compressed air.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stream_processor.stages.catalogue import is_duty
from stream_processor.stages.items import Catalogue, Deviation, FeatureInfo
from stream_processor.v1.alert_pb2 import FailureMode

# A sign that is further out than this many limits says no more for it.
STRONGEST = 3.0
# Evidence, in limits, under which the cause is not named.
LEAST = 0.8
# One slow channel is alone in its deviation when it is this many limits out and no other is further
# out than these; further out than the most it is taken at its word. What heats one thermometer of
# a machine warms the next, so channels of the same quantity must be calmer still.
LONE_LEAST = 0.7
LONE_MOST = 5.0
ALONE = 0.6
ALONE_AMONG_ALIKE = 0.2
# Quantities that fail alone in a machine: a rising differential pressure is a filter (and a rising
# load duty a leak).
TOLD_BY_ONE = frozenset({"differential_pressure"})


@dataclass(frozen=True, slots=True)
class Sign:
    """A deviation that speaks for a failure mode, or with a negative weight against it.

    `subject` is a feature's name, or `quantity:mean` of slow channels. `direction` is +1 for a
    rise, -1 for a fall.
    """

    subject: str
    direction: int
    weight: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A failure mode and its signs; `needs` are subjects of which one must deviate."""

    mode: FailureMode.ValueType
    signs: tuple[Sign, ...]
    needs: tuple[tuple[str, int], ...]


def _rule(
    mode: FailureMode.ValueType, needs: tuple[tuple[str, int], ...], *signs: tuple[str, int, float]
) -> Rule:
    return Rule(mode, tuple(Sign(*s) for s in signs), needs)


RULES: tuple[Rule, ...] = (
    _rule(
        FailureMode.FAILURE_MODE_BEARING_OUTER_RACE,
        (("envelope_bpfo", 1),),
        ("envelope_bpfo", 1, 1.2),
        ("kurtosis", 1, 0.3),
        ("envelope_bpfi", 1, -0.7),
        ("half_x", 1, -0.3),
    ),
    _rule(
        FailureMode.FAILURE_MODE_BEARING_INNER_RACE,
        (("envelope_bpfi", 1),),
        ("envelope_bpfi", 1, 1.2),
        ("kurtosis", 1, 0.3),
        ("envelope_bpfo", 1, -0.7),
        ("half_x", 1, -0.3),
    ),
    _rule(
        FailureMode.FAILURE_MODE_UNBALANCE,
        (("1x", 1),),
        ("1x", 1, 1.2),
        ("velocity_rms", 1, 0.3),
        ("2x", 1, -0.7),
        ("half_x", 1, -0.6),
        ("harmonics", 1, -0.3),
    ),
    _rule(
        FailureMode.FAILURE_MODE_MISALIGNMENT,
        (("2x", 1),),
        ("2x", 1, 1.0),
        ("3x", 1, 0.3),
        ("1x", 1, 0.3),
        ("velocity_rms", 1, 0.2),
        ("half_x", 1, -0.9),
        ("harmonics", 1, -0.5),
    ),
    _rule(
        FailureMode.FAILURE_MODE_LOOSENESS,
        (("half_x", 1), ("harmonics", 1)),
        ("half_x", 1, 0.8),
        ("harmonics", 1, 0.5),
        ("3x", 1, 0.3),
        ("2x", 1, 0.2),
        ("1x", 1, 0.1),
    ),
    _rule(
        FailureMode.FAILURE_MODE_GEAR_WEAR,
        (("gear_mesh", 1),),
        ("gear_mesh", 1, 1.4),
        ("half_x", 1, -0.4),
        ("2x", 1, -0.3),
        ("envelope_bpfo", 1, -0.2),
        ("envelope_bpfi", 1, -0.2),
    ),
    _rule(
        FailureMode.FAILURE_MODE_CAVITATION,
        (("floor", 1), ("pressure:mean", -1)),
        ("floor", 1, 1.1),
        ("pressure:mean", -1, 0.8),
        ("flow:mean", -1, 0.3),
        ("differential_pressure:mean", 1, -0.6),
        ("envelope_bpfo", 1, -0.3),
        ("envelope_bpfi", 1, -0.3),
    ),
    _rule(
        FailureMode.FAILURE_MODE_BLOCKED_FILTER,
        (("differential_pressure:mean", 1),),
        ("differential_pressure:mean", 1, 1.2),
        ("flow:mean", -1, 0.4),
        ("floor", 1, -0.2),
    ),
    _rule(
        FailureMode.FAILURE_MODE_AIR_LEAK,
        (("duty:mean", 1),),
        ("duty:mean", 1, 1.4),
        ("pressure:mean", -1, 0.3),
        ("current:mean", 1, 0.2),
        ("2x", 1, -0.3),
        ("1x", 1, -0.3),
    ),
    _rule(
        FailureMode.FAILURE_MODE_OVERHEATING,
        (("temperature:mean", 1),),
        ("temperature:mean", 1, 1.1),
        ("rms", 1, -0.8),
        ("envelope_bpfo", 1, -0.8),
        ("envelope_bpfi", 1, -0.8),
        ("2x", 1, -0.4),
        ("1x", 1, -0.4),
    ),
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A failure mode, how much speaks for it and how much of all evidence that is."""

    mode: FailureMode.ValueType
    confidence: float
    subjects: frozenset[str] = frozenset()


def subject_of(feature: FeatureInfo) -> str:
    """Return the name by which the rules know a feature."""
    if feature.name != "mean":
        return feature.name
    if feature.unit == "%" and "duty" in feature.channel.lower():
        return "duty:mean"
    return f"{feature.quantity}:mean"


def signs_of(known: Catalogue, deviation: Deviation) -> dict[str, float]:
    """Return the strongest deviation of each subject, in limits, signed."""
    faulty = {f.channel for f in deviation.sensor_faults if f.ratio >= 1.0}
    found: dict[str, float] = {}
    for feature, ratio in zip(known.features, deviation.ratio.tolist(), strict=True):
        if feature.channel in faulty:
            continue
        subject = subject_of(feature)
        if abs(ratio) > abs(found.get(subject, 0.0)):
            found[subject] = ratio
    return found


def diagnose(signs: Mapping[str, float]) -> Diagnosis:
    """Return the failure mode that the signs (deviations in limits) speak for most."""
    ranked: list[tuple[float, int]] = []
    for at, rule in enumerate(RULES):
        if not any(signs.get(s, 0.0) * d >= 0.5 for s, d in rule.needs):
            continue
        evidence = sum(
            sign.weight * min(max(signs.get(sign.subject, 0.0) * sign.direction, 0.0), STRONGEST)
            for sign in rule.signs
        )
        ranked.append((evidence, at))
    ranked.sort(key=lambda found: -found[0])
    if not ranked or ranked[0][0] < LEAST:
        return Diagnosis(FailureMode.FAILURE_MODE_UNDETERMINED, 0.3)
    best, at = ranked[0]
    second = max(ranked[1][0], 0.0) if len(ranked) > 1 else 0.0
    rule = RULES[at]
    return Diagnosis(
        rule.mode, 0.5 + 0.5 * (best - second) / best, frozenset(s for s, _ in rule.needs)
    )


def lone_sensor(known: Catalogue, deviation: Deviation) -> Diagnosis | None:
    """Return a drifting sensor when one slow channel departs and nothing else does.

    A machine that is known by one channel only gives no means to tell.
    """
    if len(known.channels) < 3:
        return None
    by_channel: dict[str, float] = {}
    for feature, ratio in zip(known.features, np.abs(deviation.ratio).tolist(), strict=True):
        by_channel[feature.channel] = max(ratio, by_channel.get(feature.channel, 0.0))
    channel = max(by_channel, key=lambda name: by_channel[name])
    worst = by_channel.pop(channel)
    declared = known.info.channels[channel]
    if declared.quantity in TOLD_BY_ONE or is_duty(declared):
        return None
    if channel in known.vibration or not LONE_LEAST <= worst < LONE_MOST:
        return None
    quantity = declared.quantity
    if deviation.edge_ratio >= 1.0:
        return None
    for other, ratio in by_channel.items():
        alike = known.info.channels[other].quantity == quantity
        if ratio > (ALONE_AMONG_ALIKE if alike else ALONE):
            return None
    return Diagnosis(FailureMode.FAILURE_MODE_SENSOR_DRIFT, 0.6, frozenset({f"{quantity}:mean"}))
