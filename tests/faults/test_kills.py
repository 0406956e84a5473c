"""Any process may die in the middle: the loop still closes, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware_sim.plant import SITE
from headrace import gateway, verdict
from headrace.broker import Broker
from headrace.demo.machines import of_plant
from headrace.demo.stores import fill
from headrace.stack import Stack, running

OPTIONS = {"scenario": "blocked-filter", "seed": 1, "speed": "max"}


def wait(condition: Callable[[], bool], stack: Stack, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, stack.counters()
        stack.supervisor.check()
        time.sleep(0.05)


def kill(stack: Stack, name: str) -> None:
    if name == "broker":
        broker = stack.supervisor.broker
        assert isinstance(broker, Broker)
        broker.kill()
        broker.start()
        return
    child = next(c for c in stack.supervisor.children if c.name == name)
    assert child.process is not None
    child.process.kill()
    child.process.wait()


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
@pytest.mark.timeout(290)
def test_the_loop_closes_once_over_kills_of_every_process(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        plant = of_plant(OPTIONS)
        fill(stack.client, SITE, plant.machines)
        configuration = gateway.write(
            tmp_path / "gateway.toml",
            SITE,
            "gw-1",
            "plugin",
            OPTIONS,
            factory="firmware_sim.driver:create",
            pace_hz=60.0,
        )
        agent = stack.start_agent(configuration, until_drained=True)
        for name in ("stream_processor", "cloud_api", "broker"):
            before = stack.counters().get("received", 0)
            wait(lambda before=before: stack.counters().get("received", 0) >= before + 150, stack)
            kill(stack, name)
            wait(lambda: bool(stack.counters()) and stack.client.ready(), stack)
        wait(lambda: agent.returncode() is not None, stack, 200)
        assert agent.returncode() == 0, agent.tail()

        def books() -> verdict.Verdict:
            return verdict.read(stack.client, SITE, verdict.Blocks(0, 0, 0, 0))

        wait(lambda: bool(books().requisitions), stack, 60)
        found = books()

    stories = [(a["equipment"], a["summary"], a["raiseTime"]) for a in found.alarms]
    assert len(found.alarms) == 1, stories
    assert [len(x) for x in (found.tickets, found.reservations)] == [1, 1]
    assert len(found.requisitions) == 1
    assert found.tickets[0]["equipment"] == "F-201"
    assert found.reservations[0]["ticket"] == found.tickets[0]["name"]
    assert found.requisitions[0]["reference"]
