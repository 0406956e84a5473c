"""Blocks in over MQTT, effects out: the real flow in a process of its own, on a real broker."""

from __future__ import annotations

import asyncio
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import nats
import pytest

from edge_agent.v1.sparkplug_b_pb2 import Metric, Payload
from stream_processor.v1.points_pb2 import Points, PointsBatch


def test_a_block_becomes_an_advisory_points_and_an_acknowledgement(
    agent: Any, processor: Any, maintenance: Any, wait_until: Any
) -> None:
    agent.births()
    for batch in range(1, 11):
        agent.block(batch)
    wait_until(lambda: len(maintenance.ids) == 10, what=processor.tail)
    wait_until(lambda: agent.acknowledged() == (1, 10), what=processor.tail)
    assert maintenance.tokens == {"Bearer a token of the tests"}
    counters = processor.counters()
    assert counters["processed"] == counters["points"] == counters["advisories"] == 10
    assert counters["lost"] == counters["duplicated"] == 0
    assert processor.terminate() == 0


def test_a_late_capture_is_for_the_historian_alone(
    agent: Any, processor: Any, maintenance: Any, wait_until: Any, payloads: Any
) -> None:
    now = int(time.time() * 1000)
    agent.send("NBIRTH", payloads.node_birth())
    birth = Payload.FromString(payloads.device_birth())
    birth.metrics.add(name="Edge/Capture", datatype=12, is_null=True)
    agent.send("DBIRTH", birth.SerializeToString(), agent.equipment)
    agent.block(1, start_ms=now - 1000)
    agent.block(
        2,
        start_ms=now - 5000,
        historical=True,
        metrics=[Metric(name="Edge/Capture", string_value=f"{now} loud")],
    )

    wait_until(lambda: agent.acknowledged() == (1, 2), what=processor.tail)
    counters = processor.counters()
    # The first block's advisory and points; the second's waveform and aggregates only.
    assert (counters["advisories"], counters["points"]) == (1, 3)
    assert (counters["frames"], counters["late_frames"]) == (1, 1)
    assert len(maintenance.ids) == 1
    assert not [name for name, count in counters.items() if "dead_letters" in name and count]
    assert processor.terminate() == 0


def published(broker: Any) -> list[Points]:
    """Return all points that the log has for the historian."""

    async def read() -> list[Points]:
        connection = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        try:
            log = connection.jetstream()
            subscription = await log.subscribe("points.>", stream="POINTS", ordered_consumer=True)
            count = (await log.stream_info("POINTS")).state.messages
            found = [await subscription.next_msg(timeout=10) for _ in range(count)]
        finally:
            await connection.close()
        return [p for message in found for p in PointsBatch.FromString(message.data).points]

    return asyncio.run(read())


def metrics(processor: Any) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{processor.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line[0] != "#"}


def test_a_late_block_corrects_the_historian_and_nothing_else(
    agent: Any, processor: Any, maintenance: Any, broker: Any, wait_until: Any
) -> None:
    agent.births()
    now = int(time.time() * 1000)
    for batch, second in enumerate((9, 5, 10, 6), 1):
        agent.block(batch, samples=[float(second)], start_ms=now - 60_000 + second * 1000)

    wait_until(lambda: agent.acknowledged() == (1, 4), what=processor.tail)
    assert [a.advisory_id.rpartition("-")[2] for a in maintenance.reported] == ["1", "3"]
    counters = processor.counters()
    assert (counters["processed"], counters["frames"], counters["late_frames"]) == (4, 2, 2)
    late = [p for p in published(broker) if p.late]
    assert [(a.time_ms[0] - now + 60_000, a.mean[0]) for p in late for a in p.aggregates] == [
        (5000, 5.0),
        (6000, 6.0),
    ]
    shown = metrics(processor)
    name = "headrace_stream_processor_watermark"
    delays = [v for k, v in shown.items() if k.startswith(f"{name}_delay_seconds")]
    assert sum(v for k, v in shown.items() if k.startswith(f"{name}_devices")) == 1
    assert max(delays) >= 50.0
    assert processor.terminate() == 0


def test_blocks_within_the_lateness_are_put_in_order(
    agent: Any,
    maintenance: Any,
    broker: Any,
    tmp_path: Path,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADRACE_LATENESS_S", "30")
    kind = sys.modules[type(maintenance).__module__].Processor
    processor = kind(broker, maintenance, tmp_path)
    processor.start()
    try:
        agent.births()
        now = int(time.time() * 1000)
        order = (3, 1, 2, 5, 4, 60)
        for batch, second in enumerate(order, 1):
            agent.block(batch, start_ms=now - 60_000 + second * 1000)
        # The last may be the first after a hole: it waits.
        wait_until(lambda: agent.acknowledged() == (1, 5), what=processor.tail)
        assert [a.advisory_id.rpartition("-")[2] for a in maintenance.reported] == list("23154")
        processor.kill()
        processor.start()
        agent.block(7, start_ms=now - 60_000 + 59_000)
        agent.block(8, start_ms=now + 40_000)
        wait_until(lambda: agent.acknowledged() == (1, 7), what=processor.tail)
        # What a crash repeats has the id that it had.
        ids = list(dict.fromkeys(a.advisory_id for a in maintenance.reported))
        assert [i.rpartition("-")[2] for i in ids] == list("2315476")
    finally:
        if processor.process.poll() is None:
            processor.kill()
