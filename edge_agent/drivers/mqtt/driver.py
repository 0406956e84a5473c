"""Devices that publish JSON to a broker, as a driver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from string import Template
from typing import Final

import aiomqtt
import msgspec
import structlog

from edge_agent.cancellation import end
from edge_agent.drivers.base import Block, Channel, Device, Lost, WriteError
from edge_agent.drivers.feeding import DeviceFeed
from edge_agent.drivers.grid import GridChannel
from edge_agent.drivers.mqtt.broker import Listener
from edge_agent.drivers.mqtt.complaints import Complaints
from edge_agent.drivers.mqtt.mapping import MessageMap, Reading, UnreadableError, filters_of
from edge_agent.drivers.mqtt.options import MqttCommand, Options

log = structlog.get_logger(__name__)

_PAUSE_S: Final = 0.25
_END_AGAIN_S: Final = 15.0


class MqttDriver:
    """The devices behind one broker."""

    def __init__(self, options: Options) -> None:
        """Prepare; nothing touches the network yet.

        Raises:
            ValueError: there is nothing to listen to, or a password, certificate or key is missing.
        """
        if not options.devices:
            raise ValueError("devices: name one")
        for i, device in enumerate(options.devices):
            if not options.channels_of(device):
                raise ValueError(f"devices[{i}].tag: no subscription has channels of {device.tag}")
        self._options = options
        self._map = MessageMap(options)
        self.complaints = Complaints()
        self._listener = Listener(options.broker, list(filters_of(options)), self._take)
        self._feeds = {device.tag: _feed(options, device.tag) for device in options.devices}
        self._offline: set[str] = set()
        self._called = {device.tag: device.called for device in options.devices}

    def devices(self) -> Sequence[Device]:
        """Return the machines."""
        return [
            Device(
                device.tag,
                device.equipment_class,
                device.path,
                tuple(
                    Channel(c.name, c.unit, c.sample_rate_hz, c.quantity, c.location)
                    for c in self._options.channels_of(device)
                ),
                device.description,
                facts=device.facts,
            )
            for device in self._options.devices
        ]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield blocks as long as anybody listens."""
        keeper = asyncio.create_task(self._listener.run())
        is_told = False
        pause_s = min(self._options.block_s / 4, _PAUSE_S)
        try:
            while True:
                if keeper.done():
                    keeper.result()
                if self._listener.is_lost and not is_told:
                    is_told = True
                    for feed in self._feeds.values():
                        feed.away(self._listener.reason)
                is_told = is_told and self._listener.is_lost
                now_ms = time.time() * 1000
                for feed in self._feeds.values():
                    for item in feed.due(now_ms):
                        yield item
                await asyncio.sleep(pause_s)
        finally:
            await end(keeper, again_s=_END_AGAIN_S)

    async def close(self) -> None:
        """Let go of nothing: `blocks` leaves the broker when it is no longer listened to."""

    def writable(self, device: str) -> Mapping[str, str]:
        """Return the commands of a device, with their units."""
        return {
            command.name: command.unit
            for command in self._options.commands
            if not command.devices or device in command.devices
        }

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        """Publish a command; the broker has it when this returns, but for QoS 0.

        Raises:
            WriteError: there is no such command, or the device or the broker is away.
        """
        command = next((c for c in self._options.commands if c.name == name), None)
        if command is None or name not in self.writable(device):
            raise WriteError(f"{device} takes no {name!r}")
        client = self._listener.client
        if client is None:
            raise WriteError(f"{device} {name}: {self._listener.reason}")
        if device in self._offline:
            raise WriteError(f"{device} {name}: the device is offline")
        topic, payload = message_of(command, device, self._called[device], value)
        try:
            await client.publish(topic, payload, command.qos, command.retain)
        except aiomqtt.MqttError as error:
            raise WriteError(f"{device} {name}: {error}") from error

    def _take(self, topic: str, payload: bytes, is_retained: bool) -> None:
        now_ms = time.time() * 1000
        try:
            said = self._map.read(topic, payload, now_ms, is_retained)
        except UnreadableError as error:
            self.complaints.add(topic, str(error))
            return
        for problem in said.problems:
            self.complaints.add(topic, problem)
        for presence in said.presences:
            for tag in presence.devices:
                if presence.is_online:
                    self._offline.discard(tag)
                else:
                    self._offline.add(tag)
                    self._feeds[tag].away("the device is offline")
        for reading in said.readings:
            # What the broker kept says nothing of whether the device is there.
            if not (is_retained and reading.device in self._offline):
                self._offline.discard(reading.device)
                self._put(topic, reading, now_ms)

    def _put(self, topic: str, reading: Reading, now_ms: float) -> None:
        if reading.is_doubted:
            self.complaints.add(topic, "its time is ahead of ours; the time of arrival is taken")
        feed = self._feeds[reading.device]
        if reading.samples is not None:
            feed.put_waveform(
                reading.channel, reading.time_ms, reading.samples, reading.quality, now_ms
            )
        else:
            feed.put(reading.channel, reading.time_ms, reading.value, reading.quality, now_ms)


def message_of(
    command: MqttCommand, device: str, called: str, value: float | bool | str
) -> tuple[str, bytes]:
    """Return topic and payload of a command."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        scaled = (value - command.offset) / command.scale
        value = int(scaled) if scaled == int(scaled) else scaled
    names = {"key": called, "device": device, "value": msgspec.json.encode(value).decode()}
    topic = Template(command.topic).substitute(names)
    return topic, Template(command.payload).substitute(names).encode()


def _feed(options: Options, tag: str) -> DeviceFeed:
    device = next(d for d in options.devices if d.tag == tag)
    channels = options.channels_of(device)
    return DeviceFeed(
        tag,
        [
            GridChannel(c.name, c.sample_rate_hz, c.stale_after_s)
            for c in channels
            if not c.waveform
        ],
        {c.name: c.sample_rate_hz for c in channels if c.waveform},
        options.block_s,
        options.settle_s,
        device.silent_after_s,
    )
