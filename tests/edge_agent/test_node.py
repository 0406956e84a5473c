"""An edge node as the broker and the cloud see it, kills included."""

from __future__ import annotations

import json
import sqlite3
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edge_agent.v1.sparkplug_b_pb2 import DataType
from headrace.broker import Broker


async def test_births_declare_what_data_then_names_by_alias(cloud: Any, agents: Any) -> None:
    agents.start(machines=["C-1", "C-2"], count=3)
    await cloud.until(lambda: len(cloud.data()) == 6)

    birth, *births = cloud.heard[:3]
    assert [(h.kind, h.device) for h in (birth, *births)] == [
        ("NBIRTH", ""),
        ("DBIRTH", "C-1"),
        ("DBIRTH", "C-2"),
    ]
    assert birth.value("Headrace/First Batch") == 1
    assert birth.metric("Node Control/Rebirth").boolean_value is False
    first = births[0]
    assert first.metric("Equipment/Class").string_value == "counter"
    assert first.metric("Equipment/Clock").string_value == "simulated"
    assert first.metric("Equipment/Nominal Speed").double_value == 24.5
    assert first.metric("Equipment/Vane Count").int_value == 7
    assert first.metric("Edge/Model").string_value == ""
    vibration = first.metric("Vibration")
    assert vibration.datatype == DataType.DATA_TYPE_FLOAT_ARRAY
    properties = dict(zip(vibration.properties.keys, vibration.properties.values, strict=True))
    assert properties["engUnit"].string_value == "m/s2"
    assert properties["sampleRate"].double_value == 8.0
    assert properties["quantity"].string_value == "acceleration"
    assert properties["location"].string_value == "drive_end"

    aliases = [m.alias for h in cloud.heard[:3] for m in h.payload.metrics if m.HasField("alias")]
    assert len(aliases) == len(set(aliases))
    names = {
        (h.device, m.alias): m.name
        for h in births
        for m in h.payload.metrics
        if m.HasField("alias")
    }
    for place, message in enumerate(cloud.data()):
        n = place // 2 + 1
        values = {
            names[message.device, m.alias]: np.frombuffer(m.bytes_value, "<f4").tolist()
            for m in message.payload.metrics
            if not m.name
        }
        assert values == {"Vibration": [n] * 8, "Temperature": [n]}
        assert not message.historical
    assert [h.key[1] for h in cloud.data()] == [1, 2, 3, 4, 5, 6]
    assert {h.key[0] for h in cloud.data()} == {birth.value("Headrace/Boot Epoch")}
    sequences = [h.payload.seq for h in cloud.heard]
    assert sequences[0] == 0
    assert all(b == (a + 1) % 256 for a, b in pairwise(sequences))


async def test_a_command_brings_births_anew(cloud: Any, agents: Any) -> None:
    agents.start(count=2)
    await cloud.until(lambda: len(cloud.data()) == 2)

    await cloud.rebirth()

    await cloud.until(lambda: len(cloud.of("DBIRTH")) == 2)
    before, after = cloud.of("NBIRTH")
    assert after.payload.seq == 0
    assert after.value("bdSeq") == before.value("bdSeq")
    assert cloud.heard[-1].payload.seq == 1


async def test_what_is_no_command_changes_nothing(cloud: Any, agents: Any) -> None:
    agents.start(count=2)
    await cloud.until(lambda: len(cloud.data()) == 2)
    where = "spBv1.0/riverside/NCMD/gw-1"

    await cloud.say(where, b"\xff\xff\xff")
    await cloud.say(where, b"")
    await cloud.say("headrace/ack/riverside/gw-1", b"\xff\xff\xff")
    await cloud.acknowledge(2**64 - 1, 2**64 - 1)
    await cloud.resend(2**64 - 1, 0, 2**64 - 1)
    await cloud.acknowledge(cloud.data()[0].key[0], 10**6)

    epoch = cloud.data()[0].key[0]
    await cloud.resend(epoch, 1, 2)
    await cloud.until(lambda: len(cloud.data()) == 4)
    assert [h.key[1] for h in cloud.data()] == [1, 2, 1, 2]


