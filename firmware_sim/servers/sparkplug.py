"""The plant as the devices of a Sparkplug B edge node.

An implementation of its own (Sparkplug 3.0, 5 and 6), so that what the agent gets wrong in its own
is not wrong here in the same way: it shares the generated messages and nothing else.
"""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import Sequence
from typing import Any, Final

import aiomqtt
import structlog

from edge_agent.cancellation import end
from edge_agent.drivers.base import Device
from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload
from firmware_sim.servers.base import LivePlant, Now, Setpoint, is_slow

log = structlog.get_logger(__name__)

GROUP: Final = "plant"
EDGE_NODE: Final = "line-plc"
_AGAIN_S: Final = 0.5
_END_AGAIN_S: Final = 2.0
_BAD: Final = 0
_REBIRTH: Final = "Node Control/Rebirth"


def setpoint_metric(setpoint: Setpoint) -> str:
    """Return what a set-point is called."""
    return f"Setpoints/{setpoint.name}"


class SparkplugPlant:
    """An edge node with a device a machine."""

    def __init__(self, plant: LivePlant, group: str = GROUP, edge_node: str = EDGE_NODE) -> None:
        self._plant = plant
        self._group, self._edge_node = group, edge_node
        self._client: aiomqtt.Client | None = None
        self._bd_seq = -1
        self._seq = 0
        self.births = 0
        self._wire = asyncio.Lock()
        # Of the whole edge node, in the order of the births; 1 is the rebirth control.
        self._aliases: dict[tuple[str, str], int] = {}
        for tag, device in plant.devices.items():
            for channel in device.channels:
                self._aliases[tag, channel.name] = len(self._aliases) + 2
            for setpoint in plant.setpoints(tag):
                self._aliases[tag, setpoint_metric(setpoint)] = len(self._aliases) + 2
        plant.listen(self._say)

    async def run(self, **broker: Any) -> None:
        """Connect, be born, obey, and connect again, until cancelled."""
        while True:
            self._bd_seq = (self._bd_seq + 1) % 256
            death = Payload(timestamp=_now_ms())
            death.metrics.add().CopyFrom(self._bd_seq_metric())
            will = aiomqtt.Will(self._topic("NDEATH"), death.SerializeToString(), qos=1)
            try:
                async with aiomqtt.Client(will=will, clean_session=True, **broker) as client:
                    await client.subscribe(self._topic("NCMD"), qos=1)
                    await client.subscribe(f"{self._topic('DCMD')}/+", qos=1)
                    await self._birth(client)
                    self._client = client
                    async for message in client.messages:
                        await self._obey(client, str(message.topic), bytes(message.payload))
            except aiomqtt.MqttError as error:
                log.info("broker away", edge_node=self._edge_node, reason=str(error))
            finally:
                self._client = None
            await asyncio.sleep(_AGAIN_S)

    async def lose(self, tag: str) -> None:
        """Say that a machine is away."""
        if self._client is not None:
            async with self._wire:
                await self._publish(self._client, "DDEATH", tag, Payload(timestamp=_now_ms()))

    def _topic(self, kind: str, tag: str = "") -> str:
        base = f"spBv1.0/{self._group}/{kind}/{self._edge_node}"
        return f"{base}/{tag}" if tag else base

    def _bd_seq_metric(self) -> Metric:
        return Metric(
            name="bdSeq",
            timestamp=_now_ms(),
            datatype=DataType.DATA_TYPE_INT64,
            long_value=self._bd_seq,
        )

    async def _publish(self, client: aiomqtt.Client, kind: str, tag: str, payload: Payload) -> None:
        self._seq = 0 if kind == "NBIRTH" else (self._seq + 1) % 256
        payload.seq = self._seq
        await client.publish(self._topic(kind, tag), payload.SerializeToString(), qos=0)

    async def _birth(self, client: aiomqtt.Client) -> None:
        async with self._wire:
            born = Payload(timestamp=_now_ms())
            born.metrics.add().CopyFrom(self._bd_seq_metric())
            born.metrics.add(
                name=_REBIRTH,
                alias=1,
                timestamp=_now_ms(),
                datatype=DataType.DATA_TYPE_BOOLEAN,
                boolean_value=False,
            )
            await self._publish(client, "NBIRTH", "", born)
            for device in self._plant.devices.values():
                await self._publish(client, "DBIRTH", device.tag, self._device_birth(device))
            self.births += 1

    def _device_birth(self, device: Device) -> Payload:
        payload = Payload(timestamp=_now_ms())
        now = self._plant.now(device.tag)
        for channel in device.channels:
            slow = is_slow(channel)
            metric = payload.metrics.add(
                name=channel.name,
                alias=self._aliases[device.tag, channel.name],
                timestamp=now.time_ms if now and slow else _now_ms(),
                datatype=DataType.DATA_TYPE_DOUBLE if slow else DataType.DATA_TYPE_FLOAT_ARRAY,
            )
            for key, text in (
                ("engUnit", channel.unit),
                ("quantity", channel.quantity),
                ("location", channel.location),
            ):
                if text:
                    metric.properties.keys.append(key)
                    metric.properties.values.add(type=DataType.DATA_TYPE_STRING, string_value=text)
            metric.properties.keys.append("sampleRate")
            metric.properties.values.add(
                type=DataType.DATA_TYPE_DOUBLE, double_value=channel.sample_rate_hz
            )
            if slow and now is not None:
                _set(metric, now.slow[channel.name])
            else:
                metric.is_null = True
        for setpoint in self._plant.setpoints(device.tag):
            metric = payload.metrics.add(
                name=setpoint_metric(setpoint),
                alias=self._aliases[device.tag, setpoint_metric(setpoint)],
                timestamp=_now_ms(),
                datatype=DataType.DATA_TYPE_FLOAT,
                float_value=setpoint.value,
            )
            metric.properties.keys.append("engUnit")
            metric.properties.values.add(type=DataType.DATA_TYPE_STRING, string_value=setpoint.unit)
        return payload

    async def _say(self, now: Now) -> None:
        client = self._client
        if client is None:
            return
        tag = now.device.tag
        payload = Payload(timestamp=_now_ms())
        for name, samples in now.waveforms.items():
            payload.metrics.add(
                alias=self._aliases[tag, name],
                timestamp=now.block.start_time_ms,
                bytes_value=_packed(samples.tolist()),
            )
        for name, value in now.slow.items():
            metric = payload.metrics.add(alias=self._aliases[tag, name], timestamp=now.time_ms)
            _set(metric, value)
        try:
            async with self._wire:
                await self._publish(client, "DDATA", tag, payload)
        except aiomqtt.MqttError as error:
            log.info("not published", machine=tag, reason=str(error))

    async def _obey(self, client: aiomqtt.Client, topic: str, content: bytes) -> None:
        _, _, kind, _, *device = topic.split("/")
        command = Payload.FromString(content)
        for metric in command.metrics:
            if kind == "NCMD" and metric.name == _REBIRTH and metric.boolean_value:
                await self._birth(client)
            elif kind == "DCMD" and device:
                await self._set_point(client, device[0], metric)

    async def _set_point(self, client: aiomqtt.Client, tag: str, metric: Metric) -> None:
        name = metric.name.removeprefix("Setpoints/")
        try:
            self._plant.write(tag, name, metric.float_value)
        except ValueError as error:
            log.info("command refused", machine=tag, reason=str(error))
            return
        answer = Payload(timestamp=_now_ms())
        answer.metrics.add(
            alias=self._aliases[tag, metric.name],
            timestamp=_now_ms(),
            float_value=metric.float_value,
        )
        async with self._wire:
            await self._publish(client, "DDATA", tag, answer)


def _now_ms() -> int:
    return round(time.time() * 1000)


def _packed(samples: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(samples)}f", *samples)


def _set(metric: Metric, value: float) -> None:
    """Set a number; of a sensor that says nothing null, of bad quality."""
    if not math.isnan(value):
        metric.double_value = value
        return
    metric.is_null = True
    metric.properties.keys.append("Quality")
    metric.properties.values.add(type=DataType.DATA_TYPE_INT32, int_value=_BAD)


async def serve(
    plant: LivePlant,
    host: str,
    port: int,
    group: str = GROUP,
    edge_node: str = EDGE_NODE,
    user: str = "",
    password: str = "",
) -> None:
    """Let the edge node speak to a broker until cancelled or until the plant ends.

    Options: `group` and `edge_node` are its names; `user` and `password` are for the broker.
    """
    node = SparkplugPlant(plant, group, edge_node)
    speaking = asyncio.create_task(
        node.run(hostname=host, port=port, username=user or None, password=password or None)
    )
    log.info("speaking", protocol="sparkplug", place=f"{host}:{port}", edge_node=edge_node)
    try:
        await plant.run()
    finally:
        await end(speaking, again_s=_END_AGAIN_S)
