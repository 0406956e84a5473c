from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.subscription import Subscription

from stream_processor.counters import Counters
from stream_processor.flow_graph import Step, StepKind
from stream_processor.log_reader import Lag
from stream_processor.meters import Meters
from stream_processor.settings import Settings
from stream_processor.status import Identity, Speaker
from stream_processor.v1.status_pb2 import (
    FLOW_STEP_KIND_SINK,
    FLOW_STEP_KIND_SOURCE,
    ProcessorStatus,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def meters(tmp_path: Path) -> Meters:
    made = Meters(lambda partition: tmp_path / str(partition))
    for partition in (1, 3):
        made.expect(partition)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "part-0.sqlite3").write_bytes(b"state")
    return made


@pytest.fixture
def speaker(meters: Meters) -> Speaker:
    counters = Counters()
    counters.position(1, 4711)
    settings = Settings.from_environment({"HEADRACE_PROCESSES": "2", "HEADRACE_PROCESS": "1"})
    steps = [
        Step("telemetry", StepKind.SOURCE, ("to_historian",)),
        Step("to_historian", StepKind.SINK, ()),
    ]
    return Speaker(
        Identity("node-7.plant.example", 12, "1.2", START), settings, steps, counters, meters
    )


def test_a_process_says_who_it_is_and_what_its_flow_is(speaker: Speaker) -> None:
    assert speaker.subject == "headrace.processor.node-7-plant-example-1-12"
    said = speaker.status(3.5)
    assert said.host == "node-7.plant.example"
    assert (said.process, said.processes, said.partition_count, said.version) == (1, 2, 4, "1.2")
    assert said.start_time.ToDatetime(UTC) == START
    assert (said.uptime_seconds, said.ending) == (3.5, False)
    assert [(s.name, s.kind, list(s.feeds)) for s in said.flow] == [
        ("telemetry", FLOW_STEP_KIND_SOURCE, ["to_historian"]),
        ("to_historian", FLOW_STEP_KIND_SINK, []),
    ]
    assert speaker.status(4.5, ending=True).ending


def test_partitions_are_told_held_or_waited_for(speaker: Speaker, meters: Meters) -> None:
    meters.reading(1, lambda now_ms: Lag(40, 1.5))
    meters.step(1, "telemetry").worked(7, 0.25)
    meters.step(1, "telemetry").worked(1, 0.25, dead_letters=1)
    meters.step(3, "telemetry").worked(9, 0.5)
    meters.watermarks.tell(1, "riverside/P-101", 0.0, datetime.now(UTC).timestamp() * 1000)
    held, waited = speaker.status(3.5).partitions
    assert (held.partition, held.held, held.position, held.state_bytes) == (1, True, 4711, 5)
    assert (held.lag_messages, held.lag_seconds) == (40, 1.5)
    assert (held.watermark_devices, held.last_device) == (1, "riverside/P-101")
    assert held.watermark_delay_seconds > 0
    (step,) = held.steps
    assert (step.name, step.items, step.seconds, step.dead_letters) == ("telemetry", 8, 0.5, 1)
    assert (waited.partition, waited.held, waited.position) == (3, False, 0)
    assert waited.steps[0].items == 9


async def heard(
    subscription: Subscription, enough: Callable[[ProcessorStatus], bool]
) -> ProcessorStatus:
    """Return the next status that is enough."""
    async with asyncio.timeout(60):
        while True:
            message = await subscription.next_msg(timeout=60)
            status = ProcessorStatus.FromString(message.data)
            assert message.subject == f"headrace.processor.{status.id}"
            if enough(status):
                return status


def worked(status: ProcessorStatus) -> dict[str, tuple[int, int]]:
    """Return items and dead letters of each step, of all partitions."""
    total: dict[str, tuple[int, int]] = {}
    for partition in status.partitions:
        for step in partition.steps:
            items, letters = total.get(step.name, (0, 0))
            total[step.name] = (items + step.items, letters + step.dead_letters)
    return total


async def test_a_running_processor_tells_the_broker_until_it_ends(
    broker: Any, processor: Any, agent: Any, wait_until: Callable[..., Any]
) -> None:
    agent.births()
    for batch in range(1, 11):
        agent.block(batch, samples=[666.0] if batch == 4 else [1.0, 2.0])
    await asyncio.to_thread(
        wait_until, lambda: agent.acknowledged() == (1, 10), what=processor.tail
    )
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    subscription = await client.subscribe("headrace.processor.*")
    await client.flush()

    said = await heard(subscription, lambda status: worked(status)["to_historian"][0] == 9)
    steps = worked(said)
    assert {step.name for step in said.flow} == set(steps), "every step shown is measured"
    assert steps["telemetry"] >= steps["acquisition"] >= (12, 0), "births, and ten blocks"
    assert steps["echo"] == (10, 1)
    assert (steps["to_dead_letters"], steps["to_maintenance"]) == ((1, 0), (9, 0))
    assert steps["acknowledgements"] > (0, 0)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", said.id)
    assert [(p.partition, p.held) for p in said.partitions] == [(p, True) for p in range(4)]

    assert await asyncio.to_thread(processor.terminate) == 0
    last = await heard(subscription, lambda status: status.ending)
    assert (last.id, last.uptime_seconds > said.uptime_seconds) == (said.id, True)
    await client.close()
