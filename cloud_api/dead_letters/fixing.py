"""Change a payload that was set aside, so that it can be used; every difference is told. Pure.

What is not changed stays as it was, to the byte when nothing is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from cloud_api.dead_letters.datatypes import ValueRefused, guess, name_of, number_of, put, shown
from cloud_api.dead_letters.decoding import MAX_TIME_MS, NO_BIRTH, VALUES, Birth, sparkplug
from cloud_api.v1 import dead_letters_pb2 as pb
from edge_agent.v1.sparkplug_b_pb2 import Metric, Payload

ALIAS = "alias:"
# What no level of a topic may hold (docs/contracts.md).
FORBIDDEN = frozenset("/+#.*> \t\r\n")
MAX_LEVEL = 60
ALL = 1 << 30


class FixRefused(ValueError):  # noqa: N818
    """A fix cannot be made; `field` is its place in the request, the message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is to be replayed, and how it differs from what came."""

    topic: str
    payload: bytes
    changes: tuple[pb.PayloadChange, ...] = ()


def content_hash(topic: str, payload: bytes) -> str:
    """Return what tells one content from another."""
    return hashlib.sha256(topic.encode() + b"\0" + payload).hexdigest()


def fixed(topic: str, payload: bytes, fix: pb.DeadLetterFix, birth: Birth = NO_BIRTH) -> Fixed:
    """Return a payload as `fix` wants it; names of metrics are those of `birth` too.

    Raises:
        FixRefused: it cannot be made.
    """
    changes: list[pb.PayloadChange] = []
    within = fix.HasField("shift_time") or fix.edits or fix.keep_decoded
    if fix.payload:
        if within:
            raise FixRefused("payload", "new bytes replace everything: give no other changes")
        changes.append(_change("payload", _bytes(payload), _bytes(fix.payload)))
        payload = fix.payload
    elif within:
        message = _parsed(payload, fix.keep_decoded, changes)
        if fix.HasField("shift_time"):
            _shift(message, fix.shift_time.ToMilliseconds(), changes)
        for index, edit in enumerate(fix.edits):
            try:
                _edit(message, edit, birth, changes)
            except ValueError as error:
                raise FixRefused(f"edits[{index}]", str(error)) from error
        payload = message.SerializeToString()
    if fix.device:
        topic = _redirected(topic, fix.device, changes)
    return Fixed(topic, payload, tuple(changes))


def _change(what: str, before: str, after: str) -> pb.PayloadChange:
    return pb.PayloadChange(what=what, before=before, after=after)


def _bytes(payload: bytes) -> str:
    return f"{len(payload)} bytes, SHA-256 {hashlib.sha256(payload).hexdigest()[:16]}…"


def _parsed(payload: bytes, keep_decoded: bool, changes: list[pb.PayloadChange]) -> Payload:
    try:
        return Payload.FromString(payload)
    except DecodeError:
        pass
    found = sparkplug(payload)
    if not keep_decoded:
        where = f" at byte {found.fault.offset}: {found.fault.detail}" if found.fault else ""
        raise FixRefused(
            "keep_decoded",
            f"it does not decode{where}; go on with what could be decoded, or give new bytes",
        )
    whole = [f for f in found.fields if f.whole and f.name]
    kept = b"".join(payload[f.offset : f.offset + f.size] for f in whole)
    try:
        message = Payload.FromString(kept)
    except DecodeError as error:
        raise FixRefused("keep_decoded", "nothing of it can be used: give new bytes") from error
    if not message.metrics:
        raise FixRefused("keep_decoded", "no metric of it can be used: give new bytes")
    left_out = len(payload) - len(kept)
    changes.append(_change("left out", f"{left_out} bytes that do not decode", ""))
    return message


def _shift(message: Payload, by_ms: int, changes: list[pb.PayloadChange]) -> None:
    if not by_ms:
        raise FixRefused("shift_time", "is zero")
    if message.HasField("timestamp"):
        before = message.timestamp
        message.timestamp = _shifted(before, by_ms)
        changes.append(_change("time of sending", _time(before), _time(message.timestamp)))
    timed = [metric for metric in message.metrics if metric.HasField("timestamp")]
    for metric in timed:
        metric.timestamp = _shifted(metric.timestamp, by_ms)
    if timed:
        first = min(metric.timestamp for metric in timed)
        what = "time of 1 metric" if len(timed) == 1 else f"times of {len(timed)} metrics, first"
        changes.append(_change(what, _time(first - by_ms), _time(first)))


def _shifted(time_ms: int, by_ms: int) -> int:
    if not 0 <= time_ms + by_ms <= MAX_TIME_MS:
        raise FixRefused("shift_time", f"{_time(time_ms)} cannot be moved so far")
    return time_ms + by_ms


def _time(milliseconds: int) -> str:
    if milliseconds > MAX_TIME_MS:
        return f"{milliseconds} ms"
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _named(metric: Metric, birth: Birth) -> str:
    if metric.name:
        return metric.name
    declared = birth.by_alias.get(metric.alias) if metric.HasField("alias") else None
    return declared.name if declared else f"{ALIAS}{metric.alias}"


def _finder(wanted: str, birth: Birth) -> Callable[[Metric], bool]:
    alias = wanted.removeprefix(ALIAS)
    if wanted.startswith(ALIAS) and alias.isdecimal():
        return lambda metric: metric.HasField("alias") and metric.alias == int(alias)
    return lambda metric: _named(metric, birth) == wanted


def _edit(
    message: Payload, edit: pb.MetricEdit, birth: Birth, changes: list[pb.PayloadChange]
) -> None:
    if not edit.metric:
        raise ValueRefused("name the metric")
    is_wanted = _finder(edit.metric, birth)
    metric = next(filter(is_wanted, message.metrics), None)
    if edit.remove:
        if metric is None:
            raise ValueRefused(f"there is no metric {edit.metric}")
        changes.append(_change(edit.metric, _value(metric, birth), "left out"))
        message.metrics.remove(metric)
        return
    if metric is None:
        if not edit.HasField("value") or edit.metric.startswith(ALIAS):
            raise ValueRefused(f"there is no metric {edit.metric}; give a value to add it")
        metric = message.metrics.add(name=edit.metric)
        if message.HasField("timestamp"):
            metric.timestamp = message.timestamp
        _give(metric, edit, birth)
        changes.append(_change(edit.metric, "", _value(metric, birth)))
        return
    if edit.HasField("name"):
        changes.append(_change(f"{edit.metric}: name", _named(metric, birth), edit.name))
        metric.ClearField("alias")
        metric.name = edit.name
    if edit.HasField("timestamp"):
        before = _time(metric.timestamp) if metric.HasField("timestamp") else ""
        metric.timestamp = _milliseconds(edit)
        changes.append(_change(f"{edit.metric}: time", before, _time(metric.timestamp)))
    if edit.HasField("value") or edit.HasField("datatype"):
        before = _value(metric, birth)
        _give(metric, edit, birth)
        changes.append(_change(f"{edit.metric}: value", before, _value(metric, birth)))


def _milliseconds(edit: pb.MetricEdit) -> int:
    found = edit.timestamp.ToMilliseconds()
    if found < 0:
        raise ValueRefused("a time before 1970 cannot be told")
    return found


def _declared(metric: Metric, birth: Birth) -> int:
    declared = (
        birth.by_alias.get(metric.alias)
        if metric.HasField("alias") and not metric.name
        else birth.by_name.get(metric.name)
    )
    return metric.datatype or (declared.datatype if declared else 0)


def _give(metric: Metric, edit: pb.MetricEdit, birth: Birth) -> None:
    """Give a metric value and datatype, or only the datatype and its value as that."""
    known = _declared(metric, birth)
    wanted = number_of(edit.datatype) if edit.HasField("datatype") else known
    if edit.HasField("value"):
        text = edit.value
    else:
        kind = metric.WhichOneof("value")
        if kind not in VALUES:
            raise ValueRefused("it has no value that could be another datatype")
        text = shown(getattr(metric, kind), known, ALL)[0]
    wanted = wanted or guess(_json(text))
    put(metric, text, wanted)
    if edit.HasField("datatype") or not known:
        metric.datatype = wanted


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _value(metric: Metric, birth: Birth) -> str:
    kind = metric.WhichOneof("value")
    datatype = _declared(metric, birth)
    if kind not in VALUES:
        return "null" if metric.is_null else kind or ""
    text, count, _ = shown(getattr(metric, kind), datatype)
    more = f" ({count} values)" if count else ""
    return f"{text}{more} {name_of(datatype)}".rstrip()


def _redirected(topic: str, device: str, changes: list[pb.PayloadChange]) -> str:
    levels = topic.split("/")
    if len(levels) != 5:
        raise FixRefused("device", f"{topic} is no topic of a device")
    if FORBIDDEN.intersection(device) or len(device) > MAX_LEVEL:
        raise FixRefused("device", f"{device!r} is no tag of a device")
    changes.append(_change("device", levels[4], device))
    return "/".join([*levels[:4], device])
