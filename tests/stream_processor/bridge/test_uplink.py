"""From the plant to the log: under the gateway's subjects, once, in order, confirmed late."""

from __future__ import annotations

import asyncio
from typing import Any

import paho.mqtt.client as paho
import pytest
from nats.js.api import StreamConfig
from paho.mqtt.enums import CallbackAPIVersion

from stream_processor.bridge.lease import StoredSession, bucket
from stream_processor.bridge.log_writer import LogWriter
from stream_processor.bridge.topics import message_id, subject_of
from stream_processor.v1 import dead_letter_pb2 as dl

SITE, NODE = "riverside", "gw-1"
DATA = f"spBv1.0/{SITE}/DDATA/{NODE}/P-101"
TOPICS = [
    f"spBv1.0/{SITE}/NBIRTH/{NODE}",
    f"spBv1.0/{SITE}/NDATA/{NODE}",
    f"spBv1.0/{SITE}/NDEATH/{NODE}",
    f"spBv1.0/{SITE}/DBIRTH/{NODE}/P-101",
    DATA,
    f"spBv1.0/{SITE}/DDEATH/{NODE}/P-101",
    f"headrace/report/{SITE}/{NODE}",
    f"headrace/outcome/{SITE}/{NODE}",
]


def total(metrics: Any, name: str) -> float:
    return float(metrics.totals()[name])


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_the_log_has_what_the_gateway_would_have_given_it(
    log: Any, bridged: Any, version: str
) -> None:
    async with bridged.at_cloud() as gateway:
        for topic in TOPICS:
            await gateway.publish(topic, b"said", qos=1)
    direct = await log.has(6), await log.has(2, "FLEET")
    for stream in ("TELEMETRY", "FLEET"):
        await log.jetstream.purge_stream(stream)

    async with bridged.running(mqtt_version=version), bridged.at_plant() as plant:
        for topic in TOPICS:
            await plant.publish(topic, b"said", qos=1)
        through = await log.has(6), await log.has(2, "FLEET")

    for one, other in zip(direct, through, strict=True):
        assert [(m.subject, m.data) for m in one] == [(m.subject, m.data) for m in other]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_every_quality_of_service_comes_once_and_in_order(
    log: Any, bridged: Any, version: str
) -> None:
    sent = [f"{n}".encode() for n in range(100)]
    async with bridged.running(mqtt_version=version) as metrics, bridged.at_plant() as plant:
        for qos in (0, 1, 2):
            await asyncio.gather(*(plant.publish(DATA, one, qos=qos) for one in sent))
            found = await log.has((qos + 1) * len(sent))
            assert [message.data for message in found[qos * len(sent) :]] == sent
        assert total(metrics, "messages_received_total") == 300
    assert total(metrics, "messages_acknowledged_total") == 200
    assert total(metrics, "messages_repeated_total") == 0


async def test_a_node_may_say_the_same_twice(log: Any, bridged: Any) -> None:
    async with bridged.running(), bridged.at_plant() as plant:
        for _ in range(3):
            await plant.publish(f"spBv1.0/{SITE}/NDEATH/{NODE}", b"same", qos=1)
            await plant.publish(f"spBv1.0/{SITE}/NBIRTH/{NODE}", b"same", qos=1)
        found = await log.has(6)
    assert [message.subject.split(".")[2] for message in found] == ["NDEATH", "NBIRTH"] * 3


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_the_log_did_not_confirm_is_delivered_again(
    broker: Any, log: Any, bridged: Any, version: str
) -> None:
    async with bridged.running(mqtt_version=version) as metrics, bridged.at_plant() as plant:
        await plant.publish(DATA, b"0", qos=1)
        await log.has(1)
        broker.kill()
        for n in range(1, 101):
            await plant.publish(DATA, f"{n}".encode(), qos=1)
        broker.start()
        await log.has(101)
        await plant.publish(DATA, b"101", qos=1)
        found = await log.has(102)
        assert [int(message.data) for message in found] == list(range(102))
        assert total(metrics, "sessions_lost_total") >= 1