async def test_the_will_carries_the_number_of_the_birth(cloud: Any, agents: Any) -> None:
    for turn in (1, 2):
        agent = agents.start(count=1)
        await cloud.until(lambda turn=turn: len(cloud.of("DBIRTH")) == turn)
        await agent.kill()
        await cloud.until(lambda turn=turn: len(cloud.of("NDEATH")) == turn)

    births, deaths = cloud.of("NBIRTH"), cloud.of("NDEATH")
    assert [d.value("bdSeq") for d in deaths] == [b.value("bdSeq") for b in births]
    assert births[1].value("bdSeq") == births[0].value("bdSeq") + 1
    assert not deaths[0].payload.HasField("seq")


async def test_a_stop_says_farewell_and_is_no_failure(cloud: Any, agents: Any) -> None:
    agent = agents.start(count=3)
    await cloud.until(lambda: len(cloud.data()) == 3)

    agent.process.terminate()

    assert await agent.wait() == 0
    await cloud.until(lambda: cloud.of("NDEATH"))
    assert cloud.of("NDEATH")[0].value("bdSeq") == cloud.of("NBIRTH")[0].value("bdSeq")


async def test_a_stop_without_a_broker_ends(broker: Broker, cloud: Any, agents: Any) -> None:
    agent = agents.start(count=3)
    await cloud.until(lambda: len(cloud.data()) == 3)
    broker.kill()

    agent.process.terminate()

    assert await agent.wait() == 0


async def test_acknowledged_is_deleted_and_the_rest_is_not(cloud: Any, agents: Any) -> None:
    agent = agents.start("--until-drained", count=6)
    await cloud.until(lambda: len(cloud.data()) == 6)
    epoch = cloud.data()[0].key[0]

    await cloud.acknowledge(epoch, 4)
    await cloud.acknowledge(epoch - 1, 6)
    # What is no longer there does not come again.
    await cloud.rebirth()
    await cloud.until(lambda: len(cloud.of("NBIRTH")) == 2)
    assert cloud.of("NBIRTH")[1].value("Headrace/First Batch") == 5
    await cloud.resend(epoch, 2, 6)
    await cloud.until(lambda: len(cloud.data()) == 8)
    assert [(h.key[1], h.historical) for h in cloud.data()[6:]] == [(5, True), (6, True)]

    await cloud.acknowledge(epoch, 6)
    assert await agent.wait() == 0
    counts = json.loads(agent.output())
    assert counts == {
        "sent": 6, "acknowledged": 6, "dropped": 0, "resent": 2, "scored": 0, "depth": 0,
    }  # fmt: skip


async def test_a_source_that_can_wait_does(cloud: Any, agents: Any) -> None:
    agents.start("--until-drained", lines="max_unacknowledged = 4", count=10)
    await cloud.until(lambda: len(cloud.data()) == 4)
    epoch = cloud.data()[0].key[0]

    await cloud.acknowledge(epoch, 3)
    await cloud.until(lambda: len(cloud.data()) == 7)
    # A command is answered after what was on its way: nothing more is.
    await cloud.rebirth()
    await cloud.until(lambda: len(cloud.of("DBIRTH")) == 2)
    assert len(cloud.data()) == 7


async def test_no_batch_is_lost_when_the_broker_dies(
    broker: Broker, cloud: Any, agents: Any
) -> None:
    cloud.acknowledging = True
    agent = agents.start("--until-drained", machines=["C-1", "C-2"], count=150, pace_hz=40)
    for turn in (1, 2):
        # Both know each other again, and the next batches are on their way.
        await cloud.until(lambda turn=turn: len(cloud.of("NBIRTH")) == turn)
        seen = len(cloud.data())
        await cloud.until(lambda seen=seen: len(cloud.data()) >= seen + 20)
        broker.kill()
        await cloud.until(lambda: cloud.client is None)
        broker.start()
        await cloud.until(lambda: cloud.client is not None)
        # What the broker forgot of the acknowledgements is said again.
        for epoch, number in list(cloud.said.items()):
            await cloud.acknowledge(epoch, number)
    await cloud.until(lambda: 300 in next(iter(cloud.numbers.values()), ()))

    assert await agent.wait() == 0, agent.log.read_text()
    counts = json.loads(agent.output())
    assert (counts["sent"], counts["acknowledged"], counts["depth"]) == (300, 300, 0)
    assert [sorted(numbers) for numbers in cloud.numbers.values()] == [list(range(1, 301))]
    content: dict[tuple[int, int], set[bytes]] = {}
    for message in cloud.data():
        content.setdefault(message.key, set()).add(message.payload.metrics[-1].bytes_value)
    assert all(len(versions) == 1 for versions in content.values())
    assert len(cloud.of("NBIRTH")) == 3


