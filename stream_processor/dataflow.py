"""The flow: log, acquisition, the stages of ISO 13374, sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from stream_processor.acknowledgement import AcknowledgementSink, Ledger
from stream_processor.acquisition_step import AcquisitionLogic
from stream_processor.advisory_client import AdvisoryClient
from stream_processor.counters import Counters
from stream_processor.frames import Frame, Stage
from stream_processor.jetstream_publisher import JetStreamPublisher
from stream_processor.messages import Command, Mark, Message, Rebirth, Resend, SetAside
from stream_processor.metered_step import MeteredLogic
from stream_processor.meters import Meters, StepMeter
from stream_processor.mqtt_publisher import MqttPublisher
from stream_processor.rules import in_force
from stream_processor.rules.in_force import is_rules
from stream_processor.settings import Settings
from stream_processor.sinks import (
    AdvisoryPartition,
    CommandPartition,
    DeadLetterPartition,
    PointsPartition,
    Sink,
)
from stream_processor.source import TelemetrySource
from stream_processor.stage_step import Carried, StageLogic
from stream_processor.stages.correction import Correction
from stream_processor.stages.publication import captured_points
from stream_processor.v1.alert_pb2 import Advisory
from stream_processor.v1.points_pb2 import Points

Kind = TypeVar("Kind")
Steps = Sequence[tuple[str, type[Stage[Any, Any]]]]


@dataclass(frozen=True, slots=True)
class Outside:
    """What the flow reaches the world by; one of each a process."""

    settings: Settings
    counters: Counters
    meters: Meters
    jetstream: JetStreamPublisher
    mqtt: MqttPublisher
    advisories: AdvisoryClient
    stopping: Event


def build(outside: Outside, ledger: Ledger, stages: Steps, partition: int) -> Dataflow:
    """Return the flow of a partition with `stages`, each a visible step by its name."""
    flow = Dataflow("headrace")
    counters = outside.counters
    meter = partial(outside.meters.step, partition)

    read = op.input(
        "telemetry",
        flow,
        TelemetrySource(
            outside.settings,
            partition,
            ledger,
            counters,
            outside.meters,
            meter("telemetry"),
            outside.stopping,
        ),
    )
    # Rule files come with the messages that follow them; what is left are those with errors.
    by_kind = op.branch("refused_rules", read, lambda message: is_rules(message.subject))
    by_node = op.key_on("by_edge_node", by_kind.falses, lambda message: message.node_key)
    acquisition_meter = meter("acquisition")
    acquired = op.stateful_batch(
        "acquisition",
        by_node,
        lambda state: MeteredLogic(
            AcquisitionLogic(
                counters,
                ledger,
                outside.settings.lateness_s,
                partial(outside.meters.watermarks.tell, partition),
                state,
            ),
            acquisition_meter,
        ),
    )
    marks = op.filter_map_value("marks", acquired, _only(Mark))
    commands: op.KeyedStream[Command] = op.filter_map_value("commands", acquired, _command)
    unusable = [
        op.filter_map_value("unusable", acquired, _only(SetAside)),
        op.map("set_rules_aside", by_kind.trues, _refused),
    ]
    frames = op.filter_map_value("frames", acquired, _only(Frame))
    # Stages take the frames of a machine in order; what comes late is for the historian alone.
    by_time = op.branch("late", frames, lambda keyed: keyed[1].late)
    captured = op.flat_map("captured", frames, _captured)
    late = op.map("late_by_equipment", by_time.trues, _by_equipment)
    corrected = op.branch(
        "late_correction_failed",
        _stage("late_correction", Correction, late, counters, meter),
        _is_set_aside,
    )
    unusable.append(corrected.trues)
    corrections = op.map_value("corrections", corrected.falses, lambda carried: carried.item.points)
    items: op.KeyedStream[Any] = op.map("by_equipment", by_time.falses, _by_equipment)

    for name, kind in stages:
        made = _stage(name, kind, items, counters, meter)
        branched = op.branch(f"{name}_failed", made, _is_set_aside)
        unusable.append(branched.trues)
        items = branched.falses

    advisories: op.KeyedStream[Advisory] = op.flat_map_value(
        "advisories", items, lambda carried: carried.item.advisories
    )
    all_points: op.KeyedStream[Points] = op.map_value(
        "points", items, lambda carried: carried.item.points
    )
    points = op.filter_value(
        "has_points",
        op.merge("computed_points", all_points, corrections),
        lambda p: bool(p.aggregates or p.series or p.waveforms),
    )
    points = op.merge("all_points", points, captured)
    letters = op.merge("dead_letters", *unusable)
    _outputs(outside, partition, advisories, points, letters, commands)
    op.output("acknowledgements", marks, AcknowledgementSink(ledger, meter("acknowledgements")))
    return flow


def _outputs(
    outside: Outside,
    partition: int,
    advisories: op.KeyedStream[Advisory],
    points: op.KeyedStream[Points],
    dead_letters: op.KeyedStream[SetAside],
    commands: op.KeyedStream[Command],
) -> None:
    counters, jetstream = outside.counters, outside.jetstream
    own, meter = str(partition), partial(outside.meters.step, partition)
    reported = meter("to_maintenance")
    maintenance: Sink[Advisory] = Sink(
        own,
        reported,
        lambda part, state: AdvisoryPartition(
            part, counters, state, reported, outside.advisories, jetstream
        ),
    )
    historian: Sink[Points] = Sink(
        own,
        meter("to_historian"),
        lambda part, state: PointsPartition(part, counters, state, jetstream),
    )
    letters: Sink[SetAside] = Sink(
        own,
        meter("to_dead_letters"),
        lambda part, state: DeadLetterPartition(part, counters, state, jetstream),
    )
    nodes: Sink[Command] = Sink(
        own, meter("to_edge_nodes"), lambda _, __: CommandPartition(outside.mqtt)
    )
    op.output("to_maintenance", advisories, maintenance)
    op.output("to_historian", points, historian)
    op.output("to_dead_letters", dead_letters, letters)
    op.output("to_edge_nodes", commands, nodes)


def _stage(
    name: str,
    kind: type[Stage[Any, Any]],
    items: op.KeyedStream[Any],
    counters: Counters,
    meter: Callable[[str], StepMeter],
) -> op.KeyedStream[Any]:
    measured = meter(name)
    return op.stateful_batch(
        name,
        items,
        lambda state: MeteredLogic(StageLogic(kind, name, counters, state), measured),
    )


def _only(kind: type[Kind]) -> Callable[[object], Kind | None]:
    return lambda item: item if isinstance(item, kind) else None


def _command(item: object) -> Command | None:
    return item if isinstance(item, Rebirth | Resend) else None


def _by_equipment(keyed: tuple[str, Frame]) -> tuple[str, Carried]:
    frame = keyed[1]
    return frame.info.key, Carried(frame, frame)


def _captured(keyed: tuple[str, Frame]) -> list[tuple[str, Points]]:
    frame = keyed[1]
    if not frame.capture:
        return []
    return [(frame.info.key, points) for points in captured_points(frame)]


def _refused(message: Message) -> tuple[str, SetAside]:
    aside = in_force.set_aside(message)
    return aside.key, aside


def _is_set_aside(keyed: tuple[str, Any]) -> bool:
    return isinstance(keyed[1], SetAside)
