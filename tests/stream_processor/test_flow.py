"""Blocks in over MQTT, effects out: the real flow in a process of its own, on a real broker."""

from __future__ import annotations

import time
from typing import Any

from edge_agent.v1.sparkplug_b_pb2 import Metric, Payload


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
    # The first block's advisory and points; the second's waveform only.
    assert (counters["advisories"], counters["points"]) == (1, 2)
    assert len(maintenance.ids) == 1
    assert not [name for name, count in counters.items() if "dead_letters" in name and count]
    assert processor.terminate() == 0