async def test_a_message_delivered_again_is_not_stored_again(log: Any, bridged: Any) -> None:
    """A session that stored and did not confirm, as one that was killed in between."""
    async with bridged.running() as first, bridged.at_plant() as plant:
        await plant.publish(DATA, b"before", qos=1)
        await log.has(1)
        assert total(first, "messages_received_total") == 1

    unconfirmed = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id="headrace-bridge-plant",
        clean_session=False,
        manual_ack=True,
    )
    identifiers = asyncio.Queue[int]()
    loop = asyncio.get_running_loop()
    unconfirmed.on_message = lambda _c, _d, message: loop.call_soon_threadsafe(
        identifiers.put_nowait, message.mid
    )
    unconfirmed.connect("127.0.0.1", bridged.plant.port)
    unconfirmed.loop_start()
    async with bridged.at_plant() as plant:
        for n in range(10):
            await plant.publish(DATA, f"{n}".encode(), qos=1)
    held = [await asyncio.wait_for(identifiers.get(), 60) for _ in range(10)]
    unconfirmed.disconnect()
    unconfirmed.loop_stop()

    # What a bridge would have stored of them before it was killed, under the session's name.
    session = await StoredSession(await bucket(LogWriter(log.client)), "plant").read()
    for n, packet_id in list(enumerate(held))[:5]:
        known_as = message_id(session.name, packet_id, DATA, f"{n}".encode())
        await log.jetstream.publish(
            subject_of(DATA), f"{n}".encode(), headers={"Nats-Msg-Id": known_as}
        )
    async with bridged.running() as second, bridged.at_plant() as plant:
        await plant.publish(DATA, b"after", qos=1)
        found = await log.has(12)
        assert [m.data for m in found] == [b"before", *(b"%d" % n for n in range(10)), b"after"]
    assert total(second, "messages_repeated_total") == 5
    assert total(second, "messages_acknowledged_total") == 11


async def test_what_fits_no_topic_is_set_aside_and_confirmed(log: Any, bridged: Any) -> None:
    wrong = {
        f"spBv1.0/{SITE}/NDATA": b"no node",
        f"spBv1.0/{SITE}/DDATA/{NODE}": b"no device",
        f"{DATA}/deeper": b"too deep",
        f"spBv1.0/{SITE}/DDATA/{NODE}/P 101": b"a space",
        f"spBv1.0/{SITE}/DDATA/{NODE}/P.101": b"a dot",
        f"spBv1.0/{SITE}/DDATA/{NODE}/{'x' * 61}": b"too long",
        f"headrace/report/{SITE}": b"no node",
        f"spBv1.0/{'x' * 10_000}/NDATA/{NODE}": b"longer than a subject may be",
        f"spBv1.0//NDATA/{NODE}": b"nothing",
        "spBv1.0/a\u2028b/NDATA/c\u3000d": b"white space of another kind",
        "spBv1.0/*/NDATA/>": b"wildcards of NATS",
    }
    async with bridged.running() as metrics, bridged.at_plant() as plant:
        for topic, payload in wrong.items():
            await plant.publish(topic, payload, qos=1)
        await plant.publish(DATA, b"good", qos=1)
        (good,) = await log.has(1)
        letters = [
            dl.DeadLetter.FromString(m.data) for m in await log.has(len(wrong), "DEADLETTER")
        ]
    assert good.data == b"good"
    assert {letter.topic: letter.payload for letter in letters} == wrong
    assert {letter.reason for letter in letters} == {dl.DEAD_LETTER_REASON_UNKNOWN_TOPIC}
    assert all(letter.detail and letter.receive_time.seconds for letter in letters)
    assert total(metrics, "dead_letters_total.UNKNOWN_TOPIC") == len(wrong)
    assert total(metrics, "messages_acknowledged_total") == len(wrong) + 1


