"""Devices behind other edge nodes, as a driver; to them we are a host application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from math import isfinite, nan
from typing import Any, Final

import aiomqtt
import msgspec
import numpy as np
import structlog

from edge_agent.cancellation import end
from edge_agent.drivers import layout_file
from edge_agent.drivers.base import BAD, Block, Channel, Device, Lost, WriteError
from edge_agent.drivers.feeding import DeviceFeed
from edge_agent.drivers.grid import GridChannel
from edge_agent.drivers.mqtt.broker import Listener
from edge_agent.drivers.mqtt.complaints import Complaints
from edge_agent.drivers.sparkplug import layout
from edge_agent.drivers.sparkplug.nodes import Away, Born, EdgeNodes, Event, MessageError, Value
from edge_agent.drivers.sparkplug.options import Options, SparkplugDevice, SparkplugPoint
from edge_agent.sparkplug.metrics import MetricError, encode
from edge_agent.sparkplug.topics import NAMESPACE, state_topic, topic
from edge_agent.v1 import sparkplug_b_pb2 as pb

log = structlog.get_logger(__name__)

REBIRTH: Final = "Node Control/Rebirth"
_PAUSE_S: Final = 0.25
_END_AGAIN_S: Final = 15.0
_FLOATS: Final = frozenset({pb.DATA_TYPE_FLOAT, pb.DATA_TYPE_DOUBLE})


class SparkplugDriver:
    """The devices of a group of edge nodes."""

    def __init__(self, options: Options) -> None:
        """Prepare; nothing touches the network yet.

        Raises:
            ValueError: there is no device, two have the same tag, or a file is missing or no such.
        """
        if not options.devices and not options.whole_devices:
            raise ValueError("devices: name one, or a pattern in whole_devices")
        found = layout.load(options) if options.whole_devices else []
        self._is_learning = found is None
        self._options = options
        taken = {device.source for device in options.devices}
        self._devices = [*options.devices, *(d for d in found or () if d.source not in taken)]
        self._by_source = {device.source: device for device in self._devices}
        self._by_tag = {device.tag: device for device in self._devices}
        if len(self._by_tag) < len(self._devices):
            tags = [device.tag for device in self._devices]
            twice = next(tag for tag in tags if tags.count(tag) > 1)
            raise ValueError(f"whole_devices: two have the tag {twice!r}; see `tag` and `tags`")
        self._feeds = {d.source: _feed(options, d) for d in self._devices}
        self._points = {
            (d.source, point.called): point for d in self._devices for point in d.points
        }
        self.nodes = EdgeNodes(options.reorder_s)
        self.complaints = Complaints()
        self._learned: dict[str, SparkplugDevice] = {}
        self._told_new: set[str] = set()
        self._asked: dict[str, float] = {}
        self._began_ms = 0
        self._is_state_wrong = False
        filters = [(options.filter, 1)]
        if options.host_id:
            filters.insert(0, (state_topic(options.host_id), 1))
        self._listener = Listener(
            options.broker,
            filters,
            self._take,
            self._greet,
            self._will if options.host_id else None,
            self._say_offline if options.host_id else None,
        )

    def devices(self) -> Sequence[Device]:
        """Return the devices; whole ones once they were found, see `LayoutLearnedError`."""
        return [
            Device(
                device.tag,
                device.equipment_class,
                device.path,
                tuple(
                    Channel(p.name, p.unit, p.sample_rate_hz, p.quantity, p.location)
                    for p in device.points
                ),
                device.description,
                facts=device.facts,
            )
            for device in self._devices
        ]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield blocks as long as anybody listens.

        Raises:
            LayoutLearnedError: devices that are taken whole were found for the first time.
        """
        keeper = asyncio.create_task(self._listener.run())
        is_told = False
        began = time.monotonic()
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
                for event in self.nodes.overdue(time.monotonic()):
                    self._hear(event, time.time() * 1000)
                await self._speak()
                if self._is_learning and time.monotonic() - began >= self._options.learn_s:
                    self._finish_learning()
                    began = time.monotonic()
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
        """Return the points of a device that are set to be written to, with their units."""
        known = self._by_tag.get(device)
        return {p.name: p.unit for p in known.points if p.writable} if known is not None else {}

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        """Send a DCMD (to an edge node itself an NCMD) in the datatype of the birth.

        Sparkplug confirms nothing; what the device made of it is seen in its data.

        Raises:
            WriteError: the point is none, the value does not fit, or the device is away.
        """
        known = self._by_tag.get(device)
        point = next((p for p in known.points if p.name == name), None) if known else None
        if known is None or point is None or not point.writable:
            raise WriteError(f"{device} has no writable point {name!r}")
        client = self._listener.client
        if client is None:
            raise WriteError(f"{device} {name}: {self._listener.reason}")
        metric = self.nodes.metrics(known.source).get(point.called)
        if metric is None:
            raise WriteError(f"{device} {name}: the device is away, or has no such metric")
        now_ms = round(time.time() * 1000)
        payload = pb.Payload(timestamp=now_ms)
        try:
            entry = payload.metrics.add(name=point.called, timestamp=now_ms)
            encode(entry, metric.datatype, _wire_value(point, metric.datatype, value))
        except (MetricError, TypeError, ValueError) as error:
            raise WriteError(f"{device} {name}: {error}") from error
        node, _, below = known.source.partition("/")
        where = topic(self._options.group, "DCMD" if below else "NCMD", node, below or None)
        try:
            await client.publish(where, payload.SerializeToString(), qos=0)
        except aiomqtt.MqttError as error:
            raise WriteError(f"{device} {name}: {error}") from error

    def _take(self, where: str, content: bytes, is_retained: bool) -> None:
        options = self._options
        if options.host_id and where == state_topic(options.host_id):
            self._take_state(content)
            return
        levels = where.split("/")
        if len(levels) not in (4, 5) or levels[:2] != [NAMESPACE, options.group]:
            return
        kind, node, device = levels[2], levels[3], levels[4] if len(levels) == 5 else ""
        if kind not in _KINDS or _KINDS[kind] != bool(device):
            return
        if is_retained:
            # Nothing of an edge node is (Sparkplug 3.0, 6.4): it is as old as it likes.
            self.complaints.add(where, "it is retained")
            return
        now_ms = time.time() * 1000
        try:
            for event in self.nodes.take(kind, node, device, content, now_ms, time.monotonic()):
                self._hear(event, now_ms)
        except MessageError as error:
            self.complaints.add(where, str(error))
        for problem in self.nodes.problems:
            self.complaints.add(where, problem)
        self.nodes.problems.clear()

    def _hear(self, event: Event, now_ms: float) -> None:
        feed = self._feeds.get(event.source)
        if isinstance(event, Born):
            self._learn(event)
        elif isinstance(event, Away):
            if feed is not None:
                feed.away(event.reason)
        elif feed is not None:
            for value in event.values:
                point = self._points.get((event.source, value.name))
                if point is not None:
                    self._put(feed, point, value, now_ms)

    def _put(self, feed: DeviceFeed, point: SparkplugPoint, value: Value, now_ms: float) -> None:
        time_ms = value.time_ms
        if not 0 < time_ms <= now_ms + self._options.max_ahead_s * 1000:
            self.complaints.add(feed.tag, "its time is ahead of ours; the time of arrival is taken")
            time_ms = now_ms
        if isinstance(value.value, np.ndarray):
            if point.waveform:
                samples = value.value.astype(np.float64) * point.scale + point.offset
                with np.errstate(over="ignore"):
                    narrow = samples.astype(np.float32)
                feed.put_waveform(point.name, time_ms, narrow, value.quality, now_ms, value.is_past)
        elif not point.waveform:
            number = nan if value.value is None else value.value * point.scale + point.offset
            quality = value.quality if isfinite(number) and abs(number) < 3e38 else BAD
            feed.put(point.name, time_ms, number, quality, now_ms, value.is_past)

    def _learn(self, born: Born) -> None:
        if not self._options.whole_devices or born.source in self._by_source:
            return
        found = layout.device_of(self._options, born.source, born.metrics)
        if found is None:
            return
        self._learned[born.source] = found
        if not self._is_learning and born.source not in self._told_new:
            self._told_new.add(born.source)
            log.warning(
                "a device that is not known yet; delete the layout to have it taken",
                source=born.source,
                layout=str(layout.path_of(self._options)),
            )

    def _finish_learning(self) -> None:
        if not self._learned:
            return
        path = layout.save(self._options, list(self._learned.values()))
        raise layout_file.LayoutLearnedError(
            f"{self._options.group}: {len(self._learned)} devices were found and written to "
            f"{path}; the agent has to be started again to take them up"
        )

    async def _greet(self, client: aiomqtt.Client) -> None:
        """Say that we are there, and ask for the births that were not heard."""
        heard = self.nodes.known
        self.nodes.forget()
        if self._options.host_id:
            await self._say_state(client, online=True)
        declared = [device.source.partition("/")[0] for device in self._devices]
        self.nodes.wanting |= {*heard, *declared}

    async def _speak(self) -> None:
        """Ask for births that are wanted, each edge node not too often."""
        client = self._listener.client
        if client is None:
            return
        now = time.monotonic()
        try:
            if self._is_state_wrong:
                self._is_state_wrong = False
                await self._say_state(client, online=True)
            for node in sorted(self.nodes.wanting):
                if now - self._asked.get(node, -1e9) < self._options.rebirth_interval_s:
                    continue
                self._asked[node] = now
                self.nodes.wanting.discard(node)
                await ask_for_births(client, self._options.group, node)
        except aiomqtt.MqttError as error:
            # The listener says it.
            log.debug("not published", reason=str(error))

    def _will(self) -> aiomqtt.Will:
        # The same time in will and birth (Sparkplug 3.0, 6.4.26).
        self._began_ms = round(time.time() * 1000)
        return aiomqtt.Will(
            state_topic(self._options.host_id), self._state(False), qos=1, retain=True
        )

    def _state(self, online: bool) -> bytes:
        return msgspec.json.encode({"online": online, "timestamp": self._began_ms})

    async def _say_state(self, client: aiomqtt.Client, online: bool) -> None:
        where = state_topic(self._options.host_id)
        await client.publish(where, self._state(online), qos=1, retain=True)

    async def _say_offline(self, client: aiomqtt.Client) -> None:
        await self._say_state(client, online=False)

    def _take_state(self, content: bytes) -> None:
        try:
            said: Any = msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        # The will of an earlier connection of ours came late (Sparkplug 3.0, 5.4).
        if isinstance(said, dict) and said.get("online") is False:
            self._is_state_wrong = True


