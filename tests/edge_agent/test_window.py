"""No more is on its way than the window lets, whatever the cloud does or does not say."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import settings, window
from edge_agent.node import EdgeNode
from edge_agent.store.spool import Batch, Hole
from edge_agent.window import Window, probe_waits
from headrace import gateway
from headrace.broker import Broker

IN_FLIGHT = 8
COUNT = 40


def batch(epoch: int, number: int, size: int = 10) -> Batch:
    return Batch(epoch, number, "t", bytes(size))


def test_an_acknowledgement_lets_go_of_what_is_before_it_and_of_earlier_boots() -> None:
    found = Window(100, 0)
    found.add([batch(1, 7), batch(1, 8), Hole(2, 1, 4), batch(2, 5), batch(2, 6)])
    assert (found.batches, found.bytes) == (5, 40)
    found.acknowledge(1, 7)
    assert (found.batches, found.bytes) == (4, 30)
    found.acknowledge(2, 5)
    assert (found.batches, found.bytes) == (1, 10)
    found.acknowledge(1, 8)
    assert found.batches == 1
    found.clear()
    assert (found.batches, found.bytes) == (0, 0)


@given(
    max_batches=st.integers(0, 20),
    max_bytes=st.integers(0, 500),
    steps=st.lists(st.tuples(st.integers(1, 100), st.integers(0, 12)), max_size=60),
)
def test_what_is_on_its_way_stays_within_both_bounds_but_for_one_batch(
    max_batches: int, max_bytes: int, steps: list[tuple[int, int]]
) -> None:
    found = Window(max_batches, max_bytes)
    sent = said = 0
    for size, acknowledged in steps:
        count, room = found.room(1, 1 << 20)
        if count and room:
            sent += 1
            found.add([batch(1, sent, size)])
        else:
            assert max_batches or max_bytes
        said = min(sent, said + acknowledged)
        found.acknowledge(1, said)
        assert found.batches == sent - said
        assert not max_batches or found.batches <= max_batches
        assert not max_bytes or found.bytes < max_bytes + 100
        if sent == said:
            assert found.bytes == 0


def test_probes_become_rarer() -> None:
    assert list(islice(probe_waits(), 6)) == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


async def test_what_is_not_acknowledged_keeps_the_rest_in_the_spool(
    cloud: Any, agents: Any
) -> None:
    spool = f"[spool]\nmax_in_flight = {IN_FLIGHT}\n"
    agent = agents.start("--until-drained", tables=spool, count=COUNT)
    await cloud.until(lambda: len(cloud.data()) == IN_FLIGHT)
    epoch = cloud.data()[0].key[0]
    # An answer to a command comes after whatever was published before it.
    await cloud.rebirth()
    await cloud.until(lambda: len(cloud.of("DBIRTH")) == 2)
    assert len(cloud.data()) == IN_FLIGHT

    # As many go as were acknowledged.
    await cloud.acknowledge(epoch, 3)
    await cloud.until(lambda: len(cloud.data()) == IN_FLIGHT + 3)
    # What is asked for goes, although there is no room.
    await cloud.resend(epoch, 5, 6)
    await cloud.until(lambda: len(cloud.data()) == IN_FLIGHT + 5)
    assert [h.key[1] for h in cloud.data()] == [*range(1, IN_FLIGHT + 4), 5, 6]

    cloud.acknowledging = True
    await cloud.acknowledge_contiguous(epoch)
    assert await agent.wait() == 0, agent.log.read_text()
    assert sorted(cloud.numbers[epoch]) == list(range(1, COUNT + 1))


async def test_a_new_session_has_a_window_of_its_own(
    cloud: Any, agents: Any, broker: Broker
) -> None:
    agent = agents.start(
        "--until-drained", tables=f"[spool]\nmax_in_flight = {IN_FLIGHT}\n", count=COUNT
    )
    await cloud.until(lambda: len(cloud.data()) == IN_FLIGHT)
    broker.kill()
    await cloud.until(lambda: cloud.client is None)
    cloud.acknowledging = True
    broker.start()
    assert await agent.wait() == 0, agent.log.read_text()
    (epoch,) = cloud.numbers
    assert sorted(cloud.numbers[epoch]) == list(range(1, COUNT + 1))


async def test_a_lost_acknowledgement_is_asked_for_by_sending_the_newest_again(
    cloud: Any, tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(window, "PROBE_S", 0.2)
    file = gateway.write(
        tmp_path / "gateway.toml", "riverside", "gw-1", "plugin", {"count": COUNT},
        factory="counting_driver:create",
    )  # fmt: skip
    file.write_text(f"{file.read_text()}\n[spool]\nmax_in_flight = {IN_FLIGHT}\n", encoding="utf-8")
    environment = {**broker.environment, "HEADRACE_DATA_DIR": str(tmp_path / "data")}
    node = EdgeNode(settings.read(file, environment))
    running = asyncio.create_task(node.run(until_drained=True))
    try:
        await cloud.until(lambda: len(cloud.data()) >= IN_FLIGHT + 2)
        numbers = [h.key[1] for h in cloud.data()]
        assert numbers[: IN_FLIGHT + 2] == [*range(1, IN_FLIGHT + 1), IN_FLIGHT, IN_FLIGHT]
        assert cloud.data()[IN_FLIGHT].historical
        assert node.in_flight == IN_FLIGHT
        cloud.acknowledging = True
        await cloud.until(lambda: len(cloud.numbers[node.boot_epoch]) == COUNT)
        async with asyncio.timeout(60):
            await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert node.in_flight == 0
