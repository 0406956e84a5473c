"""Breaks: short ones lose nothing, long ones are told, and a server may come back another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Lost


def devices(uri: str, *names: str) -> list[dict[str, Any]]:
    return [
        {
            "tag": "P",
            "points": [
                {"name": name, "node": f"nsu={uri};s={name}", "sample_rate_hz": 10.0}
                for name in names
            ],
        }
    ]


def has(name: str, value: float) -> Callable[[Block | Lost], bool]:
    def wanted(item: Block | Lost) -> bool:
        return isinstance(item, Block) and value in item.samples.get(name, ())

    return wanted


async def happened(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.02)


def is_lost(item: Block | Lost) -> bool:
    return isinstance(item, Lost)


async def test_what_changes_during_a_short_break_comes_after_it(
    house: Any, wire: Any, taking: Any
) -> None:
    uri = "urn:short-break"
    await house.do(house.add(uri, "Flow", 0.0))
    run = taking(
        f"opc.tcp://127.0.0.1:{wire.port}/house/", lost_after_s=20, devices=devices(uri, "Flow")
    )
    last = await run.until(has("Flow", 0.0))
    first_ms = last.start_time_ms + last.samples["Flow"].size * 100

    wire.cut()
    # Ten values a tenth of a second apart, while nobody listens.
    began_ms = -(-int(time.time() * 1000) // 100) * 100
    for i in range(1, 11):
        await house.do(house.say(uri, "Flow", float(i), began_ms + i * 100))
    await asyncio.sleep(1.2)
    wire.mend()

    blocks: list[Block] = []
    while not blocks or blocks[-1].samples["Flow"][-1] < 10.0:
        item = await run.take()
        assert isinstance(item, Block), "a break that is over soon is not told"
        blocks.append(item)
    samples = {b.start_time_ms: float(b.samples["Flow"][0]) for b in blocks}
    # No block is missing, and every value is in its place.
    assert list(samples) == [first_ms + i * 100 for i in range(len(samples))]
    for i in range(1, 11):
        assert samples[began_ms + i * 100] == float(i)
    assert wire.made > 1


async def test_a_long_break_is_told_once_and_its_values_still_come(
    house: Any, wire: Any, taking: Any
) -> None:
    uri = "urn:long-break"
    await house.do(house.add(uri, "Flow", 0.0))
    # Longer too than the silence after which a subscription counts as dead.
    run = taking(
        f"opc.tcp://127.0.0.1:{wire.port}/house/",
        request_timeout_s=1,
        devices=devices(uri, "Flow"),
    )
    await run.until(has("Flow", 0.0))

    wire.cut()
    lost = await run.until(is_lost)
    assert isinstance(lost, Lost)
    assert lost.device == "P"
    assert lost.reason
    await house.do(house.say(uri, "Flow", 5.0, time.time() * 1000))
    await house.do(house.say(uri, "Flow", 6.0, time.time() * 1000 + 500))
    await asyncio.sleep(1.5)
    wire.mend()

    seen: list[float] = []
    while not seen or seen[-1] != 6.0:
        item = await run.take()
        assert isinstance(item, Block), "it is told once"
        seen += item.samples["Flow"].tolist()
    assert 5.0 in seen


async def test_a_connection_that_says_nothing_is_given_up(
    house: Any, wire: Any, taking: Any
) -> None:
    uri = "urn:deaf"
    await house.do(house.add(uri, "Flow", 0.0))
    run = taking(
        f"opc.tcp://127.0.0.1:{wire.port}/house/",
        request_timeout_s=0.5,
        devices=devices(uri, "Flow"),
    )
    await run.until(has("Flow", 0.0))

    wire.deaf = True
    lost = await run.until(is_lost)
    assert "does not answer" in lost.reason or "no answer" in lost.reason
    wire.cut()
    wire.mend()
    await house.do(house.say(uri, "Flow", 1.0, time.time() * 1000))

    await run.until(has("Flow", 1.0))


async def test_a_server_that_numbers_its_namespaces_anew_gives_the_same_nodes(
    house: Any, taking: Any
) -> None:
    ours, other = "urn:reordered", "urn:reordered-other"
    await house.do(house.add(ours, "Flow", 1.0))
    await house.do(house.add(other, "Flow", 100.0))
    before = await house.do(house.server.get_namespace_index(ours))
    run = taking(house.url, devices=devices(ours, "Flow"))
    await run.until(has("Flow", 1.0))

    # Other tests' namespaces may have come before; ours gets another place in any case.
    await house.do(house.restart([ours, other] if before > 2 else [other, ours]))
    after = await house.do(house.server.get_namespace_index(ours))
    assert before != after
    lost = await run.until(is_lost)
    assert isinstance(lost, Lost)
    block = await run.until(lambda item: isinstance(item, Block) and not item.quality)
    assert isinstance(block, Block)
    assert block.samples["Flow"].tolist() == [1.0]
    await house.do(house.say(other, "Flow", 101.0, time.time() * 1000))
    await house.do(house.say(ours, "Flow", 2.0, time.time() * 1000))

    seen: list[float] = []
    while 2.0 not in seen:
        item = await run.take()
        assert isinstance(item, Block)
        seen += item.samples["Flow"].tolist()
    assert set(seen) == {1.0, 2.0}


async def test_a_server_that_is_not_there_yet_is_lost_until_it_is(
    house: Any, wire: Any, taking: Any
) -> None:
    uri = "urn:late"
    await house.do(house.add(uri, "Flow", 3.0))
    wire.is_whole = False
    run = taking(f"opc.tcp://127.0.0.1:{wire.port}/house/", devices=devices(uri, "Flow"))

    assert isinstance(await run.take(), Lost)
    wire.mend()
    block = await run.take()

    assert isinstance(block, Block)
    assert np.isin(3.0, block.samples["Flow"]) or block.quality


async def test_what_was_sent_into_a_broken_connection_is_asked_for_again(
    house: Any, wire: Any, taking: Any
) -> None:
    uri = "urn:swallowed"
    await house.do(house.add(uri, "Flow", 0.0))
    run = taking(
        f"opc.tcp://127.0.0.1:{wire.port}/house/",
        lost_after_s=20,
        keep_alive_s=1.0,
        devices=devices(uri, "Flow"),
    )
    await run.until(has("Flow", 0.0))
    (subscription,) = [
        s
        for s in house.server.iserver.subscription_service.subscriptions.values()
        if s.monitored_item_srv._monitored_items
    ]

    wire.deaf = True
    began_ms = -(-int(time.time() * 1000) // 100) * 100
    await house.do(house.say(uri, "Flow", 1.0, began_ms + 100))
    # The server has sent it, and nobody has acknowledged it.
    await happened(lambda: bool(subscription._not_acknowledged_results))
    await house.do(house.say(uri, "Flow", 2.0, began_ms + 300))
    wire.cut()
    wire.mend()

    seen: dict[int, float] = {}
    while 2.0 not in seen.values():
        item = await run.take()
        assert isinstance(item, Block)
        seen[item.start_time_ms] = float(item.samples["Flow"][0])
    assert seen[began_ms + 100] == seen[began_ms + 200] == 1.0


async def test_a_session_that_the_server_let_go_is_told_and_made_anew(
    house: Any, wire: Any, taking: Any
) -> None:
    uri = "urn:let-go"
    await house.do(house.add(uri, "Flow", 0.0))
    run = taking(
        f"opc.tcp://127.0.0.1:{wire.port}/house/",
        lost_after_s=20,
        session_timeout_s=0.5,
        devices=devices(uri, "Flow"),
    )
    await run.until(has("Flow", 0.0))
    wire.cut()
    await happened(lambda: not house.server.iserver._external_sessions)
    await house.do(house.say(uri, "Flow", 4.0, time.time() * 1000))
    wire.mend()

    lost = await run.until(is_lost)
    assert isinstance(lost, Lost)
    assert "forgot the session" in lost.reason
    await run.until(has("Flow", 4.0))
