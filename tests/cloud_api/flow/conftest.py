"""Processes that say what a test wants them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud_api.flow.board import StatusBoard
from stream_processor.v1 import status_pb2 as pb

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Seconds and times that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


def status(id: str = "a", uptime_s: float = 100.0, **said: Any) -> pb.ProcessorStatus:
    """Return what a process says: one partition with a source and a sink, unless told otherwise.

    `items`, `seconds` and `letters` are the source's; the sink takes half of the items.
    """
    items, seconds = said.pop("items", 0), said.pop("seconds", 0.0)
    letters, held, partition = said.pop("letters", 0), said.pop("held", True), said.pop("of", 0)
    lag = said.pop("lag", 0)
    started: datetime = said.pop("started", START)
    message = pb.ProcessorStatus(
        **{"id": id, "host": "h", "processes": 1, "partition_count": 2, **said},
        uptime_seconds=uptime_s,
        flow=[
            pb.FlowStep(name="telemetry", kind=pb.FLOW_STEP_KIND_SOURCE, feeds=["to_historian"]),
            pb.FlowStep(name="to_historian", kind=pb.FLOW_STEP_KIND_SINK),
        ],
        partitions=[
            pb.PartitionStatus(
                partition=partition,
                held=held,
                position=items,
                lag_messages=lag,
                lag_seconds=lag / 10,
                watermark_delay_seconds=2.5,
                watermark_devices=3,
                last_device="north/P-101",
                state_bytes=4096,
                steps=[
                    pb.StepStatus(
                        name="telemetry", items=items, seconds=seconds, dead_letters=letters
                    ),
                    pb.StepStatus(name="to_historian", items=items // 2, seconds=seconds / 2),
                ],
            )
        ],
    )
    message.start_time.FromDatetime(started)
    return message


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> StatusBoard:
    return StatusBoard(clock.monotonic, clock.now)


@pytest.fixture
def say() -> Callable[..., pb.ProcessorStatus]:
    return status


@pytest.fixture(scope="module")
def server(running_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of which no processor speaks but those of these tests."""
    with running_server(tmp_path_factory.mktemp("flow")) as running:
        yield running
