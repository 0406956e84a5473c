"""More and fewer processes share the log under load: nothing lost, told twice or out of order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest


class Load:
    """Blocks from every agent, one after the other, until it is told to stop."""

    def __init__(self, agents: list[Any]) -> None:
        self.sent = 0
        self._agents = agents
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for agent in self._agents:
                agent.block(self.sent + 1)
            self.sent += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.slow
def test_processes_are_added_and_taken_away_under_load(
    agents: list[Any],
    processors: Callable[[int], list[Any]],
    maintenance: Any,
    wait_until: Callable[..., Any],
) -> None:
    def more() -> None:
        reached = len(maintenance.ids) + 100
        wait_until(lambda: len(maintenance.ids) > reached, what=one.tail)

    (one,) = processors(1)
    for agent in agents:
        agent.births()
    load = Load(agents)
    try:
        more()
        assert one.held() == {0, 1, 2, 3}
        # The new ones wait for what the old one has, and take it when it ends.
        four = processors(4)
        assert [p.held() for p in four] == [set()] * 4
        assert one.terminate() == 0
        wait_until(lambda: [p.held() for p in four] == [{0}, {1}, {2}, {3}], what=four[0].tail)
        more()
        # These do not end in good order.
        for p in four:
            p.kill()
        two = processors(2)
        wait_until(lambda: [p.held() for p in two] == [{0, 2}, {1, 3}], what=two[0].tail)
        more()
    finally:
        load.stop()
    for agent in agents:
        wait_until(lambda agent=agent: agent.acknowledged() == (1, load.sent), what=two[0].tail)

    assert maintenance.ids == {
        f"riverside-{agent.equipment}-1-{batch}"
        for agent in agents
        for batch in range(1, load.sent + 1)
    }
    for agent in agents:
        reported = [a for a in maintenance.reported if a.equipment == agent.equipment]
        batches = [int(a.advisory_id.rpartition("-")[2]) for a in reported]
        assert all(b == a + 1 or b <= a for a, b in pairwise(batches)), "out of order"
        # The count that the stage keeps went from process to process with the partition.
        assert [int(a.summary) for a in reported] == batches
    wait_until(lambda: all(p.metrics()["lag_messages", str(n)] == 0 for p in two for n in p.held()))


@pytest.mark.slow
def test_a_spare_process_takes_over_from_one_that_was_killed(
    agent: Any,
    processors: Callable[[int], list[Any]],
    maintenance: Any,
    wait_until: Callable[..., Any],
) -> None:
    (first,) = processors(1)
    (spare,) = processors(1)
    agent.births()
    agent.block(1)
    wait_until(lambda: agent.acknowledged() == (1, 1), what=first.tail)
    assert spare.held() == set()
    first.kill()
    agent.block(2)
    wait_until(lambda: agent.acknowledged() == (1, 2), what=spare.tail)
    assert [a.summary for a in maintenance.reported][-1] == "2"
