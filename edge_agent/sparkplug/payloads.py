"""Build and read the payloads of an edge node; names and types are those of docs/contracts.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from edge_agent.drivers.base import Block, Device, Fact
from edge_agent.sparkplug.metrics import encode
from edge_agent.v1 import sparkplug_b_pb2 as pb

BOOT_EPOCH: Final = "Headrace/Boot Epoch"
BATCH: Final = "Headrace/Batch"
FIRST_BATCH: Final = "Headrace/First Batch"
EARLIER: Final = "Headrace/Earlier Boots"
LOST: Final = "Headrace/Lost"
BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"
RESEND: Final = "Node Control/Resend"
QUALITY: Final = "Quality"
SCORE: Final = "Edge/Score"
MODEL: Final = "Edge/Model"
CAPTURE: Final = "Edge/Capture"

# Aliases are unique within an edge node: the node's own first, then a range for each device.
_ALIAS_SCORE: Final = 3
_ALIAS_CAPTURE: Final = 4
_ALIAS_NODE: Final = 10
_ALIASES_A_DEVICE: Final = 1000
_ALIAS_CHANNEL: Final = 10
MAX_CHANNELS: Final = _ALIASES_A_DEVICE - _ALIAS_CHANNEL

Payload = pb.Payload


class PayloadError(ValueError):
    """The bytes are no Sparkplug payload, or not what its topic promises."""


@dataclass(frozen=True, slots=True)
class WritablePoint:
    """What a device takes values by; without a channel of the name it is a metric of its own."""

    name: str
    datatype: int
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    # As last written.
    value: float | bool | str | None = None


def _uint64(metric: pb.Metric, value: int) -> None:
    metric.datatype = pb.DATA_TYPE_UINT64
    metric.long_value = value


def _double(metric: pb.Metric, value: float) -> None:
    metric.datatype = pb.DATA_TYPE_DOUBLE
    metric.double_value = value


def _string(metric: pb.Metric, value: str) -> None:
    metric.datatype = pb.DATA_TYPE_STRING
    metric.string_value = value


def _fact(metric: pb.Metric, value: Fact) -> None:
    if isinstance(value, str):
        _string(metric, value)
    elif isinstance(value, int):
        metric.datatype = pb.DATA_TYPE_INT32
        metric.int_value = value & 0xFFFFFFFF
    else:
        _double(metric, value)


def _property(properties: pb.PropertySet, key: str, value: str | float | bool) -> None:
    properties.keys.append(key)
    entry = properties.values.add()
    if isinstance(value, str):
        entry.type = pb.DATA_TYPE_STRING
        entry.string_value = value
    elif isinstance(value, bool):
        entry.type = pb.DATA_TYPE_BOOLEAN
        entry.boolean_value = value
    else:
        entry.type = pb.DATA_TYPE_DOUBLE
        entry.double_value = value


def _quality(properties: pb.PropertySet, quality: int) -> None:
    # A signed 32-bit integer (Sparkplug 3.0, 6.4.15).
    properties.keys.append(QUALITY)
    properties.values.add(type=pb.DATA_TYPE_INT32, int_value=quality)


def _limits(properties: pb.PropertySet, point: WritablePoint) -> None:
    _property(properties, "writable", True)
    for key, limit in (("minimum", point.minimum), ("maximum", point.maximum)):
        if limit is not None:
            _property(properties, key, float(limit))


def _bd_seq(payload: pb.Payload, number: int, now_ms: int) -> None:
    payload.metrics.add(
        name=BD_SEQ, timestamp=now_ms, datatype=pb.DATA_TYPE_INT64, long_value=number
    )


def _batch_metrics(payload: pb.Payload, now_ms: int, boot_epoch: int, batch: int) -> None:
    # By name: whoever reads them may not have seen the birth of that boot epoch.
    for name, value in ((BOOT_EPOCH, boot_epoch), (BATCH, batch)):
        payload.metrics.add(name=name, timestamp=now_ms, long_value=value)


def node_birth(
    now_ms: int,
    bd_seq: int,
    boot_epoch: int,
    first_batch: int,
    node_metrics: Mapping[str, float],
    controls: Mapping[str, int] = MappingProxyType({}),
    earlier: Sequence[tuple[int, int, int]] = (),
) -> pb.Payload:
    """Return the NBIRTH: sequence 0, the death's number, controls, and the agent's own metrics.

    `controls` are what else an NCMD may set, with their datatypes; `earlier` are boot epoch, first
    and last batch of each earlier boot that is still to come.
    """
    payload = pb.Payload(timestamp=now_ms, seq=0)
    _bd_seq(payload, bd_seq, now_ms)
    rebirth = payload.metrics.add(name=REBIRTH, timestamp=now_ms, datatype=pb.DATA_TYPE_BOOLEAN)
    rebirth.boolean_value = False
    arrays = dict.fromkeys((RESEND, LOST), pb.DATA_TYPE_UINT64_ARRAY)
    for name, datatype in {**arrays, **controls}.items():
        control = payload.metrics.add(name=name, timestamp=now_ms, datatype=datatype)
        if datatype == pb.DATA_TYPE_BOOLEAN:
            control.boolean_value = False
        else:
            control.is_null = True
    # Declares the two that every batch carries, and where its batches begin.
    for name, number in (
        (BOOT_EPOCH, boot_epoch),
        (BATCH, first_batch),
        (FIRST_BATCH, first_batch),
    ):
        _uint64(payload.metrics.add(name=name, timestamp=now_ms), number)
    boots = payload.metrics.add(name=EARLIER, timestamp=now_ms, datatype=pb.DATA_TYPE_UINT64_ARRAY)
    boots.bytes_value = np.array(earlier, "<u8").tobytes()
    for place, (name, value) in enumerate(node_metrics.items()):
        _double(payload.metrics.add(name=name, alias=_ALIAS_NODE + place, timestamp=now_ms), value)
    return payload


def node_death(bd_seq: int, now_ms: int) -> pb.Payload:
    """Return the NDEATH, which has no sequence (Sparkplug 3.0, 6.4.25)."""
    payload = pb.Payload(timestamp=now_ms)
    _bd_seq(payload, bd_seq, now_ms)
    return payload


def node_data(
    now_ms: int, boot_epoch: int, batch: int, node_metrics: Mapping[str, float]
) -> pb.Payload:
    """Return an NDATA with the agent's own metrics, in the order of the birth."""
    payload = pb.Payload(timestamp=now_ms)
    _batch_metrics(payload, now_ms, boot_epoch, batch)
    for place, number in enumerate(node_metrics.values()):
        payload.metrics.add(alias=_ALIAS_NODE + place, timestamp=now_ms, double_value=number)
    return payload


