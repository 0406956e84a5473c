"""Hostile input: counted, findable among the dead letters, and the flow goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import nats
import numpy as np
import pytest

from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric
from stream_processor.v1.dead_letter_pb2 import DeadLetter, DeadLetterReason

Bad = Callable[[Any, Any], bytes]
HOUR_MS = 3_600_000


def now_ms() -> int:
    return int(time.time() * 1000)


BAD: dict[str, tuple[str, Bad]] = {
    "noise": ("UNDECODABLE", lambda p, n: b"\xff\xfe not protobuf"),
    "nothing": ("UNDECODABLE", lambda p, n: b""),
    "unknown alias": (
        "UNKNOWN_METRIC",
        lambda p, n: p.block(n, metrics=[Metric(alias=99, float_value=1.0)]),
    ),
    "unknown name": (
        "UNKNOWN_METRIC",
        lambda p, n: p.block(n, metrics=[Metric(name="Mood", float_value=1.0)]),
    ),
    "other datatype": (
        "WRONG_TYPE",
        lambda p, n: p.block(
            n,
            metrics=[Metric(alias=3, datatype=DataType.DATA_TYPE_STRING, string_value="hot")],
        ),
    ),
    "string for an array": (
        "WRONG_TYPE",
        lambda p, n: p.block(n, metrics=[Metric(alias=3, string_value="hot")]),
    ),
    "torn array": (
        "WRONG_TYPE",
        lambda p, n: p.block(n, metrics=[Metric(alias=3, bytes_value=b"1234567")]),
    ),
    "samples of tomorrow": (
        "TIME_IN_FUTURE",
        lambda p, n: p.block(n, start_ms=now_ms() + 24 * HOUR_MS),
    ),
    "sent tomorrow": ("TIME_IN_FUTURE", lambda p, n: p.block(n, sent_ms=now_ms() + 24 * HOUR_MS)),
    "samples of last week": (
        "TIME_TOO_OLD",
        lambda p, n: p.block(n, start_ms=now_ms() - 7 * 24 * HOUR_MS),
    ),
    "no samples' time": ("TIME_TOO_OLD", lambda p, n: p.block(n, start_ms=0)),
    "poison": ("STAGE_FAILED", lambda p, n: p.block(n, samples=[666.0])),
}


async def dead_letters(broker: Any) -> list[tuple[str, DeadLetter]]:
    connection = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    try:
        subscription = await connection.jetstream().subscribe(
            "deadletter.>", stream="DEADLETTER", ordered_consumer=True
        )
        found = []
        info = await connection.jetstream().stream_info("DEADLETTER")
        for _ in range(info.state.messages):
            message = await subscription.next_msg(timeout=5)
            found.append((message.subject, DeadLetter.FromString(message.data)))
        return found
    finally:
        await connection.close()


async def test_bad_blocks_are_dead_letters_and_the_flow_goes_on(
    agent: Any, processor: Any, maintenance: Any, broker: Any, payloads: Any, wait_until: Any
) -> None:
    agent.births()
    batch = 0
    sent: dict[str, bytes] = {}
    for name, (_, make) in BAD.items():
        batch += 1
        agent.block(batch)
        numbered = BAD[name][0] != "UNDECODABLE"
        batch += numbered
        sent[name] = make(payloads, batch)
        agent.send("DDATA", sent[name], "P-101")
    agent.send("DDATA", payloads.block(None), "P-101/extra")
    batch += 1
    agent.block(batch)
    wait_until(lambda: agent.acknowledged() == (1, batch), what=processor.tail)

    good = len(BAD) + 1
    assert len(maintenance.ids) == good
    assert maintenance.reported[-1].summary == str(good), "a failure changed the stage's state"
    letters = await dead_letters(broker)
    by_payload = {letter.payload: (subject, letter) for subject, letter in letters}
    for name, (reason, _) in BAD.items():
        subject, letter = by_payload[sent[name]]
        assert DeadLetterReason.Name(letter.reason) == f"DEAD_LETTER_REASON_{reason}", name
        assert subject == f"deadletter.{reason.lower()}.riverside.gateway-1"
        assert letter.topic == "spBv1.0/riverside/DDATA/gateway-1/P-101"
        assert letter.detail
        assert letter.log_sequence > 0
    assert len(letters) == len(BAD) + 1

    counters = processor.counters()
    assert counters["dead_letters"] == {
        "STAGE_FAILED": 1,
        "TIME_IN_FUTURE": 2,
        "TIME_TOO_OLD": 2,
        "UNDECODABLE": 2,
        "UNKNOWN_METRIC": 2,
        "UNKNOWN_TOPIC": 1,
        "WRONG_TYPE": 3,
    }
    assert counters["processed"] == good
    assert counters["lost"] == 0


def test_missing_and_infinite_samples_are_counted(
    agent: Any, processor: Any, wait_until: Any
) -> None:
    agent.births()
    agent.block(1, samples=[1.0, np.nan, np.inf, -np.inf])
    wait_until(lambda: agent.acknowledged() == (1, 1), what=processor.tail)
    counters = processor.counters()
    assert counters["infinite_samples"] == 2
    assert counters["missing_samples"] == 3
    assert counters["processed"] == 1


def test_blocks_out_of_order_and_twice_take_effect_once_in_order(
    agent: Any, processor: Any, maintenance: Any, wait_until: Any
) -> None:
    agent.births()
    start = now_ms()
    for batch in (1, 3, 3, 2, 5, 4, 1, 5):
        agent.block(batch, start_ms=start + batch)
    wait_until(lambda: agent.acknowledged() == (1, 5), what=processor.tail)
    assert [a.advisory_id.rpartition("-")[2] for a in maintenance.reported] == list("12345")
    wait_until(lambda: processor.counters()["duplicated"] == 3)
    assert processor.counters()["lost"] == 0


def test_a_gap_is_asked_for_and_closed(
    agent: Any, processor: Any, maintenance: Any, wait_until: Any
) -> None:
    agent.births()
    start = now_ms()
    for batch in (1, 2, 6, 7, 9):
        agent.block(batch, start_ms=start + batch)
    wait_until(lambda: agent.acknowledged() == (1, 2), what=processor.tail)
    wait_until(lambda: {(1, 3, 5), (1, 8, 8)} <= set(agent.resends()), what=processor.tail)
    for batch in (3, 4, 5, 8):
        agent.block(batch, start_ms=start + batch, historical=True)
    wait_until(lambda: agent.acknowledged() == (1, 9), what=processor.tail)
    assert [a.summary for a in maintenance.reported] == [str(n) for n in range(1, 10)]
    counters = processor.counters()
    assert (counters["gaps"], counters["lost"], counters["processed"]) == (2, 0, 9)


def test_an_unborn_device_is_asked_for_its_birth_and_its_data_kept(
    agent: Any, processor: Any, maintenance: Any, payloads: Any, wait_until: Any
) -> None:
    agent.block(1)
    agent.block(2)
    wait_until(lambda: agent.commands("Node Control/Rebirth"), what=processor.tail)
    agent.births()
    wait_until(lambda: agent.acknowledged() == (1, 2), what=processor.tail)
    assert len(maintenance.ids) == 2
    agent.send("DDATA", payloads.block(3), "P-999")
    agent.block(4)
    wait_until(lambda: len(maintenance.ids) == 3, what=processor.tail)
    assert agent.acknowledged() == (1, 2), "acknowledged what waits for a birth"


@pytest.mark.slow
async def test_data_without_a_birth_ends_among_the_dead_letters(
    agent: Any, processor: Any, maintenance: Any, broker: Any, payloads: Any, wait_until: Any
) -> None:
    agent.births()
    orphan = payloads.block(1)
    agent.send("DDATA", orphan, "P-999")
    agent.block(2)
    wait_until(lambda: agent.acknowledged() == (1, 2), what=processor.tail)
    assert len(agent.commands("Node Control/Rebirth")) == 1
    ((subject, letter),) = await dead_letters(broker)
    assert subject == "deadletter.no_birth.riverside.gateway-1"
    assert letter.payload == orphan
    assert maintenance.ids == {"riverside-P-101-1-2"}


async def test_a_refused_advisory_is_a_dead_letter(
    agent: Any, processor: Any, maintenance: Any, broker: Any, wait_until: Any
) -> None:
    import grpc

    maintenance.refuse = lambda advisory: (
        grpc.StatusCode.INVALID_ARGUMENT if advisory.summary == "2" else None
    )
    agent.births()
    for batch in (1, 2, 3):
        agent.block(batch)
    wait_until(lambda: agent.acknowledged() == (1, 3), what=processor.tail)
    assert [a.summary for a in maintenance.reported] == ["1", "3"]
    ((subject, letter),) = await dead_letters(broker)
    assert subject == "deadletter.rejected.riverside.gateway-1"
    assert "as the test said" in letter.detail
    assert processor.counters()["dead_letters"] == {"REJECTED": 1}
