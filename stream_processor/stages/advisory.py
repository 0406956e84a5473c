"""Advisory generation (ISO 13374-2, 5.6): one finding for one fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from stream_processor.frames import Frame
from stream_processor.schema import Schema
from stream_processor.stages.diagnosis import (
    Diagnosis,
    diagnose,
    lone_sensor,
    signs_of,
    subject_of,
)
from stream_processor.stages.episode import DEADBAND, Episode, Transition
from stream_processor.stages.identity import STATES, advisory_id, end_ms, timestamp
from stream_processor.stages.items import (
    Catalogue,
    Condition,
    Deviation,
    Findings,
    Outlook,
    RemainingHours,
    SensorFault,
)
from stream_processor.stages.publication import Publication, waveform, waveform_id
from stream_processor.stages.rule_advisory import add_rules
from stream_processor.stages.wording import cleared_summary, machine_summary, sensor_summary
from stream_processor.v1.alert_pb2 import (
    Advisory,
    Evidence,
    FailureMode,
    FeatureEvidence,
    RemainingLife,
    Severity,
)

SCHEMA = Schema("advisory generation")
MODEL_VERSION = "headrace-detection/3"
MACHINE_RULE = "machine-deviation"
SENSOR_RULE = "sensor-quality"
# Severity (1 is the alarm limit) from which a finding is high, and critical.
HIGH = 2.0
CRITICAL = 4.0
# A failure nearer than this many hours makes a high finding critical.
URGENT_HOURS = 24.0
# How fast the evidence for a cause is gathered over frames, and how clear it must be.
EVIDENCE_GAIN = 0.3
CERTAIN = 0.62
EVIDENCE_FEATURES = 6


@dataclass(frozen=True, slots=True)
class _Moment:
    """All that the stages before say of one observation."""

    frame: Frame
    known: Catalogue
    deviation: Deviation
    condition: Condition
    remaining: RemainingHours | None

    @property
    def time_ms(self) -> int:
        """Event time of the observation."""
        return self.deviation.observation.time_ms

    @property
    def single(self) -> bool:
        """Whether the observation is one row of the frame rather than all of it."""
        return not self.known.vibration


class AdvisoryGeneration:
    """Say what is wrong with one machine, once, and when it is over."""

    def __init__(self) -> None:
        self._machine = Episode()
        self._sensor = Episode()
        self._signs: dict[str, float] = {}
        self._publication = Publication()

    def update(self, item: Outlook) -> Findings:
        """Return the advisories that a frame gives rise to, and its points."""
        findings = Findings(points=self._publication.points_of(item))
        assessment = item.assessment
        known = assessment.detections.features.catalogue
        for deviation, condition, remaining in zip(
            assessment.detections.deviations, assessment.conditions, item.remaining, strict=True
        ):
            now = _Moment(
                assessment.detections.features.frame, known, deviation, condition, remaining
            )
            worst = self._worst_sensor(deviation)
            self._step_sensor(now, findings, worst)
            if deviation.judged:
                self._step_machine(now, findings, self._diagnose(known, deviation), worst)
        add_rules(item, findings)
        return findings

    def _diagnose(self, known: Catalogue, deviation: Deviation) -> Diagnosis:
        """Gather the evidence of the last observations and name its cause."""
        now = signs_of(known, deviation)
        for subject in now.keys() | self._signs.keys():
            before = self._signs.get(subject, 0.0)
            after = before + EVIDENCE_GAIN * (now.get(subject, 0.0) - before)
            if abs(after) > 0.05:
                self._signs[subject] = after
            else:
                self._signs.pop(subject, None)
        return lone_sensor(known, deviation) or diagnose(self._signs)

    def _worst_sensor(self, deviation: Deviation) -> SensorFault | None:
        faults = deviation.sensor_faults
        if not faults:
            return None
        if self._sensor.raised:
            same = [f for f in faults if f.channel == self._sensor.channel]
            return same[0] if same else faults[0]
        return faults[0]

    def _step_sensor(self, item: _Moment, findings: Findings, worst: SensorFault | None) -> None:
        if worst is not None and self._machine.raised and not self._sensor.raised:
            # The finding that is open already takes it over, or explains it: a process in unrest
            # is no fault of the sensor that shows it.
            unrest = worst.mode == FailureMode.FAILURE_MODE_SENSOR_SPIKE
            if unrest or worst.channel == self._machine.channel:
                worst = None
        mode = self._sensor.mode if worst is None else worst.mode
        ratio = 0.0 if worst is None else worst.ratio
        transition = self._sensor.step(ratio, Severity.SEVERITY_MEDIUM, mode, True, item.time_ms)
        if transition == "none":
            return
        advisory = self._begin(item, self._sensor, transition, SENSOR_RULE)
        if transition == "raise" and worst is not None:
            self._sensor.channel = worst.channel
        if worst is not None and transition != "clear":
            advisory.confidence = min(0.99, 0.6 + 0.1 * worst.ratio)
            advisory.summary = sensor_summary(advisory.equipment, worst)
            advisory.evidence.CopyFrom(_sensor_evidence(worst))
        else:
            advisory.confidence = 0.9
            advisory.summary = cleared_summary(advisory.equipment, self._sensor.mode)
            advisory.evidence.channel = self._sensor.channel
        self._finish(item, findings, advisory, transition)

    def _step_machine(
        self,
        item: _Moment,
        findings: Findings,
        diagnosis: Diagnosis,
        worst: SensorFault | None,
    ) -> None:
        episode = self._machine
        deviation = item.deviation
        severity = item.condition.severity
        # One channel gives no means to tell one cause from another: nothing to wait for.
        single = len(item.known.channels) == 1
        mode, certain = diagnosis.mode, single or diagnosis.confidence >= CERTAIN
        if worst is not None and episode.raised and worst.channel == episode.channel:
            if worst.ratio >= 1.0:
                mode, certain = worst.mode, True
            severity = max(severity, worst.ratio)
        elif worst is not None and not episode.raised and severity < 1.0:
            severity = min(severity, DEADBAND)
        at_once = item.known.compared
        transition = episode.step(
            severity, _grade(item, mode), mode, certain, item.time_ms, at_once
        )
        if transition == "none":
            return
        advisory = self._begin(item, episode, transition, MACHINE_RULE)
        advisory.confidence = diagnosis.confidence
        order = _furthest(item.known, deviation)
        known = item.known.features
        top = _headline(item.known, order, diagnosis)
        if transition == "raise":
            episode.channel = known[top].channel
        if transition == "clear":
            advisory.summary = cleared_summary(advisory.equipment, episode.mode)
        else:
            advisory.summary = machine_summary(
                advisory.equipment,
                episode.mode,
                known[top],
                float(deviation.observation.values[top]),
                float(deviation.expected[top]),
                bool(item.known.drivers),
            )
        advisory.evidence.CopyFrom(_machine_evidence(item.known, deviation, order))
        advisory.evidence.channel = known[top].channel
        self._finish(item, findings, advisory, transition)

    def _begin(
        self, item: _Moment, episode: Episode, transition: Transition, rule: str
    ) -> Advisory:
        """Return an advisory with all that does not depend on the kind of condition."""
        frame = item.frame
        info = frame.info
        if transition == "raise":
            episode.advisory_id = advisory_id(rule, info, episode.window_start_ms, MODEL_VERSION)
        return Advisory(
            advisory_id=episode.advisory_id,
            revision=episode.revision,
            state=STATES[transition],
            site=info.site,
            edge_node=info.edge_node,
            equipment=info.equipment,
            equipment_class=info.equipment_class,
            equipment_path=info.path,
            severity=episode.severity,
            failure_mode=episode.mode,
            rule=rule,
            model_version=MODEL_VERSION,
            window_start_time=timestamp(episode.window_start_ms),
            # A machine's clock may have been put back since.
            window_end_time=timestamp(
                max(episode.window_start_ms, item.time_ms if item.single else end_ms(frame))
            ),
            sent_time=timestamp(frame.sent_time_ms),
            health=item.condition.health,
        )

    def _finish(
        self, item: _Moment, findings: Findings, advisory: Advisory, transition: Transition
    ) -> None:
        """Add remaining life, trace and the stored waveforms."""
        frame = item.frame
        advisory.evidence.trace_id = frame.trace_id
        if item.remaining is not None:
            advisory.remaining_life.CopyFrom(
                RemainingLife(
                    median_hours=item.remaining.median,
                    lower_hours=item.remaining.lower,
                    upper_hours=item.remaining.upper,
                )
            )
        stored = [c for c in item.known.vibration if c in frame.samples]
        if transition != "clear":
            findings.points.waveforms.extend(waveform(frame, channel) for channel in stored)
            first = advisory.evidence.channel
            chosen = first if first in stored else (stored[0] if stored else "")
            if chosen:
                advisory.evidence.waveform_id = waveform_id(frame, chosen)
        findings.advisories.append(advisory)

    def state(self) -> dict[str, Any]:
        """Return the episodes and the gathered evidence."""
        return {
            "schema": SCHEMA.version,
            "machine": self._machine.state(),
            "sensor": self._sensor.state(),
            "signs": dict(self._signs),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        stage = cls()
        stage._machine = Episode.restore(state["machine"])
        stage._sensor = Episode.restore(state["sensor"])
        stage._signs = dict(state["signs"])
        return stage


def _grade(item: _Moment, mode: FailureMode.ValueType) -> Severity.ValueType:
    """Return the severity of a machine's condition."""
    severity = item.condition.severity
    if mode == FailureMode.FAILURE_MODE_SENSOR_DRIFT:
        return Severity.SEVERITY_MEDIUM
    urgent = item.remaining is not None and item.remaining.median < URGENT_HOURS
    if severity >= CRITICAL and urgent:
        return Severity.SEVERITY_CRITICAL
    if severity >= HIGH:
        return Severity.SEVERITY_HIGH
    return Severity.SEVERITY_MEDIUM