def device_death(now_ms: int) -> pb.Payload:
    """Return a DDEATH."""
    return pb.Payload(timestamp=now_ms)


class DeviceCodec:
    """Births and data of one device; `index` makes its aliases unique within the node."""

    def __init__(self, device: Device, index: int, model: str = "") -> None:
        self.device = device
        # What the next birth says.
        self.model = model
        self._base = (index + 1) * _ALIASES_A_DEVICE
        self._aliases = {
            channel.name: self._base + _ALIAS_CHANNEL + place
            for place, channel in enumerate(device.channels)
        }

    @property
    def names(self) -> dict[int, str]:
        """What its aliases stand for."""
        return {alias: name for name, alias in self._aliases.items()}

    def birth(self, now_ms: int, writable: Sequence[WritablePoint] = ()) -> pb.Payload:
        """Return the DBIRTH: every metric with name, alias, type and properties."""
        payload = pb.Payload(timestamp=now_ms)
        device = self.device
        facts: dict[str, Fact] = {
            "Class": device.equipment_class,
            "Path": device.path,
            "Description": device.description,
            "Clock": device.clock,
            **device.facts,
        }
        for name, value in facts.items():
            _fact(payload.metrics.add(name=f"Equipment/{name}", timestamp=now_ms), value)
        _string(payload.metrics.add(name=MODEL, timestamp=now_ms), self.model)
        for name in (BOOT_EPOCH, BATCH):
            payload.metrics.add(
                name=name, timestamp=now_ms, datatype=pb.DATA_TYPE_UINT64, is_null=True
            )
        payload.metrics.add(
            name=SCORE,
            alias=self._base + _ALIAS_SCORE,
            timestamp=now_ms,
            datatype=pb.DATA_TYPE_DOUBLE,
            is_null=True,
        )
        payload.metrics.add(
            name=CAPTURE,
            alias=self._base + _ALIAS_CAPTURE,
            timestamp=now_ms,
            datatype=pb.DATA_TYPE_STRING,
            is_null=True,
        )
        points = {point.name: point for point in writable}
        for channel in device.channels:
            metric = payload.metrics.add(
                name=channel.name,
                alias=self._aliases[channel.name],
                timestamp=now_ms,
                datatype=pb.DATA_TYPE_FLOAT_ARRAY,
                is_null=True,
            )
            _property(metric.properties, "engUnit", channel.unit)
            _property(metric.properties, "sampleRate", float(channel.sample_rate_hz))
            _property(metric.properties, "quantity", channel.quantity)
            if channel.location:
                _property(metric.properties, "location", channel.location)
            if point := points.pop(channel.name, None):
                _limits(metric.properties, point)
        for point in points.values():
            metric = payload.metrics.add(name=point.name, timestamp=now_ms)
            encode(metric, point.datatype, point.value)
            _property(metric.properties, "engUnit", point.unit)
            _limits(metric.properties, point)
        return payload

    def data(
        self, block: Block, now_ms: int, boot_epoch: int, batch: int, score: float | None
    ) -> pb.Payload:
        """Return the DDATA of a block; samples travel as float32."""
        payload = pb.Payload(timestamp=now_ms)
        start = block.start_time_ms
        # Metrics of a message are in the order of their times (Sparkplug 3.0, 5.16).
        _batch_metrics(payload, start, boot_epoch, batch)
        # The birth says the datatypes.
        if score is not None:
            payload.metrics.add(
                alias=self._base + _ALIAS_SCORE, timestamp=start, double_value=score
            )
        if block.capture:
            payload.metrics.add(
                alias=self._base + _ALIAS_CAPTURE, timestamp=start, string_value=block.capture
            )
        offsets = block.offsets_ms
        for name in sorted(block.samples, key=lambda n: offsets.get(n, 0)):
            metric = payload.metrics.add(
                alias=self._aliases[name],
                timestamp=start + offsets.get(name, 0),
                bytes_value=np.ascontiguousarray(block.samples[name], "<f4").tobytes(),
            )
            if name in block.quality:
                _quality(metric.properties, block.quality[name])
        if block.late:
            for metric in payload.metrics:
                metric.is_historical = True
        return payload


def historical(payload: bytes) -> bytes:
    """Return a data payload with `is_historical` on every metric."""
    message = pb.Payload.FromString(payload)
    for metric in message.metrics:
        metric.is_historical = True
    return message.SerializeToString()


def with_sequence(payload: bytes, sequence: int) -> bytes:
    """Return a payload with Sparkplug's `seq`; concatenation is protobuf's way to set a field."""
    return payload + pb.Payload(seq=sequence).SerializeToString()
