"""What a message says: readings of devices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite, nan
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from edge_agent.drivers.base import BAD, GOOD, STALE, Quality
from edge_agent.drivers.mqtt.options import (
    MqttAvailability,
    MqttChannel,
    MqttDeviceRef,
    MqttQuality,
    MqttSubscription,
    MqttTime,
    Options,
    TimeFormat,
)
from edge_agent.drivers.mqtt.paths import Step, find, parse

_PER_MS: Final[dict[TimeFormat, float]] = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
# The end of the year 2199; what is beyond is no time of a reading.
_END_MS: Final = 7_258_118_400_000.0
# A hostile message has no end of items.
MAX_ITEMS: Final = 10_000


class UnreadableError(ValueError):
    """A message holds nothing that can be read, or not only; the message says what."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a channel; `samples` when it is a waveform, which begins at `time_ms`."""

    device: str
    channel: str
    time_ms: float
    value: float
    quality: Quality
    samples: npt.NDArray[np.float32] | None = None
    is_doubted: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether devices are there."""

    devices: Sequence[str]
    is_online: bool


@dataclass(slots=True)
class Said:
    """What a message says, and what of it cannot be read."""

    readings: list[Reading] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def matches(topic: str, topic_filter: str) -> bool:
    """Return True when a topic is one of those that a filter means (MQTT 3.1.1, 4.7)."""
    wanted = topic_filter.split("/")
    if wanted[0] == "$share":
        wanted = wanted[2:]
    levels = topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(levels) or level not in ("+", levels[i]):
            return False
    return len(levels) == len(wanted)


class MessageMap:
    """Reads messages as the options say."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._tags = {device.called: device.tag for device in options.devices}
        self._subscriptions = [_Subscription(options, one) for one in options.subscriptions]
        self._availability = [(one, parse(one.path)) for one in options.availability]
        self._of_topic = lru_cache(4096)(self._find)

    def read(self, topic: str, payload: bytes, now_ms: float, is_retained: bool = False) -> Said:
        """Return what a message says that came at `now_ms`.

        Raises:
            UnreadableError: it is too large, or not what it should be.
        """
        said = Said()
        subscriptions, availability = self._of_topic(topic)
        documents: dict[str, Any] = {}
        for presence, steps in availability:
            document = self._document(presence.payload, payload, documents)
            self._take_presence(topic, presence, find(document, steps), said)
        for subscription in subscriptions:
            if is_retained and not subscription.table.retained:
                continue
            document = self._document(subscription.table.payload, payload, documents)
            items = find(document, subscription.items)
            if len(items) > MAX_ITEMS:
                said.problems.append(f"{len(items)} items; {MAX_ITEMS} at most are read")
            for item in items[:MAX_ITEMS]:
                self._take_item(topic, subscription, item, now_ms, said)
        return said

    def _find(
        self, topic: str
    ) -> tuple[list[_Subscription], list[tuple[MqttAvailability, tuple[Step, ...]]]]:
        return (
            [one for one in self._subscriptions if matches(topic, one.table.topic)],
            [one for one in self._availability if matches(topic, one[0].topic)],
        )

    def _document(self, kind: str, payload: bytes, known: dict[str, Any]) -> Any:
        if len(payload) > self._options.max_payload_bytes:
            raise UnreadableError(f"{len(payload)} bytes are more than max_payload_bytes")
        if kind not in known:
            try:
                known[kind] = (
                    msgspec.json.decode(payload)
                    if kind == "json"
                    else payload.decode("utf-8").strip()
                )
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise UnreadableError(f"no {kind}: {str(error)[:200]}") from error
        return known[kind]

    def _take_presence(
        self, topic: str, availability: MqttAvailability, values: list[Any], said: Said
    ) -> None:
        for value in values[:1]:
            if _is_one_of(value, availability.online):
                is_online = True
            elif _is_one_of(value, availability.offline):
                is_online = False
            else:
                said.problems.append(f"{_shown(value)} is neither online nor offline")
                return
            if availability.device is None:
                tags: Sequence[str] = [device.tag for device in self._options.devices]
            else:
                tag = self._tag(topic, availability.device, None, said)
                tags = [tag] if tag is not None else []
            said.presences.append(Presence(tags, is_online))

    def _take_item(
        self, topic: str, subscription: _Subscription, item: Any, now_ms: float, said: Said
    ) -> None:
        tag: str | None
        if subscription.table.device is None:
            tag = subscription.tags[0]
        else:
            tag = self._tag(topic, subscription.table.device, item, said)
        if tag is None:
            return
        if tag not in subscription.tags:
            said.problems.append(f"{tag} is none of the subscription's devices")
            return
        for channel in subscription.channels:
            try:
                reading = channel.read(tag, item, now_ms, self._options.max_ahead_s * 1000)
            except UnreadableError as error:
                said.problems.append(f"{channel.table.name}: {error}")
                continue
            if reading is not None:
                said.readings.append(reading)

    def _tag(self, topic: str, ref: MqttDeviceRef, item: Any, said: Said) -> str | None:
        if ref.tag:
            return ref.tag
        called: Any = None
        if ref.topic_level is not None:
            levels = topic.split("/")
            if -len(levels) <= ref.topic_level < len(levels):
                called = levels[ref.topic_level]
        elif found := find(item, parse(ref.path or "")):
            called = found[0]
        if isinstance(called, int) and not isinstance(called, bool):
            called = str(called)
        tag = self._tags.get(called) if isinstance(called, str) else None
        if tag is None:
            said.problems.append(f"{_shown(called)} is none of the devices")
        return tag