def _furthest(known: Catalogue, deviation: Deviation) -> list[int]:
    """Return the features that have the largest part in what was found, that first."""
    parts = np.abs(deviation.ratio)
    if known.compared and deviation.shares.any():
        # All features are readings there.
        parts = deviation.shares
    found: list[int] = np.argsort(-parts, kind="stable")[:EVIDENCE_FEATURES].tolist()
    return found


def _headline(known: Catalogue, order: list[int], diagnosis: Diagnosis) -> int:
    """Return the feature that shows the diagnosis best; the furthest out when none does."""
    for j in order:
        if subject_of(known.features[j]) in diagnosis.subjects:
            return j
    return order[0]


def _machine_evidence(known: Catalogue, deviation: Deviation, order: list[int]) -> Evidence:
    values = deviation.observation.values
    return Evidence(
        features=[
            FeatureEvidence(
                channel=known.features[j].channel,
                feature=known.features[j].name,
                unit=known.features[j].unit,
                value=float(values[j]),
                baseline=float(deviation.expected[j]),
                limit=float(deviation.limit[j]),
                score=float(deviation.score[j]),
            )
            for j in order
            if np.isfinite(values[j])
        ]
    )


def _sensor_evidence(fault: SensorFault) -> Evidence:
    name = {
        FailureMode.FAILURE_MODE_SENSOR_STUCK: "longest_run",
        FailureMode.FAILURE_MODE_SENSOR_DROPOUT: "missing_share",
        FailureMode.FAILURE_MODE_SENSOR_SPIKE: "spike_share",
    }[fault.mode]
    return Evidence(
        channel=fault.channel,
        features=[
            FeatureEvidence(
                channel=fault.channel,
                feature=name,
                unit="1",
                value=fault.value,
                limit=fault.limit,
                score=fault.ratio,
            )
        ],
    )
