"""The board as the contract's messages."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set

from cloud_api.flow.board import Heard, StatusBoard, started
from cloud_api.flow.rates import Changes, changes
from cloud_api.v1 import flow_pb2 as pb
from stream_processor.v1 import status_pb2 as status

_KINDS = {
    status.FLOW_STEP_KIND_SOURCE: pb.FLOW_NODE_KIND_SOURCE,
    status.FLOW_STEP_KIND_STAGE: pb.FLOW_NODE_KIND_STAGE,
    status.FLOW_STEP_KIND_SINK: pb.FLOW_NODE_KIND_SINK,
}
# Of whom a device may be named: None is everybody's.
Sites = Set[str] | None


def check(said: status.ProcessorStatus) -> None:
    """Let pass what can be shown.

    Raises:
        ValueError: a number or a time in it is none of the contract's.
    """
    one = Heard(said, started(said), silent=False, earlier=(said,))
    _processor(one, changes(one.earlier), None)
    pb.Flow(partition_count=said.partition_count)
    if not math.isfinite(said.uptime_seconds):
        raise ValueError(f"uptime_seconds is {said.uptime_seconds}")


def processor_messages(heard: Sequence[Heard], sites: Sites) -> list[pb.Processor]:
    """Return the processes, devices of other sites without their names."""
    return [_processor(one, changes(one.earlier), sites) for one in heard]


def flow_message(board: StatusBoard, sites: Sites) -> pb.Flow:
    """Return the flow as a whole; what is silent is shown and counts for nothing."""
    heard = board.heard()
    flow = pb.Flow(processors=processor_messages(heard, sites))
    flow.time.FromDatetime(board.now())
    speaking = [one for one in heard if not one.silent] or heard
    if not speaking:
        return flow
    newest = max(speaking, key=lambda one: started(one.status)).status
    live = [p for p in flow.processors if p.state != pb.PROCESSOR_STATE_SILENT]
    flow.expected_count = newest.processes
    flow.running_count = len({p.process for p in live if p.process_count == newest.processes})
    held = [p for processor in live for p in processor.partitions if p.held]
    flow.partition_count = newest.partition_count
    flow.held_partition_count = len({p.partition for p in held})
    flow.lag_messages = sum(p.lag_messages for p in held)
    flow.lag_seconds = max((p.lag_seconds for p in held), default=0.0)
    flow.steps.extend(_nodes(board, speaking, live))
    given = [
        step.items_per_second
        for step in flow.steps
        if step.kind == pb.FLOW_NODE_KIND_SOURCE and step.HasField("items_per_second")
    ]
    if given:
        flow.messages_per_second = sum(given)
    return flow


def _nodes(
    board: StatusBoard, speaking: Sequence[Heard], live: Sequence[pb.Processor]
) -> list[pb.FlowNode]:
    """Return the steps of the newest process, and those that only older ones have."""
    nodes: dict[str, pb.FlowNode] = {}
    for one in sorted(speaking, key=lambda one: started(one.status), reverse=True):
        for step in one.status.flow:
            if step.name not in nodes:
                nodes[step.name] = pb.FlowNode(
                    name=step.name,
                    kind=_KINDS.get(step.kind, pb.FLOW_NODE_KIND_STAGE),
                    feeds=step.feeds,
                    recent_dead_letters=board.dead_letters(step.name),
                    history=board.rates(step.name),
                )
    for processor in live:
        for partition in processor.partitions:
            for rate in partition.steps:
                if (node := nodes.get(rate.step)) is not None:
                    _add(node, rate)
    return list(nodes.values())


def _add(node: pb.FlowNode, rate: pb.StepRate) -> None:
    node.items += rate.items
    node.dead_letters += rate.dead_letters
    if rate.HasField("items_per_second"):
        node.items_per_second += rate.items_per_second
        node.busy_share = max(node.busy_share, rate.busy_share)


def _processor(one: Heard, changed: Changes, sites: Sites) -> pb.Processor:
    said = one.status
    message = pb.Processor(
        name=f"processors/{said.id}",
        state=_state(one),
        host=said.host,
        process=said.process,
        process_count=said.processes,
        version=said.version,
        start_time=said.start_time,
        partitions=[_partition(partition, changed, sites) for partition in said.partitions],
    )
    message.last_heard_time.FromDatetime(one.time)
    return message


def _state(one: Heard) -> pb.ProcessorState.ValueType:
    if one.silent:
        return pb.PROCESSOR_STATE_SILENT
    if any(partition.held for partition in one.status.partitions):
        return pb.PROCESSOR_STATE_RUNNING
    return pb.PROCESSOR_STATE_STANDING_BY


def _partition(
    said: status.PartitionStatus, changed: Changes, sites: Sites
) -> pb.ProcessorPartition:
    message = pb.ProcessorPartition(
        partition=said.partition,
        held=said.held,
        position=said.position,
        lag_messages=said.lag_messages,
        lag_seconds=said.lag_seconds,
        lag_change_messages=changed.lag_changes.get(said.partition, 0),
        watermark_delay_seconds=said.watermark_delay_seconds,
        watermark_devices=said.watermark_devices,
        last_device=said.last_device if _may_see(said.last_device, sites) else "",
        state_bytes=said.state_bytes,
        steps=[_step(step, said.partition, changed) for step in said.steps],
    )
    busy = changed.busy_share(said.partition)
    if said.held and busy is not None:
        message.busy_share = busy
    return message


def _step(said: status.StepStatus, partition: int, changed: Changes) -> pb.StepRate:
    message = pb.StepRate(step=said.name, items=said.items, dead_letters=said.dead_letters)
    rate = changed.rates.get((partition, said.name))
    if rate is not None:
        message.items_per_second = rate.items_per_second
        message.busy_share = rate.busy_share
    return message


def _may_see(device: str, sites: Sites) -> bool:
    return sites is None or device.partition("/")[0] in sites
