"""What the processor says of itself, as a message (docs/contracts.md, Status)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stream_processor.counters import Counters
from stream_processor.flow_graph import Step, StepKind
from stream_processor.meters import Meters
from stream_processor.settings import Settings
from stream_processor.v1 import status_pb2 as pb

_KINDS = {
    StepKind.SOURCE: pb.FLOW_STEP_KIND_SOURCE,
    StepKind.STAGE: pb.FLOW_STEP_KIND_STAGE,
    StepKind.SINK: pb.FLOW_STEP_KIND_SINK,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process of which machine speaks, and since when."""

    host: str
    pid: int
    version: str
    start_time: datetime


class Speaker:
    """Puts together what this process says of itself; the same but for counters and meters."""

    def __init__(
        self,
        identity: Identity,
        settings: Settings,
        steps: Sequence[Step],
        counters: Counters,
        meters: Meters,
    ) -> None:
        self._counters = counters
        self._meters = meters
        name = f"{identity.host}-{settings.process}-{identity.pid}"
        self._said = pb.ProcessorStatus(
            # A subject's level cannot hold dots.
            id=re.sub(r"[^A-Za-z0-9_-]", "-", name),
            host=identity.host,
            process=settings.process,
            processes=settings.processes,
            partition_count=settings.partitions,
            version=identity.version,
            flow=[
                pb.FlowStep(name=step.name, kind=_KINDS[step.kind], feeds=step.feeds)
                for step in steps
            ],
        )
        self._said.start_time.FromDatetime(identity.start_time)

    @property
    def subject(self) -> str:
        """Where it is said."""
        return f"headrace.processor.{self._said.id}"

    def status(self, uptime_s: float, *, ending: bool = False) -> pb.ProcessorStatus:
        """Return how the process is doing `uptime_s` seconds after its start."""
        said = pb.ProcessorStatus(uptime_seconds=uptime_s, ending=ending)
        said.MergeFrom(self._said)
        positions = self._counters.positions()
        for partition, meter in self._meters.partitions().items():
            said.partitions.add(
                partition=partition,
                held=meter.held,
                position=positions.get(partition, 0),
                lag_messages=meter.lag.messages,
                lag_seconds=meter.lag.seconds,
                watermark_delay_seconds=meter.delay.seconds,
                watermark_devices=meter.delay.devices,
                last_device=meter.delay.last,
                state_bytes=meter.state_bytes,
                steps=[
                    pb.StepStatus(
                        name=name,
                        items=step.items,
                        seconds=step.seconds,
                        dead_letters=step.dead_letters,
                    )
                    for name, step in self._meters.steps_of(partition).items()
                ],
            )
        return said
