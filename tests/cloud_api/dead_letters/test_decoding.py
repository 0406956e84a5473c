"""Whatever was set aside is decoded as far as it goes."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_api.dead_letters.decoding import NO_BIRTH, decode, read_birth, sparkplug
from cloud_api.v1.dead_letters_pb2 import DecodedMetric
from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload

TOPIC = "spBv1.0/riverside/DDATA/gateway-1/P-101"

names = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)
times = st.integers(0, 253_402_300_799_000)


@st.composite
def payloads(draw: Any) -> Payload:
    payload = Payload(timestamp=draw(times), seq=draw(st.integers(0, 255)))
    for _ in range(draw(st.integers(0, 5))):
        metric = payload.metrics.add(name=draw(names), timestamp=draw(times))
        if draw(st.booleans()):
            metric.alias = draw(st.integers(0, 2**64 - 1))
        match draw(st.integers(0, 4)):
            case 0:
                metric.datatype = DataType.DATA_TYPE_DOUBLE
                metric.double_value = draw(st.floats())
            case 1:
                metric.datatype = DataType.DATA_TYPE_UINT64
                metric.long_value = draw(st.integers(0, 2**64 - 1))
            case 2:
                metric.datatype = DataType.DATA_TYPE_STRING
                metric.string_value = draw(st.text())
            case 3:
                metric.datatype = DataType.DATA_TYPE_FLOAT_ARRAY
                values = draw(st.lists(st.floats(width=32), max_size=20))
                metric.bytes_value = np.asarray(values, dtype="<f4").tobytes()
            case 4:
                metric.datatype = DataType.DATA_TYPE_BOOLEAN
                metric.boolean_value = draw(st.booleans())
                metric.properties.keys.append("engUnit")
                metric.properties.values.add(type=12, string_value=draw(names))
    return payload


def block(*samples: float) -> Payload:
    payload = Payload(timestamp=1_700_000_000_000, seq=7)
    payload.metrics.add(
        alias=3,
        timestamp=1_700_000_000_000,
        datatype=DataType.DATA_TYPE_FLOAT_ARRAY,
        bytes_value=np.asarray(samples, dtype="<f4").tobytes(),
    )
    payload.metrics.add(name="Headrace/Batch", datatype=8, long_value=12)
    return payload


def birth() -> bytes:
    payload = Payload(timestamp=1)
    payload.metrics.add(name="Vibration", alias=3, datatype=DataType.DATA_TYPE_FLOAT_ARRAY)
    payload.metrics.add(name="Temperature", alias=4, datatype=DataType.DATA_TYPE_DOUBLE)
    return payload.SerializeToString()


@given(st.binary(max_size=400), st.sampled_from([TOPIC, "", "points.riverside.P-101"]))
def test_any_bytes_give_a_result(data: bytes, topic: str) -> None:
    found = decode(topic, data)
    assert found.format in {"sparkplug", "advisory", "json", "text", "bytes"}
    assert found.SerializeToString() is not None
    if found.HasField("fault"):
        assert 0 <= found.fault.offset <= len(data)
        assert found.fault.detail


@given(payloads(), st.data())
def test_bytes_that_were_spoiled_give_a_result(payload: Payload, data: st.DataObject) -> None:
    spoiled = bytearray(payload.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        if spoiled:
            spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    found = decode(TOPIC, bytes(spoiled))
    read = sparkplug(bytes(spoiled))
    try:
        Payload.FromString(bytes(spoiled))
    except DecodeError:
        assert read.fault is not None
    assert found.format


@given(payloads())
def test_what_is_valid_is_decoded_whole(payload: Payload) -> None:
    read = sparkplug(payload.SerializeToString())
    assert read.fault is None
    found = decode(TOPIC, payload.SerializeToString())
    if found.format != "sparkplug":
        # Such as a payload of a few bytes that are letters too.
        assert not payload.metrics
        return
    assert found.timestamp.ToMilliseconds() == payload.timestamp
    assert found.seq == payload.seq
    assert [m.name for m in found.metrics] == [m.name for m in payload.metrics]
    for metric, shown in zip(payload.metrics, found.metrics, strict=True):
        value = json.loads(shown.value)
        match metric.WhichOneof("value"):
            case "bytes_value":
                samples = np.frombuffer(metric.bytes_value, dtype="<f4")
                assert shown.count == samples.size
                np.testing.assert_array_equal(np.float32(value), samples[:8])
            case str(kind):
                assert repr(value) == repr(getattr(metric, kind))


@given(payloads(), st.data())
@settings(max_examples=200)
def test_what_was_cut_is_decoded_up_to_the_cut(payload: Payload, data: st.DataObject) -> None:
    whole = payload.SerializeToString()
    cut = data.draw(st.integers(0, len(whole)))
    full, part = sparkplug(whole), sparkplug(whole[:cut])
    complete = [f for f in full.fields if f.offset + f.size <= cut]
    # NaN is not itself: fields are compared as they are written.
    assert repr([f for f in part.fields if f.whole]) == repr(complete)
    ends = {0, *(f.offset + f.size for f in full.fields)}
    assert (part.fault is None) == (cut in ends)
    if part.fault is not None:
        assert part.fault.offset <= cut


def test_aliases_have_the_names_of_the_birth() -> None:
    found = decode(TOPIC, block(1.5, 0.1, 2.0).SerializeToString(), read_birth(birth(), 5))
    vibration, batch = found.metrics
    assert vibration.name == "Vibration"
    assert vibration.named_by_birth
    assert vibration.alias == 3
    assert vibration.datatype == "FloatArray"
    assert json.loads(vibration.value) == [1.5, 0.1, 2.0]
    assert vibration.count == 3
    assert not vibration.problem
    assert batch == DecodedMetric(
        name="Headrace/Batch",
        datatype="UInt64",
        value="12",
        offset=batch.offset,
        size_bytes=batch.size_bytes,
    )
    assert found.birth_time.ToMilliseconds() == 5


def test_without_a_birth_the_alias_is_all_there_is() -> None:
    first = decode(TOPIC, block(1.0).SerializeToString(), NO_BIRTH).metrics[0]
    assert (first.name, first.alias, first.named_by_birth) == ("", 3, False)


def test_what_differs_from_the_birth_is_said() -> None:
    payload = Payload(timestamp=1)
    payload.metrics.add(name="Temperature", datatype=DataType.DATA_TYPE_STRING, string_value="hot")
    payload.metrics.add(name="Humidity", datatype=DataType.DATA_TYPE_DOUBLE, double_value=1.0)
    payload.metrics.add(name="Vibration", alias=3, datatype=30, bytes_value=b"\0\0\0")
    problems = [
        m.problem
        for m in decode(TOPIC, payload.SerializeToString(), read_birth(birth(), 5)).metrics
    ]
    assert problems == [
        "is declared Double by the birth",
        "is not in the device's birth",
        "has 3 bytes, no multiple of 4",
    ]


@pytest.mark.parametrize(
    ("data", "offset", "what"),
    [
        (b"", 0, ""),
        (b"\x08", 1, "it ends within field timestamp"),
        (b"\x08\x01\x12\x05\x0a\x0a", 6, "field name says it has 10 bytes, 0 are left"),
        (b"\x08\x01\x17", 2, "field 2 is of wire type 7"),
        (b"\x08" + b"\xff" * 11, 1, "a number of more than 10 bytes"),
        (b"\x12\x04\x0a\x02\xff\xfe", 4, "is text and no UTF-8"),
        (b"\x00\x01", 0, "there is no field 0"),
    ],
)
def test_the_fault_is_where_decoding_ends(data: bytes, offset: int, what: str) -> None:
    found = decode(TOPIC, data)
    assert what in found.fault.detail
    if what:
        assert found.fault.offset == (offset if "says" not in what else found.fault.offset)


def test_json_and_text_on_a_sparkplug_topic_are_said_to_be_that() -> None:
    found = decode(TOPIC, b'{"temperature": 21.5}')
    assert (found.format, json.loads(found.text)) == ("json", {"temperature": 21.5})
    assert found.fault.detail == "this is JSON, not a Sparkplug payload"
    assert decode(TOPIC, "Grüße".encode()).text == "Grüße"
    broken = decode("plant/state", b'{"a": 1,}')
    assert (broken.format, broken.fault.offset) == ("text", 8)
    assert decode("plant/state", struct.pack("<d", 1.5)).format == "bytes"
