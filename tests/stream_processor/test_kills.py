"""Whatever is killed, every batch takes effect, and is acknowledged only then."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

BATCHES = 800
KILLS = 4


def expected(batches: int, equipment: str = "P-101") -> set[str]:
    return {f"riverside-{equipment}-1-{batch}" for batch in range(1, batches + 1)}


@pytest.mark.slow
def test_kills_of_the_processor_lose_nothing(
    agents: list[Any], processor: Any, maintenance: Any, wait_until: Any
) -> None:
    for agent in agents:
        agent.births()
    for batch in range(1, BATCHES + 1):
        for agent in agents:
            agent.block(batch)
    for kill in range(1, KILLS + 1):
        reached = kill * len(agents) * BATCHES // (KILLS + 2)
        wait_until(lambda reached=reached: len(maintenance.ids) > reached, what=processor.tail)
        processor.kill()
        ids = maintenance.ids
        for agent in agents:
            acknowledged = agent.acknowledged() or (1, 0)
            assert expected(acknowledged[1], agent.equipment) <= ids
        processor.start()
    for agent in agents:
        wait_until(lambda agent=agent: agent.acknowledged() == (1, BATCHES), what=processor.tail)

    assert maintenance.ids == set().union(*(expected(BATCHES, a.equipment) for a in agents))
    for agent in agents:
        # What was acknowledged was durable: no recovery went back behind it.
        said = agent.acknowledgements()
        assert said == sorted(said)
        reported = [a for a in maintenance.reported if a.equipment == agent.equipment]
        batches = [int(a.advisory_id.rpartition("-")[2]) for a in reported]
        assert all(b == a + 1 or b <= a for a, b in pairwise(batches)), "out of order"
        # The stage's own count was recovered with the position: no block twice, none forgotten.
        assert [int(a.summary) for a in reported] == batches
    counters = processor.counters()
    total = len(agents) * BATCHES
    assert counters["processed"] == counters["advisories"] == counters["points"] == total
    assert (counters["lost"], counters["duplicated"], counters["dead_letters"]) == (0, 0, {})


@pytest.mark.slow
def test_a_kill_of_the_broker_loses_nothing(
    agent: Any, processor: Any, maintenance: Any, broker: Any, wait_until: Any
) -> None:
    agent.births()
    for batch in range(1, 1501):
        agent.block(batch)
        if batch in (500, 1000):
            wait_until(lambda: len(maintenance.ids) > 50, what=processor.tail)
            broker.kill()
            broker.start()
    answered = 0

    def complete() -> bool:
        """Answer as an agent does: what a broker confirmed may die with it, and is asked for."""
        nonlocal answered
        for _, first, last in agent.resends()[answered:]:
            answered += 1
            for missing in range(first, last + 1):
                agent.block(missing, historical=True)
        return bool(agent.acknowledged() == (1, 1500))

    wait_until(complete, 90, processor.tail)
    assert maintenance.ids == expected(1500)
    counters = processor.counters()
    assert counters["processed"] == 1500
    assert (counters["lost"], counters["dead_letters"]) == (0, {})


def test_advisories_wait_for_the_server(
    agent: Any, processor: Any, maintenance: Any, wait_until: Any
) -> None:
    maintenance.stop()
    agent.births()
    for batch in range(1, 6):
        agent.block(batch)
    wait_until(lambda: processor.counters()["processed"] == 5, what=processor.tail)
    wait_until(lambda: "an advisory was not taken" in processor.tail())
    assert agent.acknowledged() is None
    maintenance.start()
    wait_until(lambda: agent.acknowledged() == (1, 5), what=processor.tail)
    assert [a.summary for a in maintenance.reported] == ["1", "2", "3", "4", "5"]


def test_a_stop_without_the_server_leaves_the_rest_to_the_next_start(
    agent: Any, processor: Any, maintenance: Any, wait_until: Any
) -> None:
    maintenance.stop()
    agent.births()
    agent.block(1)
    wait_until(lambda: "an advisory was not taken" in processor.tail(), what=processor.tail)
    assert processor.terminate() == 0
    assert agent.acknowledged() is None
    maintenance.start()
    processor.start()
    wait_until(lambda: agent.acknowledged() == (1, 1), what=processor.tail)
    assert maintenance.ids == expected(1)


def test_an_acknowledgement_that_was_not_heard_is_said_again(
    agent: Any, processor: Any, wait_until: Any
) -> None:
    agent.births()
    for batch in range(1, 4):
        agent.block(batch)
    wait_until(lambda: agent.acknowledged() == (1, 3), what=processor.tail)
    assert processor.terminate() == 0
    agent.heard.clear()
    processor.start()
    wait_until(lambda: agent.acknowledged() == (1, 3), what=processor.tail)
    agent.heard.clear()
    agent.block(2, historical=True)
    wait_until(lambda: agent.acknowledged() == (1, 3), what=processor.tail)
    assert processor.counters()["duplicated"] == 1
