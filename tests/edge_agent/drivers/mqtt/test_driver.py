"""The driver against a real broker: breaks, wills, floods, late and doubled messages, commands."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import aiomqtt
import numpy as np
import pytest

from edge_agent import drivers
from edge_agent.browsing import browse
from edge_agent.drivers.base import BAD, Block, WriteError
from edge_agent.drivers.mqtt.driver import MqttDriver
from edge_agent.settings import DriverTable
from headrace.broker import Broker

TAG = "P-101"
TIME = {"path": "t", "format": "ms"}


def options(broker: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "broker": broker,
        "block_s": 0.1,
        "settle_s": 0.1,
        "devices": [{"tag": TAG, "key": "pump"}],
        "subscriptions": [
            {
                "topic": "hall/pump",
                "time": TIME,
                "channels": [
                    {"name": "Pressure", "value": "p", "unit": "bar", "sample_rate_hz": 10.0},
                ],
            },
            {
                "topic": "hall/pump/wave",
                "time": TIME,
                "channels": [
                    {"name": "Wave", "value": "s", "waveform": True, "sample_rate_hz": 100.0}
                ],
            },
        ],
        "availability": [{"topic": "hall/+/state", "device": {"topic_level": 1}}],
        "commands": [
            {
                "name": "Rate",
                "unit": "%",
                "topic": "hall/${key}/set",
                "payload": '{"rate": ${value}, "by": "${device}"}',
                "scale": 100.0,
            }
        ],
        **more,
    }


def opened(broker: dict[str, Any], **more: Any) -> MqttDriver:
    driver = drivers.open_driver("mqtt", options(broker, **more))
    assert isinstance(driver, MqttDriver)
    return driver


def now_ms() -> int:
    return round(time.time() * 1000)


async def connected(driver: MqttDriver) -> None:
    async with asyncio.timeout(20):
        await driver._listener.connected.wait()


async def say(client: aiomqtt.Client, value: float, at_ms: int | None = None) -> None:
    payload = {"t": now_ms() if at_ms is None else at_ms, "p": value}
    await client.publish("hall/pump", json.dumps(payload), qos=1)


async def say_on(client: aiomqtt.Client, value: float) -> None:
    while True:
        await say(client, value)
        await asyncio.sleep(0.05)


async def test_values_and_waveforms_come_as_blocks(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options)
    taking = listening(driver)
    await connected(driver)
    start = now_ms()
    wave = [round(0.01 * i, 2) for i in range(20)]
    async with new_client() as client:
        await client.publish("hall/pump/wave", json.dumps({"t": start, "s": wave}), qos=1)
        await say(client, 4.5)
        await taking.until(lambda: "Wave" in {n for b in taking.blocks() for n in b.samples})
        await taking.until(lambda: len(taking.values("Pressure")) > 20)
    (block,) = [b for b in taking.blocks() if "Wave" in b.samples]
    assert block.start_time_ms == start
    np.testing.assert_allclose(block.samples["Wave"], wave, rtol=1e-6)
    assert set(taking.values("Pressure")) == {4.5}
    grid = [b for b in taking.blocks() if "Pressure" in b.samples]
    assert {b.start_time_ms % 100 for b in grid} == {0}
    starts = [b.start_time_ms for b in grid]
    assert starts == sorted(set(starts))
    (device,) = driver.devices()
    assert [(c.name, c.unit) for c in device.channels] == [("Pressure", "bar"), ("Wave", "1")]


async def test_the_broker_dies_and_comes_back(
    broker: Broker,
    broker_options: dict[str, Any],
    new_client: Callable[..., Any],
    listening: Callable[..., Any],
) -> None:
    driver = opened(broker_options)
    taking = listening(driver)
    for round_ in (1, 2):
        await connected(driver)
        async with new_client() as client:
            await say(client, float(round_))
            await taking.until(lambda r=round_: float(r) in taking.values("Pressure"))
            broker.kill()
        await taking.until(lambda r=round_: len(taking.lost) == r)
        assert taking.items[-1] is taking.lost[-1]
        broker.start()
    await connected(driver)
    async with new_client() as client:
        await say(client, 3.0)
        await taking.until(lambda: 3.0 in taking.values("Pressure"))
    last = max(i for i, item in enumerate(taking.items) if item is taking.lost[-1])
    # What was known before holds no longer.
    after = [b for b in taking.items[last + 1 :] if isinstance(b, Block)]
    assert 2.0 not in {float(x) for b in after for x in b.samples["Pressure"]}
    assert [lost.device for lost in taking.lost] == [TAG, TAG]


async def test_a_broker_that_is_not_there_is_lost_once(
    broker: Broker, broker_options: dict[str, Any], listening: Callable[..., Any]
) -> None:
    broker.stop()
    driver = opened(broker_options)
    taking = listening(driver)
    await taking.until(lambda: taking.lost)
    with pytest.raises(WriteError, match="P-101 Rate: "):
        await driver.write(TAG, "Rate", 50.0)
    broker.start()
    await connected(driver)
    assert len(taking.items) == 1


async def test_a_last_will_is_a_lost_device_and_a_retained_value_no_sign_of_life(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options)
    taking = listening(driver)
    await connected(driver)
    will = aiomqtt.Will("hall/pump/state", b"offline", qos=1, retain=True)
    device = new_client(will=will)
    await device.__aenter__()
    await device.publish("hall/pump", json.dumps({"t": now_ms(), "p": 7.0}), qos=1, retain=True)
    await taking.until(lambda: 7.0 in taking.values("Pressure"))
    # No farewell: the socket is closed under the client.
    device._client._sock_close()
    await taking.until(lambda: taking.lost)
    assert taking.lost[0].reason == "the device is offline"
    with pytest.raises(WriteError, match="offline"):
        await driver.write(TAG, "Rate", 50.0)

    second = listening(opened(broker_options))
    await second.until(lambda: second.lost)
    async with new_client() as client:
        await say(client, 8.0)
        await second.until(lambda: 8.0 in second.values("Pressure"))
    assert 7.0 not in second.values("Pressure")
    await asyncio.gather(device.__aexit__(None, None, None), return_exceptions=True)


async def test_a_malformed_flood_ends_nothing_and_is_said_once(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options)
    taking = listening(driver)
    await connected(driver)
    junk = [b"{", b"\xff", b'{"p": {}, "t": 1}', b"[]", b'{"t": "x", "p": 1}', b'{"p": "worth"}']
    async with new_client() as client:
        for _ in range(300):
            await asyncio.gather(*(client.publish("hall/pump", one, qos=0) for one in junk))
        await say(client, 9.0)
        await taking.until(lambda: 9.0 in taking.values("Pressure"))
    # `[]` says nothing and is nothing wrong.
    assert driver.complaints.count + driver._listener.dropped >= 300
    assert driver.complaints.count > 0
    assert driver.complaints.said == 1


async def test_the_order_of_messages_and_doubles_change_nothing(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options, settle_s=2.0)
    taking = listening(driver)
    await connected(driver)
    start = now_ms() // 100 * 100
    sent = [(start + 100 * i, float(i)) for i in range(10)]
    async with new_client() as client:
        for at, value in [sent[0], *reversed(sent), *sent[3:6]]:
            await say(client, value, at)
        await taking.until(lambda: 9.0 in taking.values("Pressure"))
    got = {
        b.start_time_ms: float(b.samples["Pressure"][0])
        for b in taking.blocks()
        if start <= b.start_time_ms <= sent[-1][0]
    }
    assert got == dict(sent)


async def test_what_is_too_late_is_counted_and_shifts_nothing(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options)
    taking = listening(driver)
    await connected(driver)
    async with new_client() as client:
        talking = asyncio.create_task(say_on(client, 1.0))
        await taking.until(lambda: len(taking.values("Pressure")) > 10)
        talking.cancel()
        await say(client, 99.0, taking.blocks()[-1].start_time_ms)
        await say(client, 2.0)
        await taking.until(lambda: 2.0 in taking.values("Pressure"))
    assert driver._feeds[TAG].late >= 1
    starts = [b.start_time_ms for b in taking.blocks()]
    assert starts == sorted(set(starts))


async def test_what_the_broker_kept_for_us_comes_with_its_own_time(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    kept = {**broker_options, "clean_session": False, "client_id": "gateway"}
    async with new_client(identifier="gateway", clean_session=False) as client:
        await client.subscribe("hall/pump", qos=1)
    start = now_ms() // 1000 * 1000 - 60_000
    async with new_client() as client:
        for i in range(20):
            await say(client, float(i), start + 100 * i)
        taking = listening(opened(kept))
        await taking.until(lambda: 19.0 in taking.values("Pressure"))
        past = await taking.until(lambda: [b for b in taking.blocks() if b.late])
    assert {b.start_time_ms: b.samples["Pressure"].tolist() for b in past} == {
        start + 100 * i: [float(i)] for i in range(20)
    }


async def test_silence_is_a_lost_device(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options, devices=[{"tag": TAG, "key": "pump", "silent_after_s": 0.5}])
    taking = listening(driver)
    await taking.until(lambda: taking.lost)
    await connected(driver)
    async with new_client() as client:
        await say(client, 1.0)
        await taking.until(lambda: taking.blocks())
        await taking.until(lambda: len(taking.lost) == 2)
    assert taking.lost[1].reason == "nothing heard for 0.5 s"


async def test_a_null_is_bad(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options)
    taking = listening(driver)
    await connected(driver)
    async with new_client() as client:
        await say(client, 1.0)
        await taking.until(lambda: taking.values("Pressure"))
        await client.publish("hall/pump", '{"p": null}', qos=1)
        bad = await taking.until(
            lambda: [b for b in taking.blocks()[2:] if b.quality == {"Pressure": BAD}]
        )
    assert np.isnan(bad[0].samples["Pressure"]).all()


async def test_a_command_is_a_message_of_its_template(
    broker_options: dict[str, Any], new_client: Callable[..., Any], listening: Callable[..., Any]
) -> None:
    driver = opened(broker_options)
    listening(driver)
    await connected(driver)
    assert driver.writable(TAG) == {"Rate": "%"}
    async with new_client() as client:
        await client.subscribe("hall/pump/set", qos=1)
        await driver.write(TAG, "Rate", 50.0)
        message = await anext(aiter(client.messages))
    assert json.loads(message.payload) == {"rate": 0.5, "by": TAG}
    with pytest.raises(WriteError, match="takes no 'Speed'"):
        await driver.write(TAG, "Speed", 1.0)


async def test_browse_lists_topics_paths_and_values(
    broker_options: dict[str, Any], new_client: Callable[..., Any]
) -> None:
    given = options(broker_options, browse_s=1.0, browse_topic="hall/#")
    async with new_client() as client:
        for topic, payload in (
            ("hall/a", b'{"t": {"x": 1.5, "on": true}, "s": [1, 2]}'),
            ("hall/b", b"\xff running"),
            ("hall/c", b"21.5"),
            ("other", b"1"),
        ):
            await client.publish(topic, payload, qos=1, retain=True)
        (found,) = await browse([DriverTable(kind="mqtt", options=given)])
    assert found.error == ""
    assert [(p.address, p.kind, p.value) for p in found.points] == [
        ("hall/a t.x", "number", "1.5"),
        ("hall/a t.on", "boolean", "true"),
        ("hall/a s", "array of 2", "[1,2]"),
        ("hall/b", "text", "\\xff running"),
        ("hall/c", "number", "21.5"),
    ]


async def test_browsing_a_broker_that_is_not_there(
    broker: Broker, broker_options: dict[str, Any]
) -> None:
    broker.stop()
    (found,) = await browse([DriverTable(kind="mqtt", options=options(broker_options))])
    assert str(broker.mqtt_port) in found.error
