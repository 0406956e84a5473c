"""A fix changes what it says and nothing else, and tells every difference."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_api.dead_letters.datatypes import NAMES, ValueRefused, put, shown
from cloud_api.dead_letters.decoding import read_birth
from cloud_api.dead_letters.fixing import FixRefused, content_hash, fixed
from cloud_api.v1.dead_letters_pb2 import DeadLetterFix, MetricEdit, PayloadChange
from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload

TOPIC = "spBv1.0/riverside/DDATA/gateway-1/P-101"
DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


def payload() -> Payload:
    made = Payload(timestamp=NOW_MS, seq=3)
    made.metrics.add(
        alias=3,
        timestamp=NOW_MS,
        datatype=DataType.DATA_TYPE_FLOAT_ARRAY,
        bytes_value=np.asarray([1.0, 2.0], dtype="<f4").tobytes(),
    )
    made.metrics.add(
        name="Temperature",
        timestamp=NOW_MS + 5,
        datatype=DataType.DATA_TYPE_DOUBLE,
        double_value=21.5,
    )
    made.metrics.add(name="Headrace/Batch", datatype=8, long_value=7)
    return made


def birth() -> bytes:
    made = Payload(timestamp=1)
    made.metrics.add(name="Vibration", alias=3, datatype=DataType.DATA_TYPE_FLOAT_ARRAY)
    made.metrics.add(name="Temperature", alias=4, datatype=DataType.DATA_TYPE_DOUBLE)
    made.metrics.add(name="Speed", alias=5, datatype=DataType.DATA_TYPE_INT16)
    return made.SerializeToString()


def changed(fix: DeadLetterFix) -> tuple[Payload, list[tuple[str, str, str]]]:
    made = fixed(TOPIC, payload().SerializeToString(), fix, read_birth(birth(), 1))
    told = [(c.what, c.before, c.after) for c in made.changes]
    return Payload.FromString(made.payload), told


@given(st.binary(max_size=200))
def test_no_fix_changes_no_byte(data: bytes) -> None:
    made = fixed(TOPIC, data, DeadLetterFix())
    assert (made.topic, made.payload, made.changes) == (TOPIC, data, ())


@given(st.integers(-DAY_MS * 400, DAY_MS * 400).filter(bool))
def test_a_shift_moves_every_time_and_back_again(by_ms: int) -> None:
    forth, back = DeadLetterFix(), DeadLetterFix()
    forth.shift_time.FromMilliseconds(by_ms)
    back.shift_time.FromMilliseconds(-by_ms)
    data = payload().SerializeToString()
    moved = fixed(TOPIC, data, forth)
    message = Payload.FromString(moved.payload)
    assert message.timestamp == NOW_MS + by_ms
    assert [m.timestamp for m in message.metrics[:2]] == [NOW_MS + by_ms, NOW_MS + 5 + by_ms]
    assert not message.metrics[2].HasField("timestamp")
    assert Payload.FromString(fixed(TOPIC, moved.payload, back).payload) == payload()


def test_a_shift_is_told() -> None:
    fix = DeadLetterFix()
    fix.shift_time.FromMilliseconds(-DAY_MS)
    assert changed(fix)[1] == [
        ("time of sending", "2023-11-14T22:13:20.000Z", "2023-11-13T22:13:20.000Z"),
        ("times of 2 metrics, first", "2023-11-14T22:13:20.000Z", "2023-11-13T22:13:20.000Z"),
    ]


def test_a_metric_is_changed_by_its_name_or_its_alias() -> None:
    for which in ("Vibration", "alias:3"):
        fix = DeadLetterFix(edits=[MetricEdit(metric=which, value="[3.5, NaN]")])
        message, told = changed(fix)
        np.testing.assert_array_equal(
            np.frombuffer(message.metrics[0].bytes_value, "<f4"), np.float32([3.5, np.nan])
        )
        assert told == [
            (
                f"{which}: value",
                "[1.0, 2.0] (2 values) FloatArray",
                "[3.5, NaN] (2 values) FloatArray",
            )
        ]
        assert message.metrics[1:] == payload().metrics[1:]


def test_a_metric_that_is_missing_is_added_as_the_birth_declares_it() -> None:
    message, told = changed(DeadLetterFix(edits=[MetricEdit(metric="Speed", value="-1450")]))
    expected = Metric(name="Speed", timestamp=NOW_MS, int_value=(1 << 32) - 1450)
    assert message.metrics[3] == expected
    assert told == [("Speed", "", "-1450 Int16")]


def test_a_metric_gets_another_name_time_and_datatype() -> None:
    edit = MetricEdit(metric="Temperature", name="Speed", datatype="Float")
    edit.timestamp.FromMilliseconds(NOW_MS + 9)
    message, told = changed(DeadLetterFix(edits=[edit]))
    found = message.metrics[1]
    assert (found.name, found.timestamp, found.float_value) == ("Speed", NOW_MS + 9, 21.5)
    assert found.datatype == DataType.DATA_TYPE_FLOAT
    assert [what for what, _, _ in told] == [
        "Temperature: name",
        "Temperature: time",
        "Temperature: value",
    ]


def test_a_metric_is_left_out() -> None:
    message, told = changed(DeadLetterFix(edits=[MetricEdit(metric="Temperature", remove=True)]))
    assert [m.name for m in message.metrics] == ["", "Headrace/Batch"]
    assert told == [("Temperature", "21.5 Double", "left out")]


def test_what_was_cut_goes_on_with_the_metrics_before_the_cut() -> None:
    data = payload().SerializeToString()
    cut = data[:-3]
    with pytest.raises(FixRefused, match="it does not decode at byte"):
        fixed(TOPIC, cut, DeadLetterFix(edits=[MetricEdit(metric="Temperature", value="1")]))
    made = fixed(TOPIC, cut, DeadLetterFix(keep_decoded=True))
    kept = Payload.FromString(made.payload)
    assert list(kept.metrics) == list(payload().metrics[:2])
    assert kept.timestamp == NOW_MS
    assert made.changes[0].what == "left out"


def test_bytes_and_device_are_replaced() -> None:
    made = fixed(TOPIC, b"torn", DeadLetterFix(payload=b"whole", device="P-102"))
    assert made.payload == b"whole"
    assert made.topic == "spBv1.0/riverside/DDATA/gateway-1/P-102"
    assert made.changes[1] == PayloadChange(what="device", before="P-101", after="P-102")
    assert content_hash(made.topic, made.payload) != content_hash(TOPIC, made.payload)


@pytest.mark.parametrize(
    ("fix", "field", "why"),
    [
        (DeadLetterFix(edits=[MetricEdit(value="1")]), "edits[0]", "name the metric"),
        (DeadLetterFix(edits=[MetricEdit(metric="Nil", remove=True)]), "edits[0]", "there is no"),
        (
            DeadLetterFix(edits=[MetricEdit(metric="Temperature", value='"hot"')]),
            "edits[0]",
            '"hot" is no Double',
        ),
        (
            DeadLetterFix(edits=[MetricEdit(metric="Speed", value="40000")]),
            "edits[0]",
            "out of range of Int16",
        ),
        (
            DeadLetterFix(edits=[MetricEdit(metric="Temperature", datatype="Tripel")]),
            "edits[0]",
            "there is no datatype 'Tripel'",
        ),
        (DeadLetterFix(device="a/b"), "device", "is no tag"),
        (DeadLetterFix(payload=b"x", keep_decoded=True), "payload", "replace everything"),
    ],
)
def test_what_cannot_be_done_is_said_at_its_field(fix: DeadLetterFix, field: str, why: str) -> None:
    with pytest.raises(FixRefused, match=why) as refused:
        changed(fix)
    assert refused.value.field == field


@given(st.sampled_from(sorted(NAMES)), st.text() | st.integers().map(str))
def test_any_value_is_put_or_refused(datatype: int, text: str) -> None:
    metric = Metric()
    try:
        put(metric, text, datatype)
    except ValueRefused:
        return
    assert metric.is_null or metric.WhichOneof("value")


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=8))
def test_an_array_survives_its_writing(values: list[float]) -> None:
    metric = Metric()
    put(metric, json.dumps(values), DataType.DATA_TYPE_FLOAT_ARRAY)
    text, count, problem = shown(metric.bytes_value, DataType.DATA_TYPE_FLOAT_ARRAY)
    assert (np.float32(json.loads(text)) == np.float32(values)).all()
    assert (count, problem) == (len(values), "")
