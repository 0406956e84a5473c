"""What messages say, as the options read them."""

from __future__ import annotations

import json
from math import isnan, nan
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import BAD, GOOD, STALE
from edge_agent.drivers.mqtt.mapping import MessageMap, UnreadableError, matches
from edge_agent.drivers.mqtt.options import Options

NOW = 1_767_592_800_000.0


def message_map(subscription: dict[str, Any], **more: Any) -> MessageMap:
    options = {
        "broker": {"host": "localhost"},
        "devices": [{"tag": "P-101", "key": "pump"}, {"tag": "P-102", "key": "7"}],
        "subscriptions": [{"topic": "plant/+", "device": {"tag": "P-101"}, **subscription}],
        **more,
    }
    return MessageMap(msgspec.convert(options, Options))


@pytest.mark.parametrize(
    ("topic", "wanted", "match"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/+", True),
        ("a/b/c", "a/+", False),
        ("a", "a/#", True),
        ("a/b/c", "a/#", True),
        ("$SYS/x", "#", False),
        ("$SYS/x", "+/x", False),
        ("a/b", "$share/g/a/+", True),
        ("/a", "+/a", True),
        ("a/", "a/+", True),
    ],
)
def test_which_topics_a_filter_means(topic: str, wanted: str, match: bool) -> None:
    assert matches(topic, wanted) is match


@pytest.mark.parametrize(
    ("form", "given_time"),
    [
        ("s", 1_767_592_700),
        ("s", "1767592700.0"),
        ("ms", 1_767_592_700_000),
        ("us", 1_767_592_700_000_000),
        ("ns", 1_767_592_700_000_000_000),
        ("iso8601", "2026-01-05T05:58:20Z"),
        ("iso8601", "2026-01-05T06:58:20.000+01:00"),
        ("iso8601", "2026-01-05 05:58:20"),
    ],
)
def test_times(form: str, given_time: Any) -> None:
    reader = message_map(
        {"time": {"path": "t", "format": form}, "channels": [{"name": "V", "value": "v"}]}
    )
    (reading,) = reader.read(
        "plant/x", json.dumps({"t": given_time, "v": 1}).encode(), NOW
    ).readings
    assert reading.time_ms == NOW - 100_000


@pytest.mark.parametrize("given_time", ["yesterday", True, -5, 1e30, [], "1e400"])
def test_a_time_that_is_none_is_a_problem(given_time: Any) -> None:
    reader = message_map(
        {"time": {"path": "t", "format": "ms"}, "channels": [{"name": "V", "value": "v"}]}
    )
    said = reader.read("plant/x", json.dumps({"t": given_time, "v": 1}).encode(), NOW)
    assert said.readings == []
    assert "is no time in ms" in said.problems[0]


def test_a_time_that_is_ahead_is_not_believed() -> None:
    reader = message_map(
        {"time": {"path": "t", "format": "ms"}, "channels": [{"name": "V", "value": "v"}]}
    )
    (reading,) = reader.read("plant/x", b'{"t": 1767593900000, "v": 1}', NOW).readings
    assert (reading.time_ms, reading.is_doubted) == (NOW, True)


@pytest.mark.parametrize(
    ("payload", "value"),
    [("21.5", 43.0), ('"21.5"', 43.0), ("true", 2.0), ('"ON"', 20.0), ("null", nan)],
)
def test_values(payload: str, value: float) -> None:
    reader = message_map(
        {"channels": [{"name": "V", "value": "", "scale": 2.0, "texts": {"ON": 10.0}}]}
    )
    (reading,) = reader.read("plant/x", payload.encode(), NOW).readings
    assert reading.value == value or (isnan(value) and isnan(reading.value))
    assert reading.quality == (BAD if isnan(value) else GOOD)


@pytest.mark.parametrize("payload", ['"OFF"', '"nan"', '"inf"', "{}", "[1]"])
def test_what_is_no_number_is_a_problem(payload: str) -> None:
    said = message_map({"channels": [{"name": "V", "value": ""}]}).read(
        "plant/x", payload.encode(), NOW
    )
    assert said.readings == []
    assert "is no number" in said.problems[0]


