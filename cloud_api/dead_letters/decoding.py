"""Decode what was set aside as far as it goes: Sparkplug, JSON, text, or none of them.

Pure, and total: any bytes give a result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from cloud_api.dead_letters.datatypes import name_of, shown
from cloud_api.dead_letters.wire import Fault, Field, Read, read
from cloud_api.v1 import dead_letters_pb2 as pb
from edge_agent.v1.sparkplug_b_pb2 import Payload
from erp_modules.kernel.policies import descriptor_of
from stream_processor.v1.alert_pb2 import Advisory

NAMESPACE = "spBv1.0/"
# Of a payload, what is shown: metrics, and characters of a text.
MAX_METRICS = 500
MAX_TEXT = 20_000
# The end of the year 9999, the last that a protobuf timestamp holds.
MAX_TIME_MS = 253_402_300_799_000
VALUES = (
    "int_value",
    "long_value",
    "float_value",
    "double_value",
    "boolean_value",
    "string_value",
    "bytes_value",
)


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as a birth declared it."""

    name: str
    datatype: int


@dataclass(frozen=True, slots=True)
class Birth:
    """What a device's birth says of its metrics; `stored_ms` is when the log stored it."""

    by_alias: Mapping[int, Declared] = field(default_factory=dict)
    by_name: Mapping[str, Declared] = field(default_factory=dict)
    stored_ms: int = 0


NO_BIRTH = Birth()


def read_birth(payload: bytes, stored_ms: int = 0) -> Birth:
    """Return what a birth declares, as far as it can be decoded."""
    by_alias: dict[int, Declared] = {}
    by_name: dict[str, Declared] = {}
    for item in sparkplug(payload).all("metrics"):
        metric = item.value
        if not isinstance(metric, Read) or not (name := _text(metric.last("name"))):
            continue
        declared = by_name[name] = Declared(name, _number(metric.last("datatype")) or 0)
        alias = _number(metric.last("alias"))
        if alias is not None:
            by_alias[alias] = declared
    return Birth(by_alias, by_name, stored_ms)


def sparkplug(payload: bytes) -> Read:
    """Return what of a payload is Sparkplug's."""
    return read(payload, descriptor_of(Payload))


def decode(topic: str, payload: bytes, birth: Birth = NO_BIRTH) -> pb.DecodedPayload:
    """Return a payload decoded as far as it goes; aliases have their names by `birth`."""
    if not topic:
        return _advisory(payload)
    text = _written(payload)
    if not topic.startswith(NAMESPACE):
        return text
    if text.format == "json":
        text.fault.CopyFrom(pb.DecodingFault(detail="this is JSON, not a Sparkplug payload"))
        return text
    found = sparkplug(payload)
    if payload and not found.all("metrics") and text.format == "text":
        text.fault.CopyFrom(pb.DecodingFault(detail="this is text, not a Sparkplug payload"))
        return text
    metrics = found.all("metrics")
    decoded = pb.DecodedPayload(
        format="sparkplug",
        timestamp=_time(_number(found.last("timestamp"))),
        seq=_number(found.last("seq")),
        metrics=[_metric(item, birth) for item in metrics[:MAX_METRICS]],
        metrics_left_out=max(0, len(metrics) - MAX_METRICS),
        birth_time=_time(birth.stored_ms or None),
    )
    _fail(decoded, found.fault)
    return decoded


def _fail(decoded: pb.DecodedPayload, fault: Fault | None) -> None:
    if fault is not None:
        decoded.fault.CopyFrom(pb.DecodingFault(offset=fault.offset, detail=fault.detail))


def _metric(item: Field, birth: Birth) -> pb.DecodedMetric:
    metric = item.value
    assert isinstance(metric, Read)
    name, alias = _text(metric.last("name")), _number(metric.last("alias"))
    declared = (
        birth.by_name.get(name) if name else birth.by_alias.get(-1 if alias is None else alias)
    )
    datatype = _number(metric.last("datatype"))
    found = pb.DecodedMetric(
        name=name or (declared.name if declared else ""),
        alias=alias,
        named_by_birth=not name and declared is not None,
        datatype=name_of(datatype or (declared.datatype if declared else 0)),
        timestamp=_time(_number(metric.last("timestamp"))),
        offset=item.offset,
        size_bytes=item.size,
        is_null=metric.last("is_null") is True,
        is_historical=metric.last("is_historical") is True,
    )
    value = next((f for f in reversed(metric.fields) if f.name and f.name.endswith("_value")), None)
    if value is not None and value.name in VALUES:
        found.value, found.count, found.problem = shown(
            value.value, datatype or (declared.datatype if declared else 0)
        )
    elif value is not None and value.name:
        found.value = json.dumps(f"{value.name.removesuffix('_value')} of {value.size} bytes")
    if not item.whole:
        found.problem = "ends too early"
    elif birth.stored_ms and declared is None and not name.startswith("Headrace/"):
        found.problem = found.problem or "is not in the device's birth"
    elif datatype and declared and declared.datatype not in (0, datatype):
        found.problem = f"is declared {name_of(declared.datatype)} by the birth"
    return found


def _advisory(payload: bytes) -> pb.DecodedPayload:
    try:
        return pb.DecodedPayload(
            format="advisory", text=MessageToJson(Advisory.FromString(payload))[:MAX_TEXT]
        )
    except (DecodeError, ValueError):
        return _written(payload)


def _written(payload: bytes) -> pb.DecodedPayload:
    """Return JSON in readable lines, else text, else bytes."""
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        found = pb.DecodedPayload(format="bytes")
        _fail(found, Fault(error.start, "this is no text"))
        return found
    if text.lstrip()[:1] in ("{", "["):
        try:
            lines = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
            # JSON may escape what is no character.
            lines = lines[:MAX_TEXT].encode(errors="replace").decode()
            return pb.DecodedPayload(format="json", text=lines)
        except json.JSONDecodeError as error:
            found = pb.DecodedPayload(format="text", text=text[:MAX_TEXT])
            at = len(text[: error.pos].encode())
            _fail(found, Fault(at, f"as JSON: {error.msg.lower()}"))
            return found
        except (ValueError, RecursionError):
            pass
    if text.isprintable() or all(c.isprintable() or c in "\r\n\t" for c in text):
        return pb.DecodedPayload(format="text", text=text[:MAX_TEXT])
    found = pb.DecodedPayload(format="bytes")
    at = next(i for i, c in enumerate(text) if not (c.isprintable() or c in "\r\n\t"))
    _fail(found, Fault(len(text[:at].encode()), "this is no text"))
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(milliseconds: int | None) -> Timestamp | None:
    if milliseconds is None or milliseconds > MAX_TIME_MS:
        return None
    found = Timestamp()
    found.FromMilliseconds(milliseconds)
    return found