async def test_a_killed_agent_sends_again_under_its_old_epoch(cloud: Any, agents: Any) -> None:
    agent = agents.start(count=5)
    await cloud.until(lambda: len(cloud.data()) == 5)
    old = cloud.data()[0].key[0]
    await cloud.acknowledge(old, 2)
    await cloud.rebirth()
    await cloud.until(lambda: len(cloud.of("DBIRTH")) == 2)
    await agent.kill()
    seen = len(cloud.heard)

    agent = agents.start("--until-drained", count=2)
    await cloud.until(lambda: len(cloud.data()) >= 10)

    new = cloud.of("NBIRTH")[-1].value("Headrace/Boot Epoch")
    assert new > old
    again = [h for h in cloud.heard[seen:] if h.kind == "DDATA"]
    assert [(h.key, h.historical) for h in again] == [
        ((old, 3), True),
        ((old, 4), True),
        ((old, 5), True),
        ((new, 1), False),
        ((new, 2), False),
    ]
    await cloud.acknowledge(new, 2)
    await cloud.acknowledge(old, 5)
    assert await agent.wait() == 0


async def test_a_driver_that_fails_ends_the_agent_and_buries_its_machines(
    cloud: Any, agents: Any
) -> None:
    # Slow enough that the session stands when it fails.
    agent = agents.start(machines=["C-1", "C-2"], count=9, fail_after=6, pace_hz=6)

    assert await agent.wait() == 1
    assert "error: ConnectionError: the wire was cut" in agent.log.read_text()
    await cloud.until(lambda: cloud.of("NDEATH"))
    assert [h.device for h in cloud.of("DDEATH")] == ["C-1", "C-2"]
    with sqlite3.connect(agents.spool) as spool:
        assert spool.execute("SELECT count(*) FROM batch").fetchone() == (12,)


async def test_a_machine_that_was_never_declared_is_an_error(agents: Any) -> None:
    agent = agents.start(count=1, stray="C-9")

    assert await agent.wait() == 1
    assert "a block of 'C-9' came, but the devices are C-1" in agent.log.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"machines": ["C-1", "C-1"]}, "two devices have the tag 'C-1'"),
        ({"machines": ["C/1"]}, "device: 'C/1' may not be empty nor hold"),
        ({"amount": 3}, "options: counting_driver:create: amount: no such option"),
    ],
)
async def test_what_cannot_start_says_why(agents: Any, options: Any, said: str) -> None:
    agent = agents.start(**options)

    assert await agent.wait() == 2
    assert f"error: {said}" in agent.log.read_text() or said in agent.log.read_text()


async def test_a_second_agent_leaves_the_first_one_its_spool(cloud: Any, agents: Any) -> None:
    agents.start(count=3)
    await cloud.until(lambda: len(cloud.data()) == 3)

    second = agents.start(count=3)

    assert await second.wait() == 2
    assert "is another agent of this node running?" in second.log.read_text()
    await cloud.resend(cloud.data()[0].key[0], 1, 3)
    await cloud.until(lambda: len(cloud.data()) == 6)


async def test_health_is_a_batch_like_any_other(cloud: Any, agents: Any) -> None:
    agents.start(lines="health_interval_s = 0.2", count=2)
    await cloud.until(lambda: len(cloud.of("NDATA")) >= 2)

    names = {m.alias: m.name for m in cloud.of("NBIRTH")[0].payload.metrics if m.HasField("alias")}
    first, second = cloud.of("NDATA")[:2]
    assert second.key[1] > first.key[1]
    values = {names[m.alias]: m.double_value for m in second.payload.metrics if not m.name}
    assert values["Edge/Spool Depth"] >= 3
    assert values["Edge/Batches Dropped"] == 0
    assert values["Edge/Peak Memory"] > 0
