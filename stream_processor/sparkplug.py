"""Read births and blocks: pure functions from Sparkplug payloads to equipment and samples."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import DecodeError

from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload, PropertySet
from stream_processor.frames import Array, ChannelInfo, EquipmentInfo
from stream_processor.v1 import dead_letter_pb2 as dl

BD_SEQ = "bdSeq"
BOOT_EPOCH = "Headrace/Boot Epoch"
BATCH = "Headrace/Batch"
FIRST_BATCH = "Headrace/First Batch"
EDGE_SCORE = "Edge/Score"
EDGE_CAPTURE = "Edge/Capture"
EDGE_MODEL = "Edge/Model"
FACT_PREFIX = "Equipment/"
REBIRTH = "Node Control/Rebirth"
RESEND = "Node Control/Resend"
CLOCKS = ("live", "simulated", "recording")
RESERVED = ("Headrace/", "Equipment/", "Edge/", "Node Control/", "bdSeq")

_ARRAYS = {DataType.DATA_TYPE_FLOAT_ARRAY: "<f4", DataType.DATA_TYPE_DOUBLE_ARRAY: "<f8"}
_SIGNED = {
    DataType.DATA_TYPE_INT8: 8,
    DataType.DATA_TYPE_INT16: 16,
    DataType.DATA_TYPE_INT32: 32,
    DataType.DATA_TYPE_INT64: 64,
}
_UNSIGNED = {
    DataType.DATA_TYPE_UINT8,
    DataType.DATA_TYPE_UINT16,
    DataType.DATA_TYPE_UINT32,
    DataType.DATA_TYPE_UINT64,
}
_SCALARS = {*_SIGNED, *_UNSIGNED, DataType.DATA_TYPE_FLOAT, DataType.DATA_TYPE_DOUBLE}


class BadInputError(ValueError):
    """A message cannot be used; `reason` says why in the contract's words."""

    def __init__(self, reason: dl.DeadLetterReason.ValueType, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as a birth declared it."""

    name: str
    datatype: int


@dataclass(frozen=True, slots=True)
class Birth:
    """A device's birth: the equipment, and what its aliases mean."""

    info: EquipmentInfo
    by_alias: Mapping[int, Declared]
    by_name: Mapping[str, Declared]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Numbers:
    """The batch numbers of a message; `batch` is None when it carries none."""

    epoch: int | None
    batch: int | None
    first_batch: int | None = None

    @property
    def boot_epoch(self) -> int:
        """The boot epoch, 0 of a foreign device."""
        return self.epoch or 0


@dataclass(frozen=True, slots=True)
class Block:
    """The samples of one period; `start_time_ms` is the event time of the first.

    `offsets_ms` is how much later the first sample of a channel lies, where it does; `capture` says
    why waveforms were captured, empty when they were not.
    """

    start_time_ms: int
    samples: Mapping[str, Array]
    edge_score: float | None
    missing: int
    infinite: int
    capture: str = ""
    offsets_ms: Mapping[str, int] = field(default_factory=dict)


def parse(payload: bytes, needs_metrics: bool = True) -> Payload:
    """Return the message in `payload`.

    Raises:
        BadInputError: it is no Sparkplug payload, or has no metric though it needs some.
    """
    message = Payload()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise BadInputError(
            dl.DEAD_LETTER_REASON_UNDECODABLE, f"{len(payload)} bytes are no Sparkplug payload"
        ) from error
    if needs_metrics and not message.metrics:
        raise BadInputError(dl.DEAD_LETTER_REASON_UNDECODABLE, "the payload has no metric")
    return message


def _wrong_type(detail: str) -> BadInputError:
    return BadInputError(dl.DEAD_LETTER_REASON_WRONG_TYPE, detail)


def _scalar(metric: Metric, datatype: int, name: str) -> float | int:
    """Return a numeric value; integers come as unsigned fields in two's complement."""
    kind = metric.WhichOneof("value")
    value: float | int
    if datatype == DataType.DATA_TYPE_FLOAT and kind == "float_value":
        value = metric.float_value
    elif datatype == DataType.DATA_TYPE_DOUBLE and kind == "double_value":
        value = metric.double_value
    elif datatype in _SIGNED or datatype in _UNSIGNED:
        if kind not in ("int_value", "long_value"):
            raise _wrong_type(f"{name} is declared an integer and has {kind or 'no value'}")
        value = metric.int_value if kind == "int_value" else metric.long_value
        bits = _SIGNED.get(DataType.ValueType(datatype))
        if bits is not None:
            value &= (1 << bits) - 1
            value -= (value >> (bits - 1)) << bits
    else:
        raise _wrong_type(f"{name} is declared {_name(datatype)} and has {kind or 'no value'}")
    return value


def _name(datatype: int) -> str:
    known = datatype in DataType.values()
    return DataType.Name(DataType.ValueType(datatype)) if known else f"datatype {datatype}"


def _properties(properties: PropertySet) -> dict[str, str | float | int]:
    found: dict[str, str | float | int] = {}
    for key, value in zip(properties.keys, properties.values, strict=False):
        kind = value.WhichOneof("value")
        if kind in ("string_value", "double_value", "float_value", "int_value", "long_value"):
            found[key] = getattr(value, kind)
    return found


def number_aliases(payload: Payload) -> dict[int, str]:
    """Return the aliases that a birth gives the batch numbers."""
    return {
        metric.alias: metric.name
        for metric in payload.metrics
        if metric.name in (BOOT_EPOCH, BATCH) and metric.HasField("alias")
    }


def numbers(payload: Payload, aliases: Mapping[int, str]) -> Numbers:
    """Return the batch numbers of a message, by name or by alias; a foreign device has none.

    Raises:
        BadInputError: a number is of the wrong type.
    """
    found: dict[str, int] = {}
    for metric in payload.metrics:
        name = metric.name or aliases.get(metric.alias, "")
        if name in (BOOT_EPOCH, BATCH, FIRST_BATCH) and not metric.is_null:
            if metric.WhichOneof("value") not in ("long_value", "int_value"):
                raise _wrong_type(f"{name} is no whole number")
            found[name] = metric.long_value or metric.int_value
    if BATCH in found and (BOOT_EPOCH not in found or found[BATCH] < 1):
        raise _wrong_type(f"{BATCH} is {found[BATCH]} without a boot epoch or below 1")
    return Numbers(found.get(BOOT_EPOCH), found.get(BATCH), found.get(FIRST_BATCH))


def bd_seq(payload: Payload) -> int | None:
    """Return the number that a death shares with its birth, None when there is none."""
    for metric in payload.metrics:
        if metric.name == BD_SEQ and metric.WhichOneof("value") in ("long_value", "int_value"):
            return metric.long_value or metric.int_value
    return None


def died_ms(payload: bytes, received_ms: int) -> int:
    """Return when a DDEATH says that its device was lost, else `received_ms`.

    Raises:
        BadInputError: it is no Sparkplug payload.
    """
    return parse(payload, needs_metrics=False).timestamp or received_ms


def _channel(metric: Metric) -> ChannelInfo:
    properties = _properties(metric.properties)
    rate = properties.get("sampleRate", 1.0)
    if not isinstance(rate, float | int) or not (math.isfinite(rate) and rate > 0):
        raise _wrong_type(f"sampleRate of {metric.name} is {rate!r}, not a number above 0")
    return ChannelInfo(
        metric.name,
        str(properties.get("engUnit", "1")),
        float(rate),
        str(properties.get("quantity", "other")),
        str(properties.get("location", "")),
    )


def _is_setpoint(metric: Metric) -> bool:
    """Return whether a metric is there to be written to only: no samples of it come."""
    return metric.datatype not in _ARRAYS and "writable" in metric.properties.keys


def read_birth(site: str, edge_node: str, equipment: str, payload: bytes) -> Birth:
    """Return what a device's birth declares.

    Raises:
        BadInputError: it cannot be decoded or declares something of the wrong type.
    """
    channels: dict[str, ChannelInfo] = {}
    facts: dict[str, str | int | float] = {}
    by_alias: dict[int, Declared] = {}
    by_name: dict[str, Declared] = {}
    edge_model = ""
    for metric in parse(payload).metrics:
        if not metric.name:
            raise _wrong_type("a metric of the birth has no name")
        declared = Declared(metric.name, metric.datatype)
        by_name[metric.name] = declared
        if metric.HasField("alias"):
            by_alias[metric.alias] = declared
        if metric.name.startswith(FACT_PREFIX):
            text = metric.WhichOneof("value") == "string_value"
            facts[metric.name.removeprefix(FACT_PREFIX)] = (
                metric.string_value if text else _scalar(metric, metric.datatype, metric.name)
            )
        elif metric.name == EDGE_MODEL:
            edge_model = metric.string_value
        elif metric.name.startswith(RESERVED) or _is_setpoint(metric):
            continue
        elif metric.datatype in _ARRAYS or metric.datatype in _SCALARS:
            channels[metric.name] = _channel(metric)
    clock = str(facts.pop("Clock", "live"))
    if clock not in CLOCKS:
        raise _wrong_type(f"Equipment/Clock is {clock!r}: one of {', '.join(CLOCKS)}")
    info = EquipmentInfo(
        site,
        edge_node,
        equipment,
        str(facts.pop("Class", "other")),
        str(facts.pop("Path", "")),
        clock,
        channels,
        facts,
        edge_model,
    )
    return Birth(info, by_alias, by_name, payload)


def _array(metric: Metric, declared: Declared) -> Array:
    layout = _ARRAYS.get(DataType.ValueType(declared.datatype))
    if layout is None:
        return np.array([_scalar(metric, declared.datatype, declared.name)], dtype=np.float64)
    kind = metric.WhichOneof("value")
    if kind != "bytes_value":
        raise _wrong_type(
            f"{declared.name} is declared {_name(declared.datatype)} and has {kind or 'no value'}"
        )
    size = np.dtype(layout).itemsize
    if len(metric.bytes_value) % size:
        raise _wrong_type(
            f"{declared.name} has {len(metric.bytes_value)} bytes, no multiple of {size}"
        )
    return np.frombuffer(metric.bytes_value, dtype=layout).astype(np.float64)


def _declared(birth: Birth, metric: Metric) -> Declared:
    declared = (
        birth.by_alias.get(metric.alias)
        if metric.HasField("alias")
        else birth.by_name.get(metric.name)
    )
    if declared is None:
        what = f"alias {metric.alias}" if metric.HasField("alias") else f"metric {metric.name!r}"
        raise BadInputError(
            dl.DEAD_LETTER_REASON_UNKNOWN_METRIC,
            f"{what} is not in the birth of {birth.info.equipment}",
        )
    if metric.HasField("datatype") and metric.datatype != declared.datatype:
        raise _wrong_type(
            f"{declared.name} is declared {_name(declared.datatype)} and came as "
            f"{_name(metric.datatype)}"
        )
    return declared


def read_block(birth: Birth, payload: Payload, aliases: Mapping[int, str]) -> Block:
    """Return the samples of a DDATA as float64, infinities as NaN, both counted.

    `aliases` are those of the batch numbers, which are no samples; their time counts, since every
    channel of a block may begin later than it.

    Raises:
        BadInputError: a metric is unknown, of the wrong type, or has a torn array.
    """
    samples: dict[str, Array] = {}
    times: dict[str, int] = {}
    score: float | None = None
    capture = ""
    missing = infinite = 0
    for metric in payload.metrics:
        if metric.name.startswith("Headrace/") or (
            metric.HasField("alias") and metric.alias in aliases
        ):
            if metric.HasField("timestamp"):
                times[metric.name] = metric.timestamp
            continue
        declared = _declared(birth, metric)
        if metric.is_null:
            continue
        if declared.name == EDGE_SCORE:
            value = float(_scalar(metric, declared.datatype, declared.name))
            score = value if math.isfinite(value) else None
            if metric.HasField("timestamp"):
                times[EDGE_SCORE] = metric.timestamp
            continue
        if declared.name == EDGE_CAPTURE:
            capture = metric.string_value
            continue
        if declared.name not in birth.info.channels:
            continue
        array = _array(metric, declared)
        absent = array.size - int(np.count_nonzero(np.isfinite(array)))
        if absent:
            missing += absent
            unbounded = np.isinf(array)
            infinite += int(np.count_nonzero(unbounded))
            array[unbounded] = np.nan
        samples[declared.name] = array
        if metric.HasField("timestamp"):
            times[declared.name] = metric.timestamp
    start = min(times.values(), default=payload.timestamp)
    offsets = {name: times[name] - start for name in samples if times.get(name, start) > start}
    return Block(start, samples, score, missing, infinite, capture, offsets)


def is_historical(payload: Payload) -> bool:
    """Return whether the message is a resend."""
    return any(metric.is_historical for metric in payload.metrics)


def rebirth_command(timestamp_ms: int) -> bytes:
    """Return the NCMD that asks for births."""
    payload = Payload(timestamp=timestamp_ms)
    payload.metrics.add(
        name=REBIRTH,
        timestamp=timestamp_ms,
        datatype=DataType.DATA_TYPE_BOOLEAN,
        boolean_value=True,
    )
    return payload.SerializeToString()


def resend_command(timestamp_ms: int, boot_epoch: int, first: int, last: int) -> bytes:
    """Return the NCMD that asks for the batches `first` to `last`."""
    payload = Payload(timestamp=timestamp_ms)
    payload.metrics.add(
        name=RESEND,
        timestamp=timestamp_ms,
        datatype=DataType.DATA_TYPE_UINT64_ARRAY,
        bytes_value=struct.pack("<3Q", boot_epoch, first, last),
    )
    return payload.SerializeToString()
