"""What users' rules say, as advisories and points."""

from __future__ import annotations

import math

from stream_processor.stages.identity import STATES, end_ms, timestamp
from stream_processor.stages.items import Findings, Outlook, Reading, Verdict
from stream_processor.stages.publication import add_series, waveform, waveform_id
from stream_processor.stages.wording import FEATURES, number
from stream_processor.v1.alert_pb2 import Advisory, Evidence, FeatureEvidence, RemainingLife

# How a rule is named in an advisory and in the historian.
PREFIX = "rule/"


def add_rules(outlook: Outlook, findings: Findings) -> None:
    """Add the advisories of rules that are active, and a series of each that is in shadow."""
    for verdict in outlook.verdicts:
        if not verdict.shadow:
            _add(outlook, verdict, findings)
    if outlook.shadows:
        features = outlook.assessment.detections.features
        times = [observation.time_ms for observation in features.observations]
        for rule, values in outlook.shadows.items():
            add_series(findings.points, f"{PREFIX}{rule}", "1", times, list(values))


def _add(outlook: Outlook, verdict: Verdict, findings: Findings) -> None:
    features = outlook.assessment.detections.features
    frame, info = features.frame, features.frame.info
    time_ms = features.observations[verdict.at].time_ms
    advisory = Advisory(
        advisory_id=verdict.advisory_id,
        revision=verdict.revision,
        state=STATES[verdict.transition],
        site=info.site,
        edge_node=info.edge_node,
        equipment=info.equipment,
        equipment_class=info.equipment_class,
        equipment_path=info.path,
        severity=verdict.severity,
        failure_mode=verdict.failure_mode,
        # A rule says what its author knows: there is nothing to be unsure of.
        confidence=1.0,
        summary=summary(info.equipment, verdict),
        rule=f"{PREFIX}{verdict.rule}",
        model_version=verdict.version,
        window_start_time=timestamp(verdict.window_start_ms),
        window_end_time=timestamp(end_ms(frame) if features.catalogue.vibration else time_ms),
        sent_time=timestamp(frame.sent_time_ms),
        evidence=Evidence(
            channel=verdict.channel,
            trace_id=frame.trace_id,
            features=[_evidence(r) for r in verdict.readings if math.isfinite(r.value)],
        ),
        health=outlook.assessment.conditions[verdict.at].health,
    )
    remaining = outlook.remaining[verdict.at]
    if remaining is not None:
        advisory.remaining_life.CopyFrom(
            RemainingLife(
                median_hours=remaining.median,
                lower_hours=remaining.lower,
                upper_hours=remaining.upper,
            )
        )
    stored = [c for c in features.catalogue.vibration if c in frame.samples]
    if verdict.transition != "clear" and stored:
        known = {w.waveform_id for w in findings.points.waveforms}
        for channel in stored:
            if waveform_id(frame, channel) not in known:
                findings.points.waveforms.append(waveform(frame, channel))
        first = verdict.channel if verdict.channel in stored else stored[0]
        advisory.evidence.waveform_id = waveform_id(frame, first)
    findings.advisories.append(advisory)


def _evidence(reading: Reading) -> FeatureEvidence:
    return FeatureEvidence(
        channel=reading.channel,
        feature=reading.feature,
        unit=reading.unit,
        value=reading.value,
        limit=reading.limit if math.isfinite(reading.limit) else 0.0,
    )


def summary(equipment: str, verdict: Verdict) -> str:
    """Return what a rule says of a machine, with the numbers that made it say so."""
    if verdict.transition == "clear":
        return f"{equipment}: returned to normal after: {verdict.summary}."
    shown = []
    for reading in verdict.readings:
        if math.isfinite(reading.value):
            subject = f"{reading.channel} {FEATURES.get(reading.feature, '')}".strip()
            said = f"{subject} is {number(reading.value, reading.unit)}"
            if math.isfinite(reading.limit):
                said += f" at a limit of {number(reading.limit, reading.unit)}"
            shown.append(said)
    numbers = f"; {', '.join(shown)}" if shown else ""
    return f"{equipment}: {verdict.summary}{numbers}."