async def test_what_is_too_large_for_the_log_is_set_aside(log: Any, bridged: Any) -> None:
    large = bytes(log.client.max_payload)
    async with bridged.running(), bridged.at_plant() as plant:
        await plant.publish(DATA, large, qos=1)
        await plant.publish(DATA, b"small", qos=1)
        (stored,) = await log.has(1)
        (message,) = await log.has(1, "DEADLETTER")
    letter = dl.DeadLetter.FromString(message.data)
    assert stored.data == b"small"
    assert letter.reason == dl.DEAD_LETTER_REASON_UNDECODABLE
    assert str(len(large)) in letter.detail
    assert 0 < len(letter.payload) < len(large)


async def test_retained_messages_are_no_news(log: Any, bridged: Any) -> None:
    async with bridged.at_plant() as plant:
        await plant.publish(DATA, b"of last year", qos=1, retain=True)
        async with bridged.running(mqtt_version="3.1.1") as metrics:
            await plant.publish(DATA, b"retained and new", qos=1, retain=True)
            (found,) = await log.has(1)
            assert total(metrics, "messages_retained_total") == 1
        assert found.data == b"retained and new"


async def test_only_the_sites_that_are_wanted(log: Any, bridged: Any) -> None:
    async with bridged.running(sites="north,south"), bridged.at_plant() as plant:
        for site in ("north", "east", "south"):
            await plant.publish(f"spBv1.0/{site}/NDATA/{NODE}", site.encode(), qos=1)
            await plant.publish(f"headrace/report/{site}/{NODE}", site.encode(), qos=1)
        assert [m.data for m in await log.has(2)] == [b"north", b"south"]
        assert [m.data for m in await log.has(2, "FLEET")] == [b"north", b"south"]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_site_that_is_wanted_no_longer(log: Any, bridged: Any, version: str) -> None:
    async with bridged.at_plant() as plant:
        async with bridged.running(mqtt_version=version):
            await plant.publish(f"spBv1.0/east/NDATA/{NODE}", b"of before", qos=1)
            await log.has(1)
        async with bridged.running(sites="north", mqtt_version=version) as metrics:
            await plant.publish(f"spBv1.0/east/NDATA/{NODE}", b"nobody hears it", qos=1)
            await plant.publish(f"spBv1.0/north/NDATA/{NODE}", b"north", qos=1)
            assert [m.data for m in await log.has(2)] == [b"of before", b"north"]
            assert total(metrics, "messages_received_total") == 1


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_broker_that_does_not_wait_is_made_to(
    log: Any, bridged: Any, mosquitto: Any, version: str
) -> None:
    mosquitto.kill()
    mosquitto.lines = "max_inflight_messages 0\nmax_queued_messages 0\n"
    mosquitto.start()
    most = 0.0
    async with bridged.running(mqtt_version=version, in_flight="4") as metrics:
        async with bridged.at_plant() as plant:
            for start in range(0, 400, 50):
                burst = (
                    plant.publish(DATA, b"%d" % n, qos=n % 2) for n in range(start, start + 50)
                )
                await asyncio.gather(*burst)
                most = max(most, total(metrics, "messages_in_flight"))
            found = await log.has(400)
        # One more than twice as many makes reading wait.
        assert most <= 9
    assert sorted(int(m.data) for m in found) == list(range(400))


async def test_nothing_is_taken_before_there_are_streams(
    log: Any, bridged: Any, mosquitto: Any
) -> None:
    await log.jetstream.delete_stream("FLEET")
    async with bridged.running(ready=False) as metrics, bridged.at_plant() as plant:
        await bridged.eventually(lambda: total(metrics, "sessions_lost_total") >= 2)
        assert total(metrics, "sessions_total") == 0
        await log.jetstream.add_stream(
            StreamConfig(name="FLEET", subjects=["headrace.report.>", "headrace.outcome.>"])
        )
        await bridged.eventually(lambda: total(metrics, "connected.up"))
        await plant.publish(DATA, b"now", qos=1)
        (found,) = await log.has(1)
        assert found.data == b"now"