_KINDS: Final[Mapping[str, bool]] = {
    "NBIRTH": False,
    "NDEATH": False,
    "NDATA": False,
    "DBIRTH": True,
    "DDEATH": True,
    "DDATA": True,
}


async def ask_for_births(client: aiomqtt.Client, group: str, node: str) -> None:
    """Send the NCMD that asks an edge node for all of its births."""
    now_ms = round(time.time() * 1000)
    payload = pb.Payload(timestamp=now_ms)
    metric = payload.metrics.add(name=REBIRTH, timestamp=now_ms)
    encode(metric, pb.DATA_TYPE_BOOLEAN, True)
    await client.publish(topic(group, "NCMD", node), payload.SerializeToString(), qos=0)


def _wire_value(point: SparkplugPoint, datatype: int, value: float | bool | str) -> Any:
    if isinstance(value, str):
        return value
    if datatype == pb.DATA_TYPE_BOOLEAN:
        return bool(value)
    number = (float(value) - point.offset) / point.scale
    return number if datatype in _FLOATS else round(number)


def _feed(options: Options, device: SparkplugDevice) -> DeviceFeed:
    return DeviceFeed(
        device.tag,
        [
            GridChannel(p.name, p.sample_rate_hz, p.stale_after_s)
            for p in device.points
            if not p.waveform
        ],
        {p.name: p.sample_rate_hz for p in device.points if p.waveform},
        options.block_s,
        options.settle_s,
        device.silent_after_s,
    )