def test_items_tell_their_device_channel_time_and_quality() -> None:
    reader = message_map(
        {
            "items": "readings[*]",
            "device": {"path": "id"},
            "time": {"path": "t", "format": "s"},
            "quality": {"path": "q", "good": ["ok"], "stale": ["old"]},
            "channels": [
                {"name": "T", "value": "v", "where": {"kind": "temp"}},
                {"name": "P", "value": "v", "where": {"kind": "press"}, "scale": 0.1},
            ],
        }
    )
    items = [
        {"id": "pump", "t": 1_767_592_799, "kind": "temp", "v": 50, "q": "ok"},
        {"id": 7, "t": 1_767_592_798, "kind": "press", "v": 50, "q": "old"},
        {"id": "pump", "kind": "press", "v": 60},
        {"id": "fan", "kind": "temp", "v": 1},
        {"id": "pump", "kind": "flow", "v": 1},
        "noise",
    ]
    said = reader.read("plant/x", json.dumps({"readings": items}).encode(), NOW)
    got = [(r.device, r.channel, NOW - r.time_ms, r.value, r.quality) for r in said.readings]
    assert got == [
        ("P-101", "T", 1000, 50, GOOD),
        ("P-102", "P", 2000, 5, STALE),
        ("P-101", "P", 0, 6, BAD),
    ]
    assert [p.partition(" ")[0] for p in said.problems] == ["'fan'", "None"]


@pytest.mark.parametrize(
    ("time_of", "timed", "start"),
    [("first", True, -9000), ("last", True, -9300), ("first", False, -300)],
)
def test_a_waveform_begins_where_its_time_says(time_of: str, timed: bool, start: int) -> None:
    channel = {
        "name": "V",
        "value": "s[*].v",
        "waveform": True,
        "sample_rate_hz": 10.0,
        "time_of": time_of,
    }
    time = {"time": {"path": "t", "format": "s"}} if timed else {}
    payload = {"t": 1_767_592_791, "s": [{"v": 1}, {"v": None}, {"v": 3}, {"v": "4"}]}
    (reading,) = (
        message_map({"channels": [channel], **time})
        .read("plant/x", json.dumps(payload).encode(), NOW)
        .readings
    )
    assert reading.time_ms - NOW == start
    assert reading.samples is not None
    np.testing.assert_array_equal(reading.samples, [1, nan, 3, 4])


def test_a_topic_level_is_a_device() -> None:
    reader = message_map(
        {
            "topic": "plant/+/state",
            "device": {"topic_level": 1},
            "channels": [{"name": "V", "value": "v"}],
        }
    )
    said = [reader.read(f"plant/{key}/state", b'{"v": 1}', NOW) for key in ("pump", "7", "fan")]
    assert [[r.device for r in one.readings] for one in said] == [["P-101"], ["P-102"], []]
    assert said[2].problems == ["'fan' is none of the devices"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"v": nan}',
        b"[" * 100_000,
        b'{"v": "\xff"}',
        b" " * 300,
        b"1" * 400,
    ],
)
def test_what_is_malformed_is_refused(payload: bytes) -> None:
    reader = message_map({"channels": [{"name": "V", "value": "v"}]}, max_payload_bytes=200_000)
    try:
        said = reader.read("plant/x", payload, NOW)
    except UnreadableError:
        return
    assert said.readings == []


def test_what_is_too_large_is_refused() -> None:
    reader = message_map({"channels": [{"name": "V", "value": "v"}]}, max_payload_bytes=10)
    with pytest.raises(UnreadableError, match="max_payload_bytes"):
        reader.read("plant/x", b'{"v": 1.00000}', NOW)


def test_presence() -> None:
    reader = message_map(
        {"channels": [{"name": "V", "value": "v"}]},
        availability=[
            {"topic": "plant/+/availability", "device": {"topic_level": 1}, "offline": ["gone"]},
            {"topic": "bridge", "payload": "json", "path": "state"},
        ],
    )
    (one,) = reader.read("plant/7/availability", b"gone", NOW).presences
    assert (one.devices, one.is_online) == (["P-102"], False)
    (all_,) = reader.read("bridge", b'{"state": "online"}', NOW).presences
    assert (list(all_.devices), all_.is_online) == (["P-101", "P-102"], True)
    assert "neither" in reader.read("bridge", b'{"state": "maybe"}', NOW).problems[0]


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda below: (
            st.lists(below, max_size=4) | st.dictionaries(st.sampled_from("tvqids"), below)
        ),
    ).map(lambda d: json.dumps(d).encode())
)
def test_no_message_is_more_than_refused(payload: bytes) -> None:
    reader = message_map(
        {
            "items": "s[*]",
            "device": {"path": "i"},
            "time": {"path": "t", "format": "iso8601"},
            "quality": {"path": "q", "good": [1]},
            "channels": [
                {"name": "V", "value": "v"},
                {"name": "W", "value": "d", "waveform": True, "time_of": "last"},
            ],
        }
    )
    try:
        said = reader.read("plant/x", payload, NOW)
    except UnreadableError:
        return
    assert all(r.device in ("P-101", "P-102") for r in said.readings)
