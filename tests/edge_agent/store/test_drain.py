"""What the broker hears of a spool that dropped batches: the rest in order, and what is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from headrace.broker import Broker


def lost(message: Any) -> list[tuple[int, int]]:
    """Return the ranges that an NDATA says are lost, none of the agent's health."""
    for metric in message.payload.metrics:
        if metric.name == "Headrace/Lost":
            pairs = np.frombuffer(metric.bytes_value, "<u8").reshape(-1, 2)
            return [(int(first), int(last)) for first, last in pairs]
    return []


async def test_what_is_asked_for_and_gone_is_told(cloud: Any, agents: Any) -> None:
    agents.start(count=6)
    await cloud.until(lambda: len(cloud.data()) == 6)
    epoch = cloud.data()[0].key[0]
    await cloud.acknowledge(epoch, 4)

    await cloud.resend(epoch, 2, 99)
    await cloud.until(lambda: cloud.of("NDATA"))

    assert [h.key[1] for h in cloud.data()[6:]] == [5, 6]
    (told,) = cloud.of("NDATA")
    assert (told.key, told.historical, lost(told)) == ((epoch, 2), True, [(2, 4)])
    assert cloud.of("NBIRTH")[0].metric("Headrace/Lost").is_null


async def test_dropped_batches_are_told_in_their_place(
    broker: Broker, cloud: Any, agents: Any
) -> None:
    broker.kill()
    await cloud.until(lambda: cloud.client is None)
    count = 3000
    agent = agents.start(
        lines="max_unacknowledged = 1_000_000\nhealth_interval_s = 0.05\n"
        "spool = { max_bytes = 262_144 }",
        count=count,
    )
    while '"sources ended"' not in agent.log.read_text():
        assert agent.process.poll() is None
        await asyncio.sleep(0.05)
    broker.start()
    await cloud.until(
        lambda: cloud.data() and cloud.data()[-1].payload.metrics[-1].bytes_value
        == np.full(1, count, "<f4").tobytes()
    )  # fmt: skip

    birth = next(h for h in cloud.heard if h.kind == "NBIRTH")
    passed, came, gone = 0, [], set()
    for message in cloud.heard[cloud.heard.index(birth) :]:
        if message.kind not in ("NDATA", "DDATA"):
            continue
        number = message.key[1]
        assert number > passed, "out of order"
        passed = number
        if ranges := lost(message):
            gone |= {n for first, last in ranges for n in range(first, last + 1)}
        else:
            came.append(number)
    assert gone
    assert gone.isdisjoint(came)
    whole = {*came, *gone}
    assert set(range(1, max(came) + 1)) == {n for n in whole if n <= max(came)}
    # Those of a kind that goes first went first: of the old ones only data is left.
    assert birth.value("Headrace/First Batch") == 1
    dropped = birth.metric("Edge/Batches Dropped").double_value
    kinds = [birth.metric(f"Edge/Dropped/{k}").double_value for k in ("Health", "Data", "Alarm")]
    assert dropped == sum(kinds) == birth.metric("Edge/Dropped For/Size").double_value > 0
    assert kinds[2] == 0
