"""What a host application makes of the messages of edge nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import BAD, GOOD, STALE
from edge_agent.drivers.sparkplug.nodes import (
    Away,
    Born,
    EdgeNodes,
    Event,
    MessageError,
    Values,
    flattened,
)
from edge_agent.sparkplug.metrics import Member, Table, Template, encode
from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload

DOUBLE = DataType.DATA_TYPE_DOUBLE
NOW = 1_767_592_800_000


def payload(seq: int | None, *metrics: Metric) -> bytes:
    made = Payload(timestamp=NOW, metrics=metrics)
    if seq is not None:
        made.seq = seq
    return made.SerializeToString()


def metric(name: str = "", datatype: int = DOUBLE, value: Any = 1.0, **more: Any) -> Metric:
    made = Metric(name=name, timestamp=NOW, **more)
    encode(made, datatype, value)
    return made


def bd_seq(number: int) -> Metric:
    return metric("bdSeq", DataType.DATA_TYPE_INT64, number)


class Host:
    """An `EdgeNodes` and what it was told."""

    def __init__(self) -> None:
        self.nodes = EdgeNodes(reorder_s=2.0)
        self.now = 0.0

    def hear(self, kind: str, content: bytes, device: str = "") -> list[Event]:
        return list(self.nodes.take(kind, "n", device, content, float(NOW), self.now))

    def born(self, bd: int = 0) -> Host:
        self.hear("NBIRTH", payload(0, bd_seq(bd), metric("Rate", value=50.0, alias=1)))
        self.hear("DBIRTH", payload(1, metric("P", value=1.0, alias=7)), "d")
        return self

    def data(self, seq: int, value: float, **more: Any) -> list[float]:
        content = payload(seq, Metric(alias=7, timestamp=NOW, double_value=value, **more))
        return numbers(self.hear("DDATA", content, "d"))


def numbers(events: list[Event]) -> list[float]:
    return [v.value for e in events if isinstance(e, Values) for v in e.values]  # type: ignore[misc]


def test_births_declare_and_data_follows_by_alias() -> None:
    host = Host()
    first = host.hear("NBIRTH", payload(0, bd_seq(3), metric("Rate", value=50.0)))
    assert [type(e) for e in first] == [Born, Values]
    assert (first[0].source, list(first[0].metrics)) == ("n", ["Rate"])  # type: ignore[union-attr]
    second = host.hear("DBIRTH", payload(1, metric("P", value=1.5, alias=7)), "d")
    assert numbers(second) == [1.5]
    assert host.data(2, 2.5) == [2.5]
    assert host.nodes.metrics("n/d")["P"].datatype == DOUBLE
    assert host.nodes.wanting == set()


@pytest.mark.parametrize(
    ("kind", "device"), [("NDATA", ""), ("DDATA", "d"), ("DBIRTH", "d"), ("DDEATH", "d")]
)
def test_what_comes_before_the_birth_wants_one(kind: str, device: str) -> None:
    host = Host()
    assert host.hear(kind, payload(5, metric("P")), device) == []
    assert host.nodes.wanting == {"n"}


def test_data_of_a_device_without_a_birth_wants_one() -> None:
    host = Host().born()
    assert host.hear("DDATA", payload(2, metric("P")), "other") == []
    assert host.nodes.wanting == {"n"}


def test_an_alias_of_another_device_or_of_none_is_not_believed() -> None:
    host = Host().born()
    for seq, alias in ((2, 1), (3, 99)):
        content = payload(seq, Metric(alias=alias, double_value=9.0))
        assert numbers(host.hear("DDATA", content, "d")) == []
    assert host.nodes.wanting == {"n"}


def test_messages_out_of_order_are_put_in_order() -> None:
    host = Host().born()
    assert host.data(4, 4.0) == []
    assert host.data(3, 3.0) == []
    assert host.data(2, 2.0) == [2.0, 3.0, 4.0]
    assert host.data(5, 5.0) == [5.0]
    assert (host.nodes.gaps, host.nodes.wanting) == (0, set())


def test_a_message_that_never_comes_wants_a_birth_and_aliases_are_doubted() -> None:
    host = Host().born()
    assert host.data(3, 3.0) == []
    host.now = 1.9
    assert list(host.nodes.overdue(host.now)) == []
    host.now = 2.0
    by_name = payload(4, metric("P", value=4.0))
    assert host.hear("DDATA", by_name, "d") == []
    assert numbers(list(host.nodes.overdue(host.now))) == [4.0]
    assert (host.nodes.gaps, host.nodes.wanting) == (1, {"n"})
    assert host.data(5, 5.0) == []
    host.born(1)
    assert host.data(2, 6.0) == [6.0]


def test_doubles_are_dropped_and_the_sequence_goes_round() -> None:
    host = Host().born()
    got = [x for i in range(2, 600) for x in host.data(i % 256, float(i))]
    assert got == [float(i) for i in range(2, 600)]
    assert host.data(599 % 256, 0.0) == []
    assert host.nodes.duplicates == 1


def test_a_death_is_of_the_session_that_it_names() -> None:
    host = Host().born(4)
    assert host.hear("NDEATH", payload(None, bd_seq(3))) == []
    assert host.nodes.metrics("n/d")
    away = host.hear("NDEATH", payload(None, bd_seq(4)))
    assert {e.source for e in away if isinstance(e, Away)} == {"n", "n/d"}
    assert host.data(2, 1.0) == []
    assert host.nodes.wanting == {"n"}


def test_a_device_dies_alone_and_a_new_birth_of_the_node_ends_its_devices() -> None:
    host = Host().born()
    assert host.hear("DDEATH", payload(2), "d") == [Away("n/d", "the device died")]
    host.born(1)
    again = host.hear("NBIRTH", payload(0, bd_seq(2)))
    assert Away("n/d", "the edge node was born anew") in again


def test_quality_null_and_historical() -> None:
    host = Host().born()
    rows = []
    for seq, (number, historical) in enumerate([(192, False), (500, True), (0, False)], 2):
        one = Metric(alias=7, timestamp=NOW - 5000, double_value=1.0, is_historical=historical)
        one.properties.keys.append("Quality")
        one.properties.values.add(type=DataType.DATA_TYPE_INT32, int_value=number)
        (event,) = host.hear("DDATA", payload(seq, one), "d")
        (value,) = event.values  # type: ignore[union-attr]
        rows.append((value.quality, value.is_past, value.time_ms - NOW))
    assert rows == [(GOOD, False, -5000), (STALE, True, -5000), (BAD, False, -5000)]
    (event,) = host.hear("DDATA", payload(5, Metric(alias=7, is_null=True)), "d")
    (value,) = event.values  # type: ignore[union-attr]
    assert (value.value, value.quality, value.time_ms) == (None, BAD, NOW)


def test_tables_and_templates_are_flat() -> None:
    table = Table(["a", "b"], [DOUBLE, DOUBLE], [[1.0, 2.0]])
    assert dict(flattened("T", table)) == {"T/a": 1.0, "T/b": 2.0}
    rows = Table(["a", "s"], [DOUBLE, 12], [[1.0, "x"], [3.0, "y"]])
    assert dict(flattened("T", rows)) == {"T/0/a": 1.0, "T/1/a": 3.0}
    inner = Template([Member("x", DOUBLE, 5.0), Member("on", 11, True)], ref="I")
    outer = Template([Member("m", DataType.DATA_TYPE_TEMPLATE, inner)], ref="O")
    assert dict(flattened("M", outer)) == {"M/m/x": 5.0, "M/m/on": 1.0}
    (only,) = flattened("W", np.array([1, 2]))
    np.testing.assert_array_equal(only[1], [1, 2])
    assert list(flattened("S", "text")) == []


def test_a_value_that_is_not_of_its_type_is_a_problem_of_its_own() -> None:
    host = Host().born()
    content = payload(2, Metric(alias=7, string_value="x"), metric("P", value=2.0))
    assert numbers(host.hear("DDATA", content, "d")) == [2.0]
    assert len(host.nodes.problems) == 1


def test_what_is_no_payload_is_refused() -> None:
    with pytest.raises(MessageError, match="no Sparkplug payload"):
        Host().hear("NDATA", b"\xff\xff")


def test_strangers_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.drivers.sparkplug.nodes._MAX_NODES", 3)
    nodes = EdgeNodes(1.0)
    for i in range(3):
        list(nodes.take("NDATA", f"n{i}", "", b"", 0.0, 0.0))
    with pytest.raises(MessageError, match="more than 3"):
        list(nodes.take("NDATA", "n3", "", b"", 0.0, 0.0))
    assert len(nodes.known) == 3


@given(st.permutations(range(2, 30)), st.sets(st.integers(2, 29)))
def test_any_order_of_a_window_comes_out_in_order(order: list[int], doubled: set[int]) -> None:
    host = Host().born()
    got: list[float] = []
    for seq in order:
        got += host.data(seq, float(seq))
        if seq in doubled:
            got += host.data(seq, float(seq))
    assert got == [float(seq) for seq in range(2, 30)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDATA", "DDEATH"]),
            st.binary(max_size=80),
        ),
        max_size=10,
    )
)
def test_no_bytes_are_more_than_refused(messages: list[tuple[str, bytes]]) -> None:
    host = Host().born()
    hear: Callable[..., list[Event]] = host.hear
    for kind, content in messages:
        try:
            hear(kind, content, "d" if kind[0] == "D" else "")
        except MessageError:
            continue
    list(host.nodes.overdue(100.0))
