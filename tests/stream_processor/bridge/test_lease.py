"""Which of several instances bridges, and that nothing is lost when it changes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from headrace.broker import free_port
from stream_processor.bridge.errors import InstanceTakenError, LeaseLostError
from stream_processor.bridge.lease import Lease, SessionRecord, StoredSession, bucket
from stream_processor.bridge.log_writer import LogWriter

DATA = "spBv1.0/riverside/DDATA/gw-1/P-101"
SHORT, LONG = 3.0, 3600.0


async def test_one_holds_it_and_gives_it_back(log: Any) -> None:
    store = await bucket(LogWriter(log.client))
    first, second = Lease("plant", "a", LONG), Lease("plant", "b", 1.0)
    await first.acquire(store)
    await Lease("another", "b", LONG).acquire(store)
    waiting = asyncio.create_task(Lease("plant", "b", LONG).acquire(store))
    await asyncio.wait({waiting}, timeout=0.5)
    assert not waiting.done()
    waiting.cancel()
    await first.release(store)
    async with asyncio.timeout(60):
        await second.acquire(store)


async def test_one_that_is_not_renewed_is_taken_over(log: Any) -> None:
    store = await bucket(LogWriter(log.client))
    first, second = Lease("plant", "a", SHORT), Lease("plant", "b", SHORT)
    await first.acquire(store)
    keeping = asyncio.create_task(first.keep(store))
    waiting = asyncio.create_task(second.acquire(store))
    # A disk may be slower than a short lease allows; then it is lost as it should.
    async with asyncio.timeout(60):
        for _ in range(4):
            await _changed(store)
    assert keeping.done() or not waiting.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    async with asyncio.timeout(60):
        await waiting
    with pytest.raises(LeaseLostError):
        await first.keep(store)


async def _changed(store: Any) -> None:
    revision = (await store.get("lease.plant")).revision
    while True:
        await asyncio.sleep(0.02)
        entry = await store.get("lease.plant")
        if entry.revision > revision or json.loads(entry.value)["instance"] != "a":
            return


async def test_a_process_that_starts_again_does_not_wait(log: Any) -> None:
    store = await bucket(LogWriter(log.client))
    killed, again = Lease("plant", "a", LONG), Lease("plant", "a", LONG)
    await killed.acquire(store)
    async with asyncio.timeout(60):
        await again.acquire(store)
    # But two at a time under one name are a mistake, and the older one says so.
    with pytest.raises(InstanceTakenError, match="HEADRACE_BRIDGE_INSTANCE"):
        await killed.acquire(store)


async def test_the_session_is_remembered(log: Any) -> None:
    store = await bucket(LogWriter(log.client))
    assert await StoredSession(store, "plant").read() is None
    session = SessionRecord("plant-1", ("spBv1.0/+/NDATA/#",))
    await StoredSession(store, "plant").write(session)
    assert await StoredSession(await bucket(LogWriter(log.client)), "plant").read() == session


async def test_the_one_on_standby_takes_the_session_over(log: Any, bridged: Any) -> None:
    async with bridged.at_plant() as plant:
        async with bridged.running(instance="a") as a:
            async with bridged.running(ready=False, instance="b") as b:
                await _publish(plant, 0, 100)
                assert [int(m.data) for m in await log.has(100)] == list(range(100))
                assert b.totals()["active"] == b.totals()["sessions_total"] == 0
                await _publish(plant, 100, 200)
            # It left without having been the active one.
            await _publish(plant, 200, 300)
            await log.has(300)
            assert a.totals()["sessions_lost_total"] == 0
        # Nobody is there; the broker keeps it.
        await _publish(plant, 300, 400)
        async with bridged.running(instance="b") as b:
            assert [int(m.data) for m in await log.has(400)] == list(range(400))
            # Whether a broker has taken a confirmation nobody tells; the log takes nothing twice.
            await bridged.eventually(lambda: b.totals()["messages_in_flight"] == 0)
            totals = b.totals()
            assert totals["messages_received_total"] - totals["messages_repeated_total"] == 100


async def test_one_that_does_not_reach_the_plant_makes_room(log: Any, bridged: Any) -> None:
    wrong = bridged.running(ready=False, instance="a", port=str(free_port()))
    async with wrong as a:
        await bridged.eventually(lambda: a.totals()["sessions_lost_total"])
        async with bridged.running(instance="b"), bridged.at_plant() as plant:
            await _publish(plant, 0, 10)
            assert [int(m.data) for m in await log.has(10)] == list(range(10))


async def test_a_shared_subscription_loses_nothing(log: Any, bridged: Any) -> None:
    async with bridged.at_plant() as plant:
        shared = {"share": "headrace", "ready": False}
        a_runs = bridged.running(instance="a", **shared)
        b_runs = bridged.running(instance="b", **shared)
        async with a_runs as a, b_runs as b:
            both = (a, b)
            await bridged.eventually(lambda: all(one.totals()["connected.up"] for one in both))
            await bridged.eventually(lambda: any(one.totals()["active"] for one in both))
            await _publish(plant, 0, 200)
            found = await log.has(200)
            assert sum(one.totals()["active"] for one in both) == 1
    assert sorted(int(m.data) for m in found) == list(range(200))
    shares = [one.totals()["messages_received_total"] for one in both]
    assert min(shares) > 0
    assert sum(shares) == 200


async def _publish(plant: Any, first: int, end: int) -> None:
    await asyncio.gather(*(plant.publish(DATA, b"%d" % n, qos=1) for n in range(first, end)))
