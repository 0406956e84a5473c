"""The plant as JSON devices, heard by a plain client and by the driver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiomqtt
import numpy as np
import pytest

from edge_agent import drivers
from edge_agent.cancellation import end
from edge_agent.drivers.base import Block
from firmware_sim.driver import DriverOptions, PlantDriver
from firmware_sim.servers.base import LivePlant, Now, is_slow
from firmware_sim.servers.mqtt import key_of, serve, waveform_payload
from headrace.broker import Broker

TAG = "P-101"


def live_plant() -> LivePlant:
    return LivePlant(PlantDriver(DriverOptions(speed=1.0, machines=(TAG,), vibration_interval_s=1)))


@pytest.fixture
async def serving(broker: Broker) -> AsyncIterator[Callable[[LivePlant], None]]:
    tasks: list[asyncio.Task[None]] = []

    def start(plant: LivePlant) -> None:
        where = (broker.host, broker.mqtt_port)
        said = serve(plant, *where, user=broker.user, password=broker.password)
        tasks.append(asyncio.create_task(said))

    yield start
    if tasks:
        await end(*tasks, again_s=5.0)


def client_of(broker: Broker) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host, broker.mqtt_port, username=broker.user, password=broker.password
    )


async def test_a_machine_says_flat_json_waveforms_and_that_it_is_there(
    broker: Broker, serving: Callable[[LivePlant], None]
) -> None:
    plant = live_plant()
    said: dict[int, Now] = {}

    async def remember(now: Now) -> None:
        said[now.sequence] = now

    plant.listen(remember)
    heard: dict[str, Any] = {}
    async with asyncio.timeout(30), client_of(broker) as client:
        await client.subscribe("plant/#", qos=1)
        serving(plant)
        async for message in client.messages:
            heard[str(message.topic)] = message.payload
            if len(heard) == 3:
                break
    assert heard[f"plant/{TAG}/availability"] == b"online"
    values = json.loads(heard[f"plant/{TAG}"])
    now = said[values.pop("sequence")]
    assert values.pop("time") == now.time_ms
    assert values == {key_of(n): pytest.approx(v, abs=1e-6) for n, v in now.slow.items()}
    wave = json.loads(heard[f"plant/{TAG}/waveform"])
    now = said[wave["sequence"]]
    names = {key_of(name): name for name in now.waveforms}
    (channel,) = wave["channels"]
    np.testing.assert_allclose(
        channel["samples"], now.waveforms[names[channel["name"]]], atol=0.51e-4
    )


async def test_a_machine_takes_its_set_point_and_refuses_nonsense(
    broker: Broker, serving: Callable[[LivePlant], None]
) -> None:
    plant = live_plant()
    ran, taken = asyncio.Event(), asyncio.Event()

    async def watch(_: Now) -> None:
        ran.set()
        if plant.setpoints(TAG)[0].value == 80.0:
            taken.set()

    plant.listen(watch)
    async with asyncio.timeout(30), client_of(broker) as client:
        await client.subscribe(f"plant/{TAG}/availability", qos=1)
        serving(plant)
        assert (await anext(aiter(client.messages))).payload == b"online"
        await ran.wait()
        for payload in ("{", "[]", '{"rate_setpoint": "fast"}', '{"rate_setpoint": 1e9}'):
            await client.publish(f"plant/{TAG}/set", payload, qos=1)
        await client.publish(f"plant/{TAG}/set", '{"rate_setpoint": 80}', qos=1)
        await taken.wait()


async def test_the_driver_hears_what_the_plant_says(
    broker: Broker,
    serving: Callable[[LivePlant], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEVICES_PASSWORD", broker.password)
    plant = live_plant()
    device = plant.devices[TAG]
    slow = [c for c in device.channels if is_slow(c)]
    fast = [c for c in device.channels if not is_slow(c)]
    time = {"path": "time", "format": "ms"}
    driver = drivers.open_driver(
        "mqtt",
        {
            "broker": {
                "host": broker.host,
                "port": broker.mqtt_port,
                "user": broker.user,
                "password_env": "DEVICES_PASSWORD",
            },
            "devices": [{"tag": TAG}],
            "subscriptions": [
                {
                    "topic": "plant/+",
                    "time": time,
                    "device": {"topic_level": 1},
                    "channels": [
                        {"name": c.name, "value": key_of(c.name), "unit": c.unit} for c in slow
                    ],
                },
                {
                    "topic": "plant/+/waveform",
                    "time": time,
                    "device": {"topic_level": 1},
                    "channels": [
                        {
                            "name": c.name,
                            "value": "channels[0].samples",
                            "where": {"channels[0].name": key_of(c.name)},
                            "waveform": True,
                            "sample_rate_hz": c.sample_rate_hz,
                        }
                        for c in fast
                    ],
                },
            ],
        },
    )
    said: dict[int, Now] = {}

    async def remember(now: Now) -> None:
        said[now.block.start_time_ms] = now

    plant.listen(remember)
    serving(plant)
    waves: list[Block] = []
    values: set[np.float32] = set()
    async with asyncio.timeout(40):
        items = driver.blocks()
        async for block in items:
            assert isinstance(block, Block)
            waves += [block] if fast[0].name in block.samples else []
            values |= set(block.samples.get(slow[0].name, np.empty(0, np.float32)))
            if len(waves) >= 2 and any(np.isfinite(v) for v in values):
                break
        await items.aclose()  # type: ignore[attr-defined]
    for block in waves:
        wanted = json.loads(waveform_payload(said[block.start_time_ms], fast[0]))
        np.testing.assert_array_equal(
            block.samples[fast[0].name], np.float32(wanted["channels"][0]["samples"])
        )
    known = {np.float32(round(now.slow[slow[0].name], 6)) for now in said.values()}
    assert {v for v in values if np.isfinite(v)} <= known
