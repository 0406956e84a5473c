"""Blocks in over MQTT, effects out: the real flow in a process of its own, on a real broker."""

from __future__ import annotations

from typing import Any


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
