"""Build and read the payloads of an edge node; names and types are those of docs/contracts.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError

from edge_agent.drivers.base import Block, Device, Fact
from edge_agent.v1 import sparkplug_b_pb2 as pb

BOOT_EPOCH: Final = "Headrace/Boot Epoch"
BATCH: Final = "Headrace/Batch"
FIRST_BATCH: Final = "Headrace/First Batch"
BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"
RESEND: Final = "Node Control/Resend"
SCORE: Final = "Edge/Score"
MODEL: Final = "Edge/Model"

# Aliases are unique within an edge node: the node's own first, then a range for each device.
_ALIAS_SCORE: Final = 3
_ALIAS_NODE: Final = 10
_ALIASES_A_DEVICE: Final = 1000
_ALIAS_CHANNEL: Final = 10
MAX_CHANNELS: Final = _ALIASES_A_DEVICE - _ALIAS_CHANNEL

Payload = pb.Payload


class PayloadError(ValueError):
    """The bytes are no Sparkplug payload, or a command is not one of ours."""


@dataclass(frozen=True, slots=True)
class Command:
    """What an NCMD asks for: a rebirth, or batches of a boot epoch from `first` to `last`."""

    rebirth: bool = False
    resend: tuple[int, int, int] | None = None


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


def _property(properties: pb.PropertySet, key: str, value: str | float) -> None:
    properties.keys.append(key)
    entry = properties.values.add()
    if isinstance(value, str):
        entry.type = pb.DATA_TYPE_STRING
        entry.string_value = value
    else:
        entry.type = pb.DATA_TYPE_DOUBLE
        entry.double_value = value


def _batch_metrics(payload: pb.Payload, now_ms: int, boot_epoch: int, batch: int) -> None:
    # By name: whoever reads them may not have seen the birth of that boot epoch.
    for name, value in ((BOOT_EPOCH, boot_epoch), (BATCH, batch)):
        _uint64(payload.metrics.add(name=name, timestamp=now_ms), value)


def node_birth(
    now_ms: int,
    bd_seq: int,
    boot_epoch: int,
    first_batch: int,
    node_metrics: Mapping[str, float],
) -> pb.Payload:
    """Return the NBIRTH: sequence 0, the death's number, controls, and the agent's own metrics."""
    payload = pb.Payload(timestamp=now_ms, seq=0)
    _uint64(payload.metrics.add(name=BD_SEQ, timestamp=now_ms), bd_seq)
    rebirth = payload.metrics.add(name=REBIRTH, timestamp=now_ms, datatype=pb.DATA_TYPE_BOOLEAN)
    rebirth.boolean_value = False
    # Declares the two that every batch carries, and where its batches begin.
    _batch_metrics(payload, now_ms, boot_epoch, first_batch)
    _uint64(payload.metrics.add(name=FIRST_BATCH, timestamp=now_ms), first_batch)
    for place, (name, number) in enumerate(node_metrics.items()):
        _double(payload.metrics.add(name=name, alias=_ALIAS_NODE + place, timestamp=now_ms), number)
    return payload


def node_death(bd_seq: int, now_ms: int) -> pb.Payload:
    """Return the NDEATH, which has no sequence (Sparkplug 3.0, 6.4.25)."""
    payload = pb.Payload(timestamp=now_ms)
    _uint64(payload.metrics.add(name=BD_SEQ, timestamp=now_ms), bd_seq)
    return payload


def node_data(
    now_ms: int, boot_epoch: int, batch: int, node_metrics: Mapping[str, float]
) -> pb.Payload:
    """Return an NDATA with the agent's own metrics, in the order of the birth."""
    payload = pb.Payload(timestamp=now_ms)
    _batch_metrics(payload, now_ms, boot_epoch, batch)
    for place, number in enumerate(node_metrics.values()):
        _double(payload.metrics.add(alias=_ALIAS_NODE + place, timestamp=now_ms), number)
    return payload


def device_death(now_ms: int) -> pb.Payload:
    """Return a DDEATH."""
    return pb.Payload(timestamp=now_ms)


class DeviceCodec:
    """Births and data of one device; `index` makes its aliases unique within the node."""

    def __init__(self, device: Device, index: int, model: str = "") -> None:
        self.device = device
        self._model = model
        self._base = (index + 1) * _ALIASES_A_DEVICE
        self._aliases = {
            channel.name: self._base + _ALIAS_CHANNEL + place
            for place, channel in enumerate(device.channels)
        }

    def birth(self, now_ms: int) -> pb.Payload:
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
        _string(payload.metrics.add(name=MODEL, timestamp=now_ms), self._model)
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
        return payload

    def data(
        self, block: Block, now_ms: int, boot_epoch: int, batch: int, score: float | None
    ) -> pb.Payload:
        """Return the DDATA of a block; samples travel as float32."""
        payload = pb.Payload(timestamp=now_ms)
        _batch_metrics(payload, now_ms, boot_epoch, batch)
        for name, samples in block.samples.items():
            payload.metrics.add(
                alias=self._aliases[name],
                timestamp=block.start_time_ms,
                datatype=pb.DATA_TYPE_FLOAT_ARRAY,
                bytes_value=np.ascontiguousarray(samples, "<f4").tobytes(),
            )
        if score is not None:
            metric = payload.metrics.add(
                alias=self._base + _ALIAS_SCORE, timestamp=block.start_time_ms
            )
            _double(metric, score)
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


def read_command(payload: bytes) -> Command:
    """Read an NCMD.

    Raises:
        PayloadError: it cannot be decoded, or its resend is not three numbers.
    """
    try:
        metrics: Iterable[pb.Metric] = pb.Payload.FromString(payload).metrics
    except DecodeError as error:
        raise PayloadError(f"not a Sparkplug payload: {error}") from error
    rebirth, resend = False, None
    for metric in metrics:
        if metric.name == REBIRTH:
            rebirth = metric.boolean_value
        elif metric.name == RESEND:
            if len(metric.bytes_value) % 8:
                raise PayloadError(f"{RESEND}: {len(metric.bytes_value)} bytes are no UInt64Array")
            numbers = np.frombuffer(metric.bytes_value, "<u8")
            if len(numbers) != 3:
                raise PayloadError(f"{RESEND}: {len(numbers)} numbers, not epoch, first and last")
            resend = (int(numbers[0]), int(numbers[1]), int(numbers[2]))
    return Command(rebirth, resend)
