"""Every datatype comes back as it went, and reads as the specification's examples say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from edge_agent.sparkplug import metrics
from edge_agent.sparkplug.metrics import Member, MetricError, Property, Table, Template
from edge_agent.v1 import sparkplug_b_pb2 as pb

D = pb.DataType
TYPES = {name.removeprefix("DATA_TYPE_"): number for name, number in D.items() if number}


def whole(bits: int, signed: bool) -> SearchStrategy[int]:
    low = -(1 << (bits - 1)) if signed else 0
    return st.integers(low, low + (1 << bits) - 1)


texts = st.text(st.characters(codec="utf-8"))
BASIC: dict[int, SearchStrategy[Any]] = {
    D.DATA_TYPE_INT8: whole(8, True),
    D.DATA_TYPE_INT16: whole(16, True),
    D.DATA_TYPE_INT32: whole(32, True),
    D.DATA_TYPE_INT64: whole(64, True),
    D.DATA_TYPE_UINT8: whole(8, False),
    D.DATA_TYPE_UINT16: whole(16, False),
    D.DATA_TYPE_UINT32: whole(32, False),
    D.DATA_TYPE_UINT64: whole(64, False),
    D.DATA_TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    D.DATA_TYPE_DOUBLE: st.floats(allow_nan=False),
    D.DATA_TYPE_BOOLEAN: st.booleans(),
    D.DATA_TYPE_STRING: texts,
    D.DATA_TYPE_DATE_TIME: whole(64, False),
    D.DATA_TYPE_TEXT: texts,
    D.DATA_TYPE_UUID: st.uuids().map(str),
}
ARRAYS: dict[int, SearchStrategy[Any]] = {
    kind: st.lists(
        st.floats(width=32 if layout == "<f4" else 64)
        if layout[1] == "f"
        else whole(8 * int(layout[2]), layout[1] == "i")
    ).map(lambda values, layout=layout: np.array(values, layout))
    for kind, layout in metrics.ARRAYS.items()
} | {
    D.DATA_TYPE_BOOLEAN_ARRAY: st.lists(st.booleans()).map(lambda v: np.array(v, np.bool_)),
    D.DATA_TYPE_STRING_ARRAY: st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    ),
}
basic_type = st.sampled_from(sorted(BASIC))
basic_property = basic_type.flatmap(
    lambda kind: (st.none() | BASIC[kind]).map(lambda value: Property(kind, value))
)


@st.composite
def tables(draw: Any) -> Table:
    types = tuple(draw(st.lists(basic_type, max_size=4)))
    columns = tuple(draw(st.lists(texts, min_size=len(types), max_size=len(types))))
    row = st.tuples(*(st.none() | BASIC[kind] for kind in types))
    return Table(columns, types, tuple(draw(st.lists(row, max_size=3))))


properties = st.recursive(
    st.dictionaries(texts, basic_property, max_size=3),
    lambda inner: st.dictionaries(
        texts,
        basic_property
        | inner.map(lambda value: Property(D.DATA_TYPE_PROPERTY_SET, value))
        | st.lists(inner, max_size=2).map(
            lambda value: Property(D.DATA_TYPE_PROPERTY_SET_LIST, value)
        ),
        max_size=3,
    ),
    max_leaves=6,
)


def template_of(members: SearchStrategy[Any]) -> SearchStrategy[Template]:
    return st.builds(
        Template,
        st.lists(members, max_size=3).map(tuple),
        st.dictionaries(texts, basic_property, max_size=2),
        texts,
        texts,
    )


def member_of(kind: int, values: SearchStrategy[Any]) -> SearchStrategy[Member]:
    return st.builds(Member, texts, st.just(kind), st.none() | values)


templates = template_of(
    basic_type.flatmap(lambda kind: member_of(kind, BASIC[kind]))
    | member_of(D.DATA_TYPE_DATA_SET, tables())
    | member_of(D.DATA_TYPE_TEMPLATE, template_of(basic_type.map(lambda kind: Member("m", kind))))
)
VALUES = (
    BASIC
    | ARRAYS
    | {
        D.DATA_TYPE_BYTES: st.binary(),
        D.DATA_TYPE_FILE: st.binary(),
        D.DATA_TYPE_DATA_SET: tables(),
        D.DATA_TYPE_TEMPLATE: templates,
    }
)


def over_the_wire(kind: int, value: Any) -> Any:
    metric = pb.Metric(name="X")
    metrics.encode(metric, kind, value)
    return metrics.decode(pb.Metric.FromString(metric.SerializeToString()))


def test_every_datatype_has_a_law() -> None:
    of_properties = {D.DATA_TYPE_PROPERTY_SET, D.DATA_TYPE_PROPERTY_SET_LIST}
    assert set(TYPES.values()) == set(VALUES) | of_properties == set(range(1, 35))


@pytest.mark.parametrize("name", [n for n, kind in TYPES.items() if kind in VALUES])
@settings(deadline=None)
@given(data=st.data())
def test_a_value_comes_back(name: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[TYPES[name]])

    again = over_the_wire(TYPES[name], value)

    if isinstance(value, np.ndarray):
        assert again.dtype == value.dtype
        assert again.tobytes() == value.tobytes()
    else:
        assert again == value
        assert type(again) is type(value)


@pytest.mark.parametrize("name", [n for n, kind in TYPES.items() if kind in VALUES])
def test_null_comes_back(name: str) -> None:
    metric = pb.Metric()
    metrics.encode(metric, TYPES[name], None)
    assert metric.WhichOneof("value") is None
    assert metrics.decode(metric) is None


@settings(deadline=None)
@given(given=properties)
def test_properties_come_back(given: dict[str, Property]) -> None:
    written = pb.PropertySet()
    metrics.encode_properties(written, given)
    read = pb.PropertySet.FromString(written.SerializeToString())
    assert len(read.keys) == len(read.values)
    assert metrics.decode_properties(read) == given


# The examples of the specification (6.4.16), but for those that it misprints.
EXAMPLES: list[tuple[int, Any, str]] = [
    (D.DATA_TYPE_INT16_ARRAY, [-30000, 30000], "d08a3075"),
    (D.DATA_TYPE_INT32_ARRAY, [-1, 315338746], "fffffffffaafcb12"),
    (
        D.DATA_TYPE_INT64_ARRAY,
        [-4270929666821191986, -3601064768563266876],
        "ce0672ac189cbac4c4ba9c18ac7206ce",
    ),
    (D.DATA_TYPE_UINT8_ARRAY, [23, 250], "17fa"),
    (D.DATA_TYPE_UINT16_ARRAY, [30, 52360], "1e0088cc"),
    (D.DATA_TYPE_UINT32_ARRAY, [52, 3293969225], "3400000049fb55c4"),
    (D.DATA_TYPE_UINT64_ARRAY, [52, 16444743074749521625], "3400000000000000d99e02d1b27637e4"),
    (
        D.DATA_TYPE_BOOLEAN_ARRAY,
        [0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1],
        "0c00000034d0",
    ),
    (D.DATA_TYPE_STRING_ARRAY, ["ABC", "hello"], "4142430068656c6c6f00"),
]


@pytest.mark.parametrize(("kind", "value", "bytes_value"), EXAMPLES)
def test_the_bytes_are_those_of_the_specification(kind: int, value: Any, bytes_value: str) -> None:
    metric = pb.Metric()
    metrics.encode(metric, kind, value)
    assert metric.bytes_value.hex() == bytes_value


@pytest.mark.parametrize(
    ("number", "kind"), [(0xFF, 1), (0xFFFFFFFF, 1), (0xFFFF, 2), (2**64 - 1, 3)]
)
def test_negative_numbers_are_read_however_wide_they_come(number: int, kind: int) -> None:
    metric = pb.Metric(datatype=kind, long_value=number)
    assert metrics.decode(metric) == -1


def nested(depth: int) -> pb.Template:
    template = pb.Template(is_definition=False, template_ref="T")
    for _ in range(depth):
        template = pb.Template(
            is_definition=False,
            template_ref="T",
            metrics=[pb.Metric(name="m", datatype=19, template_value=template)],
        )
    return template


def nested_properties(depth: int) -> pb.PropertySet:
    found = pb.PropertySet()
    for _ in range(depth):
        value = pb.PropertyValue(type=20, propertyset_value=found)
        found = pb.PropertySet(keys=["k"], values=[value])
    return found


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (pb.Metric(datatype=0), "UNSPECIFIED is none"),
        (pb.Metric(datatype=99), "datatype 99"),
        (pb.Metric(datatype=20, string_value="x"), "no place"),
        (pb.Metric(datatype=9, double_value=1.0), "FLOAT came as double_value"),
        (pb.Metric(datatype=12), "STRING came as nothing"),
        (pb.Metric(datatype=30, bytes_value=b"abc"), "3 bytes"),
        (pb.Metric(datatype=32, bytes_value=b"abc"), "no BooleanArray"),
        (pb.Metric(datatype=32, bytes_value=b"\xff\xff\xff\xff\0"), "do not hold"),
        (pb.Metric(datatype=33, bytes_value=b"abc"), "no end"),
        (pb.Metric(datatype=33, bytes_value=b"\xff\0"), "no UTF-8"),
        (pb.Metric(datatype=16, dataset_value=pb.DataSet(columns=["a"])), "1 columns and 0 types"),
        (
            pb.Metric(datatype=16, dataset_value=pb.DataSet(columns=["a"], types=[17])),
            "a column of DATA_TYPE_BYTES",
        ),
        (
            pb.Metric(
                datatype=16,
                dataset_value=pb.DataSet(
                    num_of_columns=1, columns=["a"], types=[3], rows=[pb.Row()]
                ),
            ),
            "0 cells in 1 columns",
        ),
        (pb.Metric(datatype=19, template_value=pb.Template()), "not say of what"),
        (
            pb.Metric(
                datatype=19, template_value=pb.Template(is_definition=True, template_ref="T")
            ),
            "instance of 'T' too",
        ),
        (pb.Metric(datatype=19, template_value=nested(40)), "deep"),
    ],
)
def test_what_is_no_value_says_why(metric: pb.Metric, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        metrics.decode(metric)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (pb.PropertySet(keys=["a"]), "1 keys of properties, 0 values"),
        (nested_properties(40), "deep"),
    ],
)
def test_what_are_no_properties_says_why(properties: pb.PropertySet, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        metrics.decode_properties(properties)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(1, 128), (5, -1), (8, 2**64), (22, [300]), (29, [-1]), (26, [1.5]), (33, ["a\0b"]), (20, {})],
)
def test_what_does_not_fit_is_not_sent(kind: int, value: Any) -> None:
    with pytest.raises(MetricError):
        metrics.encode(pb.Metric(), kind, value)