class _Subscription:
    """A subscription with its paths taken apart."""

    def __init__(self, options: Options, table: MqttSubscription) -> None:
        self.table = table
        self.tags = options.tags_of(table)
        self.items = parse(table.items)
        self.channels = [_Channel(table, channel) for channel in table.channels]


class _Channel:
    """A channel with its paths taken apart."""

    def __init__(self, subscription: MqttSubscription, table: MqttChannel) -> None:
        self.table = table
        self._value = parse(table.value)
        self._where = [(parse(path), wanted) for path, wanted in table.where.items()]
        self._time = table.time or subscription.time
        self._quality = table.quality or subscription.quality

    def read(self, tag: str, item: Any, now_ms: float, max_ahead_ms: float) -> Reading | None:
        """Return what an item says of the channel; None when nothing.

        Raises:
            UnreadableError: what stands there is no value, or its time is none.
        """
        for steps, wanted in self._where:
            if not any(_is_one_of(value, [wanted]) for value in find(item, steps)):
                return None
        found = find(item, self._value)
        if not found:
            return None
        time_ms = _time_of(item, self._time)
        quality = _quality_of(item, self._quality)
        # What just arrived ended just now.
        time_of = self.table.time_of if time_ms is not None else "last"
        is_doubted = time_ms is not None and time_ms > now_ms + max_ahead_ms
        if time_ms is None or is_doubted:
            time_ms = now_ms
        if not self.table.waveform:
            value = self._number(found[0])
            if not isfinite(value):
                quality = BAD
            return Reading(tag, self.table.name, time_ms, value, quality, None, is_doubted)
        samples = self._samples(found[0] if len(found) == 1 else found)
        if time_of == "last":
            time_ms -= (len(samples) - 1) / self.table.sample_rate_hz * 1000
        if not np.isfinite(samples).any():
            quality = BAD
        return Reading(tag, self.table.name, time_ms, nan, quality, samples, is_doubted)

    def _number(self, value: Any) -> float:
        """Return a value in the channel's unit; NaN for null."""
        if value is None:
            return nan
        if isinstance(value, str):
            value = self.table.texts.get(value, value)
        try:
            number = float(value) if isinstance(value, str | int | float) else None
        except (ValueError, OverflowError):
            number = None
        if number is None or (isinstance(value, str) and not isfinite(number)):
            raise UnreadableError(f"{_shown(value)} is no number")
        number = number * self.table.scale + self.table.offset
        return number if abs(number) < 3e38 else nan

    def _samples(self, values: Any) -> npt.NDArray[np.float32]:
        if not isinstance(values, list) or not values:
            raise UnreadableError(f"{_shown(values)} is no array of samples")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array([self._number(value) for value in values], np.float32)


def _time_of(item: Any, table: MqttTime | None) -> float | None:
    """Return an item's time in milliseconds since the epoch; None when it tells none."""
    if table is None:
        return None
    found = find(item, parse_cached(table.path))
    if not found or found[0] is None:
        return None
    value = found[0]
    time_ms: float | None = None
    if table.format == "iso8601":
        time_ms = _moment_ms(value) if isinstance(value, str) else None
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            time_ms = float(value) * _PER_MS[table.format]
        except (ValueError, OverflowError):
            time_ms = None
    if time_ms is None or not 0 < time_ms < _END_MS:
        raise UnreadableError(f"{_shown(value)} is no time in {table.format}")
    return time_ms


parse_cached = lru_cache(1024)(parse)


def _moment_ms(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() * 1000
    except (ValueError, OverflowError):
        return None


def _quality_of(item: Any, table: MqttQuality | None) -> Quality:
    if table is None:
        return GOOD
    found = find(item, parse_cached(table.path))
    if found and _is_one_of(found[0], table.good):
        return GOOD
    return STALE if found and _is_one_of(found[0], table.stale) else BAD


def _is_one_of(value: Any, wanted: Sequence[Any]) -> bool:
    """Compare as JSON does, where true is not 1."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in wanted)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def filters_of(options: Options) -> Iterator[tuple[str, int]]:
    """Yield what is to be subscribed to, with its QoS."""
    for presence in options.availability:
        yield presence.topic, presence.qos
    for subscription in options.subscriptions:
        yield subscription.topic, subscription.qos
