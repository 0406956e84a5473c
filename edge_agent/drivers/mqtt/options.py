"""What a gateway file says of devices that publish JSON."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge_agent.drivers.base import Fact
from edge_agent.drivers.grid import check_rate
from edge_agent.drivers.mqtt.broker import MqttBrokerOptions
from edge_agent.drivers.mqtt.paths import PathError, parse

TimeFormat = Literal["s", "ms", "us", "ns", "iso8601"]
_TOPIC_NAMES: Final = {"key", "device"}
_PAYLOAD_NAMES: Final = {"key", "device", "value"}


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a gateway file."""


def _check_path(field: str, text: str) -> None:
    try:
        parse(text)
    except PathError as error:
        raise ValueError(f"{field}: {error}") from error


def _check_filter(field: str, topic: str) -> None:
    levels = topic.split("/")
    if not topic or "\0" in topic or len(topic.encode()) > 65535:
        raise ValueError(f"{field}: {topic!r} is no topic filter")
    if any(
        "#" in level and (level != "#" or i < len(levels) - 1) for i, level in enumerate(levels)
    ):
        raise ValueError(f"{field}: {topic!r}: # stands alone at the end")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"{field}: {topic!r}: + stands alone between two /")


class MqttDeviceRef(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it stands which device a message is of: one of the three."""

    tag: Annotated[str, Meta(description="Always this one.")] = ""
    topic_level: Annotated[
        int | None, Meta(description="The level of the topic, from 0, or from the end with -1.")
    ] = None
    path: Annotated[str | None, Meta(description="A path in each item of the message.")] = None

    def __post_init__(self) -> None:
        if bool(self.tag) + (self.topic_level is not None) + (self.path is not None) != 1:
            raise ValueError("tag: give one of `tag`, `topic_level` and `path`")
        if self.path is not None:
            _check_path("path", self.path)


class MqttTime(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the event time stands."""

    path: Annotated[str, Meta(description="In each item of the message.")]
    format: Annotated[
        TimeFormat, Meta(description="Since the epoch, or ISO 8601 (UTC without an offset).")
    ]

    def __post_init__(self) -> None:
        _check_path("path", self.path)


class MqttQuality(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it stands how good a value is."""

    path: Annotated[str, Meta(description="In each item of the message.")]
    good: Annotated[
        list[str | int | float | bool], Meta(description="What stands there when it is good.")
    ]
    stale: Annotated[
        list[str | int | float | bool], Meta(description="When it is old; anything else is bad.")
    ] = []

    def __post_init__(self) -> None:
        _check_path("path", self.path)


class MqttChannel(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel and where its values stand."""

    name: Annotated[str, Meta(min_length=1, description="In the field's words.")]
    value: Annotated[str, Meta(description="Path in each item; empty for the item itself.")]
    unit: Annotated[str, Meta(description="As in `degC`, `bar`, `1`.")] = "1"
    quantity: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    location: Annotated[str, Meta(description="Such as `drive_end`.")] = ""
    sample_rate_hz: Annotated[float, Meta(gt=0, le=1e6, description="Of the channel.")] = 1.0
    waveform: Annotated[bool, Meta(description="The value is an array of samples.")] = False
    time_of: Annotated[
        Literal["first", "last"], Meta(description="Which sample of an array the time is of.")
    ] = "first"
    scale: Annotated[float, Meta(description="Value = number x scale + offset.")] = 1.0
    offset: Annotated[float, Meta(description="In the unit of the value.")] = 0.0
    texts: Annotated[
        dict[str, float], Meta(description="Numbers that texts stand for, as `ON = 1`.")
    ] = {}
    where: Annotated[
        dict[str, str | int | float | bool],
        Meta(description="Only items in which these paths have these values."),
    ] = {}
    stale_after_s: Annotated[
        float, Meta(ge=0, description="A value older than this holds no longer; 0: it always does.")
    ] = 0.0
    time: MqttTime | None = None
    quality: MqttQuality | None = None

    def __post_init__(self) -> None:
        _check_path("value", self.value)
        for path in self.where:
            _check_path("where", path)


class MqttSubscription(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages that are alike, and what they hold."""

    topic: Annotated[str, Meta(description="Topic filter; `+` and `#` as in MQTT.")]
    qos: Annotated[Literal[0, 1, 2], Meta(description="Asked of the broker.")] = 1
    payload: Annotated[
        Literal["json", "text"], Meta(description="`text`: the whole of it is one value.")
    ] = "json"
    items: Annotated[
        str, Meta(description="Path of what is read one by one, as `sensors[*]`; else the whole.")
    ] = ""
    device: Annotated[
        MqttDeviceRef | None, Meta(description="May be left out when there is one device.")
    ] = None
    devices: Annotated[
        list[str], Meta(description="Tags of the devices that have these channels; else all.")
    ] = []
    time: Annotated[
        MqttTime | None, Meta(description="Else the time of arrival, which is the last sample's.")
    ] = None
    quality: MqttQuality | None = None
    retained: Annotated[bool, Meta(description="Take what the broker kept, too.")] = True
    channels: Annotated[list[MqttChannel], Meta(min_length=1, description="What there is.")]

    def __post_init__(self) -> None:
        _check_filter("topic", self.topic)
        _check_path("items", self.items)
        if self.device is not None and self.device.tag and self.devices:
            raise ValueError("devices: `device.tag` says already which it is")


class MqttAvailability(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages, last wills mostly, that say whether a device is there."""

    topic: Annotated[str, Meta(description="Topic filter.")]
    qos: Annotated[Literal[0, 1, 2], Meta(description="Asked of the broker.")] = 1
    payload: Annotated[Literal["json", "text"], Meta(description="As a subscription's.")] = "text"
    device: Annotated[
        MqttDeviceRef | None, Meta(description="Without it, it is of all devices.")
    ] = None
    path: Annotated[str, Meta(description="Of the value.")] = ""
    online: Annotated[list[str | int | bool], Meta(description="When it is there.")] = (
        msgspec.field(default_factory=lambda: ["online"])
    )
    offline: Annotated[list[str | int | bool], Meta(description="When it is away.")] = (
        msgspec.field(default_factory=lambda: ["offline"])
    )

    def __post_init__(self) -> None:
        _check_filter("topic", self.topic)
        _check_path("path", self.path)


class MqttCommand(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is published when the cloud writes to a device."""

    name: Annotated[str, Meta(min_length=1, description="What it is called in `[[writes]]`.")]
    unit: Annotated[str, Meta(description="Of the value.")] = "1"
    topic: Annotated[str, Meta(min_length=1, description="With `${key}` and `${device}`.")]
    payload: Annotated[
        str,
        Meta(description="With `${value}` as JSON, `${key}` and `${device}`; `$$` is a dollar."),
    ]
    scale: Annotated[float, Meta(description="Sent is (value - offset) / scale.")] = 1.0
    offset: Annotated[float, Meta(description="In the unit of the value.")] = 0.0
    qos: Annotated[Literal[0, 1, 2], Meta(description="1: the broker confirms it.")] = 1
    retain: Annotated[bool, Meta(description="The broker keeps it.")] = False
    devices: Annotated[list[str], Meta(description="Tags of those that take it; else all.")] = []

    def __post_init__(self) -> None:
        if self.scale == 0:
            raise ValueError("scale: 0 cannot be undone")
        for field, known in (("topic", _TOPIC_NAMES), ("payload", _PAYLOAD_NAMES)):
            template = Template(getattr(self, field))
            if not template.is_valid() or not set(template.get_identifiers()) <= known:
                names = ", ".join(f"${{{name}}}" for name in sorted(known))
                raise ValueError(f"{field}: what follows a $ is one of {names} and $$")
        if "+" in self.topic or "#" in self.topic:
            raise ValueError("topic: nothing can be published to a filter")


class MqttDevice(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine."""

    tag: Annotated[str, Meta(min_length=1, description="Equipment tag.")]
    key: Annotated[str, Meta(description="What messages call it; else its tag.")] = ""
    equipment_class: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    path: Annotated[str, Meta(description="ISA-95: `enterprise/site/area/line/cell`.")] = ""
    description: Annotated[str, Meta(description="For people.")] = ""
    facts: Annotated[
        dict[str, Fact], Meta(description="`Equipment/…` metrics, as `Nominal Speed`.")
    ] = {}
    silent_after_s: Annotated[
        float, Meta(ge=0, description="Silent for longer, it counts as away; 0 for never.")
    ] = 0.0

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.key or self.tag


class Options(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A broker, the devices that speak to it, and what their messages hold."""

    broker: MqttBrokerOptions
    devices: Annotated[list[MqttDevice], Meta(description="The machines.")] = []
    subscriptions: Annotated[list[MqttSubscription], Meta(description="What is listened to.")] = []
    availability: Annotated[
        list[MqttAvailability], Meta(description="Which messages say that a device is away.")
    ] = []
    commands: Annotated[list[MqttCommand], Meta(description="How devices are written to.")] = []
    block_s: Annotated[float, Meta(ge=0.01, le=3600, description="Length of a block.")] = 1.0
    settle_s: Annotated[
        float, Meta(ge=0, le=3600, description="How long a block waits for late values.")
    ] = 0.5
    max_ahead_s: Annotated[
        float, Meta(gt=0, description="A time further ahead is not believed; arrival counts.")
    ] = 5.0
    max_payload_bytes: Annotated[int, Meta(gt=0, description="Larger messages are refused.")] = (
        4_194_304
    )
    browse_s: Annotated[
        float, Meta(gt=0, le=600, description="How long `headrace edge browse` listens.")
    ] = 5.0
    browse_topic: Annotated[str, Meta(description="And to what.")] = "#"

    def __post_init__(self) -> None:
        _check_filter("browse_topic", self.browse_topic)
        if abs(self.block_s * 1000 - round(self.block_s * 1000)) > 1e-6:
            raise ValueError("block_s: is not a whole number of milliseconds")
        for field in ("tag", "called"):
            names = [getattr(device, field) for device in self.devices]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"devices: two are called {name!r}")
        for field, tags in self._named():
            for tag in tags:
                if tag not in {device.tag for device in self.devices}:
                    raise ValueError(f"{field}: there is no device {tag!r}")
        for i, subscription in enumerate(self.subscriptions):
            if subscription.device is None and len(self.devices) > 1:
                raise ValueError(f"subscriptions[{i}].device: which of the devices is it of?")
            for j, channel in enumerate(subscription.channels):
                if not channel.waveform:
                    field = f"subscriptions[{i}].channels[{j}]"
                    check_rate(field, channel.sample_rate_hz, self.block_s)
        for device in self.devices:
            self._check_channels(device)

    def channels_of(self, device: MqttDevice) -> list[MqttChannel]:
        """Return the channels of a device, each name once."""
        found: dict[str, MqttChannel] = {}
        for subscription in self.subscriptions:
            if device.tag in self.tags_of(subscription):
                for channel in subscription.channels:
                    found.setdefault(channel.name, channel)
        return list(found.values())

    def tags_of(self, subscription: MqttSubscription) -> list[str]:
        """Return the devices that a subscription may be of."""
        if subscription.device is not None and subscription.device.tag:
            return [subscription.device.tag]
        return subscription.devices or [device.tag for device in self.devices]

    def _named(self) -> Iterator[tuple[str, list[str]]]:
        for i, subscription in enumerate(self.subscriptions):
            yield f"subscriptions[{i}].devices", self.tags_of(subscription)
        for i, availability in enumerate(self.availability):
            if availability.device is not None and availability.device.tag:
                yield f"availability[{i}].device", [availability.device.tag]
        for i, command in enumerate(self.commands):
            yield f"commands[{i}].devices", command.devices

    def _check_channels(self, device: MqttDevice) -> None:
        known: dict[str, MqttChannel] = {}
        same = ("unit", "quantity", "location", "sample_rate_hz", "waveform", "stale_after_s")
        for i, subscription in enumerate(self.subscriptions):
            if device.tag not in self.tags_of(subscription):
                continue
            for j, channel in enumerate(subscription.channels):
                other = known.setdefault(channel.name, channel)
                for field in same:
                    if getattr(other, field) != getattr(channel, field):
                        raise ValueError(
                            f"subscriptions[{i}].channels[{j}].{field}: {device.tag} has another "
                            f"{channel.name!r} already; make them alike, or name one otherwise"
                        )
