"""The plant as an edge node, heard by a plain client that reads the messages itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
import numpy as np
import pytest

from edge_agent.cancellation import end
from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from firmware_sim.driver import DriverOptions, PlantDriver
from firmware_sim.servers.base import RATE_SETPOINT, LivePlant, Now, is_slow
from firmware_sim.servers.sparkplug import SparkplugPlant, serve
from headrace.broker import Broker

TAG = "P-101"
NODE = "spBv1.0/plant/{}/line-plc"
DEVICE = NODE + f"/{TAG}"


@dataclass
class Heard:
    """What the edge node said, in order."""

    client: aiomqtt.Client
    messages: list[tuple[str, Payload]] = field(default_factory=list)

    async def until(self, kind: str, count: int = 1) -> Payload:
        """Listen until so many messages of a kind came since the beginning; return the last."""
        async with asyncio.timeout(30):
            while len(self.of(kind)) < count:
                message = await anext(aiter(self.client.messages))
                assert isinstance(message.payload, bytes)
                said = Payload.FromString(message.payload)
                self.messages.append((str(message.topic).split("/")[2], said))
        return self.of(kind)[-1]

    def of(self, kind: str) -> list[Payload]:
        return [said for of, said in self.messages if of == kind]


@pytest.fixture
def plant() -> LivePlant:
    return LivePlant(PlantDriver(DriverOptions(speed=1.0, machines=(TAG,), vibration_interval_s=1)))


@pytest.fixture
async def heard(broker: Broker) -> AsyncIterator[Heard]:
    login = {"username": broker.user, "password": broker.password}
    async with aiomqtt.Client(broker.host, broker.mqtt_port, **login) as client:  # type: ignore[arg-type]
        for kind in ("NBIRTH", "NDEATH"):
            await client.subscribe(NODE.format(kind), qos=1)
        for kind in ("DBIRTH", "DDATA", "DDEATH"):
            await client.subscribe(DEVICE.format(kind), qos=1)
        yield Heard(client)


def bd_seq(payload: Payload) -> int:
    return next(int(m.long_value) for m in payload.metrics if m.name == "bdSeq")


async def test_it_is_born_and_tells_what_the_plant_says(
    broker: Broker, plant: LivePlant, heard: Heard
) -> None:
    said: dict[int, Now] = {}

    async def remember(now: Now) -> None:
        said[now.block.start_time_ms] = now

    plant.listen(remember)
    login = {"user": broker.user, "password": broker.password}
    serving = asyncio.create_task(serve(plant, broker.host, broker.mqtt_port, **login))
    try:
        await heard.until("DDATA", 3)
    finally:
        await end(serving, again_s=5.0)

    assert [kind for kind, _ in heard.messages[:2]] == ["NBIRTH", "DBIRTH"]
    assert [payload.seq for _, payload in heard.messages[:5]] == [0, 1, 2, 3, 4]
    born = {metric.name: metric for metric in heard.of("DBIRTH")[0].metrics}
    device = plant.devices[TAG]
    for channel in device.channels:
        metric = born[channel.name]
        properties = dict(zip(metric.properties.keys, metric.properties.values, strict=True))
        assert properties["engUnit"].string_value == channel.unit
        assert properties["sampleRate"].double_value == channel.sample_rate_hz
    aliases = {metric.alias: name for name, metric in born.items()}
    assert len(aliases) == len(born)
    waves = {channel.name for channel in device.channels if not is_slow(channel)}
    compared = 0
    for payload in heard.of("DDATA"):
        for metric in payload.metrics:
            if aliases[metric.alias] in waves:
                source = said[metric.timestamp].waveforms[aliases[metric.alias]]
                np.testing.assert_array_equal(np.frombuffer(metric.bytes_value, "<f4"), source)
                compared += 1
    assert compared >= 1


async def test_it_obeys_a_rebirth_and_a_set_point_and_refuses_nonsense(
    broker: Broker, plant: LivePlant, heard: Heard
) -> None:
    node = SparkplugPlant(plant)
    tasks = [
        asyncio.create_task(plant.run()),
        asyncio.create_task(node.run(**where(broker))),
    ]
    command = Payload(timestamp=1)
    metric = command.metrics.add(
        name=f"Setpoints/{RATE_SETPOINT}", datatype=DataType.DATA_TYPE_FLOAT
    )
    try:
        await heard.until("DDATA")
        first = bd_seq(heard.of("NBIRTH")[0])
        for value in (1e9, 80.0):
            metric.float_value = value
            await heard.client.publish(DEVICE.format("DCMD"), command.SerializeToString(), qos=1)
        answer = None
        while answer != 80.0:
            data = await heard.until("DDATA", len(heard.of("DDATA")) + 1)
            answer = next((m.float_value for m in data.metrics if m.HasField("float_value")), None)
            assert answer in (None, 80.0)
        assert plant.setpoints(TAG)[0].value == 80.0

        again = Payload(timestamp=1)
        again.metrics.add(
            name="Node Control/Rebirth", datatype=DataType.DATA_TYPE_BOOLEAN, boolean_value=True
        )
        await heard.client.publish(NODE.format("NCMD"), again.SerializeToString(), qos=1)
        reborn = await heard.until("NBIRTH", 2)
        # The session is the same: so is its number.
        assert (reborn.seq, bd_seq(reborn)) == (0, first)
        values = {m.name: m for m in (await heard.until("DBIRTH", 2)).metrics}
        assert values[f"Setpoints/{RATE_SETPOINT}"].float_value == 80.0
    finally:
        await end(*tasks, again_s=5.0)


async def test_a_broken_connection_is_a_death_and_a_new_session(
    broker: Broker, plant: LivePlant, heard: Heard
) -> None:
    node = SparkplugPlant(plant)
    running = asyncio.create_task(node.run(**where(broker)))
    try:
        first = bd_seq(await heard.until("NBIRTH"))
        await heard.until("DBIRTH")
        assert node._client is not None
        # No farewell: the connection breaks under it.
        connection: Any = node._client._client.socket()
        connection.shutdown(socket.SHUT_RDWR)
        assert bd_seq(await heard.until("NDEATH")) == first
        assert bd_seq(await heard.until("NBIRTH", 2)) == first + 1
    finally:
        await end(running, again_s=5.0)


def where(broker: Broker) -> dict[str, Any]:
    return {
        "hostname": broker.host,
        "port": broker.mqtt_port,
        "username": broker.user,
        "password": broker.password,
    }
