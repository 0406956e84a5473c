"""The flow: log, acquisition, the stages of ISO 13374, sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from stream_processor.messages import Command, Mark, Rebirth, Resend, SetAside
from stream_processor.mqtt_publisher import MqttPublisher
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
    ledger: Ledger
    jetstream: JetStreamPublisher
    mqtt: MqttPublisher
    advisories: AdvisoryClient
    stopping: Event


def build(outside: Outside, stages: Steps) -> Dataflow:
    """Return the flow with `stages`, each a visible step by its name."""
    flow = Dataflow("headrace")
    counters, ledger = outside.counters, outside.ledger

    messages = op.input(
        "telemetry", flow, TelemetrySource(outside.settings, ledger, counters, outside.stopping)
    )
    by_node = op.key_on("by_edge_node", messages, lambda message: message.node_key)
    acquired = op.stateful_batch(
        "acquisition", by_node, lambda state: AcquisitionLogic(counters, ledger, state)
    )
    marks = op.filter_map_value("marks", acquired, _only(Mark))
    commands: op.KeyedStream[Command] = op.filter_map_value("commands", acquired, _command)
    unusable = [op.filter_map_value("unusable", acquired, _only(SetAside))]
    frames = op.filter_map_value("frames", acquired, _only(Frame))
    # Stages take the frames of a machine in order; what comes late is for the historian alone.
    timely = op.filter_value("timely", frames, lambda frame: not frame.late)
    captured = op.flat_map("captured", frames, _captured)
    items: op.KeyedStream[Any] = op.map("by_equipment", timely, _by_equipment)

    for name, kind in stages:
        made = _stage(name, kind, items, counters)
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
        "has_points", all_points, lambda p: bool(p.aggregates or p.series or p.waveforms)
    )
    points = op.merge("all_points", points, captured)
    _outputs(outside, advisories, points, op.merge("dead_letters", *unusable), commands)
    op.output("acknowledgements", marks, AcknowledgementSink(ledger))
    return flow


def _outputs(
    outside: Outside,
    advisories: op.KeyedStream[Advisory],
    points: op.KeyedStream[Points],
    dead_letters: op.KeyedStream[SetAside],
    commands: op.KeyedStream[Command],
) -> None:
    counters, jetstream = outside.counters, outside.jetstream
    parts = [str(i) for i in range(outside.settings.partitions)]
    maintenance: Sink[Advisory] = Sink(
        ["advisories"],
        lambda part, state: AdvisoryPartition(part, counters, state, outside.advisories, jetstream),
    )
    historian: Sink[Points] = Sink(
        parts, lambda part, state: PointsPartition(part, counters, state, jetstream)
    )
    letters: Sink[SetAside] = Sink(
        ["dead_letters"], lambda part, state: DeadLetterPartition(part, counters, state, jetstream)
    )
    nodes: Sink[Command] = Sink(["commands"], lambda _, __: CommandPartition(outside.mqtt))
    op.output("to_maintenance", advisories, maintenance)
    op.output("to_historian", points, historian)
    op.output("to_dead_letters", dead_letters, letters)
    op.output("to_edge_nodes", commands, nodes)


def _stage(
    name: str, kind: type[Stage[Any, Any]], items: op.KeyedStream[Any], counters: Counters
) -> op.KeyedStream[Any]:
    return op.stateful_batch(name, items, lambda state: StageLogic(kind, name, counters, state))


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


def _is_set_aside(keyed: tuple[str, Any]) -> bool:
    return isinstance(keyed[1], SetAside)
