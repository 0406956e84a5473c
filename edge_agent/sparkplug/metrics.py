"""Values of metrics, of every datatype, to and from the wire (Sparkplug 3.0, 6.4.16 to 6.4.22).

| datatype | value |
|---|---|
| Int8 … UInt64, DateTime (milliseconds since the epoch, UTC) | `int` |
| Float, Double | `float` |
| Boolean | `bool` |
| String, Text, UUID | `str` |
| Bytes, File | `bytes` |
| DataSet | `Table` |
| Template | `Template` |
| PropertySet, PropertySetList (of properties only) | `dict` of `Property`, `list` of such |
| arrays of numbers, of Boolean, of DateTime | a numpy array |
| StringArray | `list[str]` |

`None` stands for null. What is read is checked: a value is of its datatype or a `MetricError`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.v1 import sparkplug_b_pb2 as pb

D = pb.DataType

# Bits, whether signed.
_INTEGERS: Final[Mapping[int, tuple[int, bool]]] = {
    D.DATA_TYPE_INT8: (8, True),
    D.DATA_TYPE_INT16: (16, True),
    D.DATA_TYPE_INT32: (32, True),
    D.DATA_TYPE_INT64: (64, True),
    D.DATA_TYPE_UINT8: (8, False),
    D.DATA_TYPE_UINT16: (16, False),
    D.DATA_TYPE_UINT32: (32, False),
    D.DATA_TYPE_UINT64: (64, False),
    D.DATA_TYPE_DATE_TIME: (64, False),
}
_TEXTS: Final = frozenset({D.DATA_TYPE_STRING, D.DATA_TYPE_TEXT, D.DATA_TYPE_UUID})
_BYTES: Final = frozenset({D.DATA_TYPE_BYTES, D.DATA_TYPE_FILE})
# Packed little-endian elements.
ARRAYS: Final[Mapping[int, str]] = {
    D.DATA_TYPE_INT8_ARRAY: "<i1",
    D.DATA_TYPE_INT16_ARRAY: "<i2",
    D.DATA_TYPE_INT32_ARRAY: "<i4",
    D.DATA_TYPE_INT64_ARRAY: "<i8",
    D.DATA_TYPE_UINT8_ARRAY: "<u1",
    D.DATA_TYPE_UINT16_ARRAY: "<u2",
    D.DATA_TYPE_UINT32_ARRAY: "<u4",
    D.DATA_TYPE_UINT64_ARRAY: "<u8",
    D.DATA_TYPE_FLOAT_ARRAY: "<f4",
    D.DATA_TYPE_DOUBLE_ARRAY: "<f8",
    D.DATA_TYPE_DATE_TIME_ARRAY: "<u8",
}
# What a cell of a table and a parameter of a template may hold (6.4.17, "Basic Data Types").
BASIC: Final = frozenset(
    {*_INTEGERS, *_TEXTS, D.DATA_TYPE_FLOAT, D.DATA_TYPE_DOUBLE, D.DATA_TYPE_BOOLEAN}
)
# Templates and property sets hold others of their kind; a hostile message would go on for ever.
MAX_DEPTH: Final = 16

Value = Any
Carrier = pb.Metric | pb.PropertyValue | pb.DataSetValue | pb.Parameter


class MetricError(ValueError):
    """A value is not of its datatype, or the datatype is none."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a metric."""

    datatype: int
    value: Value


@dataclass(frozen=True, slots=True)
class Table:
    """A DataSet: columns, their datatypes, and rows of as many cells."""

    columns: Sequence[str]
    types: Sequence[int]
    rows: Sequence[Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a template; `value` is None in most definitions."""

    name: str
    datatype: int
    value: Value = None


@dataclass(frozen=True, slots=True)
class Template:
    """A definition, which names no other, or an instance of the definition that `ref` names."""

    members: Sequence[Member]
    parameters: Mapping[str, Property] = field(default_factory=dict)
    ref: str = ""
    version: str = ""

    @property
    def is_definition(self) -> bool:
        """Whether it says what instances of it have."""
        return not self.ref


def type_name(datatype: int) -> str:
    """Return a datatype's name for people."""
    known = datatype in D.values()
    return D.Name(D.ValueType(datatype)) if known else f"datatype {datatype}"


def encode(metric: pb.Metric, datatype: int, value: Value) -> None:
    """Set a metric's datatype and value.

    Raises:
        MetricError: the value is not of the datatype.
    """
    metric.datatype = datatype
    if value is None:
        metric.is_null = True
    elif datatype == D.DATA_TYPE_DATA_SET:
        _encode_table(metric.dataset_value, value)
    elif datatype == D.DATA_TYPE_TEMPLATE:
        _encode_template(metric.template_value, value)
    elif datatype in _BYTES:
        metric.bytes_value = value
    elif datatype in ARRAYS:
        metric.bytes_value = _pack(value, datatype)
    elif datatype == D.DATA_TYPE_BOOLEAN_ARRAY:
        flags = np.asarray(value, np.bool_)
        metric.bytes_value = struct.pack("<I", len(flags)) + np.packbits(flags).tobytes()
    elif datatype == D.DATA_TYPE_STRING_ARRAY:
        if any("\0" in text for text in value):
            raise MetricError("a text of a StringArray holds its terminator")
        metric.bytes_value = "".join(f"{text}\0" for text in value).encode()
    else:
        _encode_basic(metric, datatype, value)


def decode(metric: pb.Metric, datatype: int | None = None, depth: int = 0) -> Value:
    """Return a metric's value; `datatype` is what its birth said, when it does not say itself.

    Raises:
        MetricError: the value is not of the datatype, or the datatype is none.
    """
    kind = datatype if datatype is not None else metric.datatype
    if kind not in D.values() or kind == D.DATA_TYPE_UNSPECIFIED:
        raise MetricError(f"{metric.name or 'a metric'}: {type_name(kind)} is none of Sparkplug's")
    if metric.is_null:
        return None
    if kind == D.DATA_TYPE_DATA_SET:
        _expect(metric, kind, "dataset_value")
        return _decode_table(metric.dataset_value)
    if kind == D.DATA_TYPE_TEMPLATE:
        _expect(metric, kind, "template_value")
        return _decode_template(metric.template_value, depth)
    if kind in _BYTES or kind in ARRAYS or kind in _OTHER_ARRAYS:
        _expect(metric, kind, "bytes_value")
        return _decode_bytes(metric.bytes_value, kind)
    return _decode_basic(metric, kind)


def encode_properties(target: pb.PropertySet, properties: Mapping[str, Property]) -> None:
    """Add properties to a set: as many keys as values, each value with its type."""
    for key, given in properties.items():
        target.keys.append(key)
        entry = target.values.add(type=given.datatype)
        if given.value is None:
            entry.is_null = True
        elif given.datatype == D.DATA_TYPE_PROPERTY_SET:
            entry.propertyset_value.SetInParent()
            encode_properties(entry.propertyset_value, given.value)
        elif given.datatype == D.DATA_TYPE_PROPERTY_SET_LIST:
            entry.propertysets_value.SetInParent()
            for properties_of_one in given.value:
                encode_properties(entry.propertysets_value.propertyset.add(), properties_of_one)
        else:
            _encode_basic(entry, given.datatype, given.value)


def decode_properties(source: pb.PropertySet, depth: int = 0) -> dict[str, Property]:
    """Return the properties of a set.

    Raises:
        MetricError: keys and values differ in number, or a value is not of its type.
    """
    _check_depth(depth)
    if len(source.keys) != len(source.values):
        raise MetricError(f"{len(source.keys)} keys of properties, {len(source.values)} values")
    return {
        key: Property(entry.type, _decode_property(entry, depth))
        for key, entry in zip(source.keys, source.values, strict=True)
    }


def _decode_property(entry: pb.PropertyValue, depth: int) -> Value:
    if entry.is_null:
        return None
    if entry.type == D.DATA_TYPE_PROPERTY_SET:
        _expect(entry, entry.type, "propertyset_value")
        return decode_properties(entry.propertyset_value, depth + 1)
    if entry.type == D.DATA_TYPE_PROPERTY_SET_LIST:
        _expect(entry, entry.type, "propertysets_value")
        return [decode_properties(one, depth + 1) for one in entry.propertysets_value.propertyset]
    return _decode_basic(entry, entry.type)


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise MetricError(f"nested more than {MAX_DEPTH} deep")


def _expect(carrier: Carrier, datatype: int, *fields: str) -> str:
    found = carrier.WhichOneof("value")
    if found not in fields:
        raise MetricError(f"{type_name(datatype)} came as {found or 'nothing'}")
    return str(found)


def _encode_basic(carrier: Carrier, datatype: int, value: Value) -> None:
    if datatype in _INTEGERS:
        bits, signed = _INTEGERS[datatype]
        low = -(1 << (bits - 1)) if signed else 0
        if not low <= value < low + (1 << bits):
            raise MetricError(f"{value} does not fit {type_name(datatype)}")
        # Two's complement; small negative numbers in all 32 bits, as other implementations do.
        if bits == 64 or datatype == D.DATA_TYPE_UINT32:
            carrier.long_value = value & ((1 << 64) - 1)
        else:
            carrier.int_value = value & ((1 << 32) - 1)
    elif datatype == D.DATA_TYPE_FLOAT:
        carrier.float_value = value
    elif datatype == D.DATA_TYPE_DOUBLE:
        carrier.double_value = value
    elif datatype == D.DATA_TYPE_BOOLEAN:
        carrier.boolean_value = value
    elif datatype in _TEXTS:
        carrier.string_value = value
    else:
        raise MetricError(f"{type_name(datatype)} has no place here")


def _decode_basic(carrier: Carrier, datatype: int) -> Value:
    if datatype in _INTEGERS:
        bits, signed = _INTEGERS[datatype]
        # Implementations differ in which of the two they take.
        number = int(getattr(carrier, _expect(carrier, datatype, "int_value", "long_value")))
        number &= (1 << bits) - 1
        return number - ((number >> (bits - 1)) << bits) if signed else number
    if datatype == D.DATA_TYPE_FLOAT:
        return float(getattr(carrier, _expect(carrier, datatype, "float_value")))
    if datatype == D.DATA_TYPE_DOUBLE:
        return float(getattr(carrier, _expect(carrier, datatype, "double_value")))
    if datatype == D.DATA_TYPE_BOOLEAN:
        return bool(getattr(carrier, _expect(carrier, datatype, "boolean_value")))
    if datatype in _TEXTS:
        return str(getattr(carrier, _expect(carrier, datatype, "string_value")))
    raise MetricError(f"{type_name(datatype)} has no place here")


def _pack(values: Sequence[float] | npt.NDArray[Any], datatype: int) -> bytes:
    layout = np.dtype(ARRAYS[datatype])
    if layout.kind == "f" or (isinstance(values, np.ndarray) and values.dtype == layout):
        return np.asarray(values, layout).tobytes()
    limits = np.iinfo(layout)
    for number in values:
        if int(number) != number or not limits.min <= number <= limits.max:
            raise MetricError(f"{number} does not fit {type_name(datatype)}")
    return np.array([int(number) for number in values], layout).tobytes()


def _decode_booleans(content: bytes) -> npt.NDArray[np.bool_]:
    if len(content) < 4:
        raise MetricError(f"{len(content)} bytes are no BooleanArray")
    (count,) = struct.unpack_from("<I", content)
    if math.ceil(count / 8) != len(content) - 4:
        raise MetricError(f"{len(content) - 4} bytes do not hold {count} booleans")
    packed = np.frombuffer(content, np.uint8, offset=4)
    return np.unpackbits(packed, count=count).astype(np.bool_)


def _decode_strings(content: bytes) -> list[str]:
    if content and not content.endswith(b"\0"):
        raise MetricError("a text of a StringArray has no end")
    try:
        return [text.decode() for text in content.split(b"\0")[:-1]]
    except UnicodeDecodeError as error:
        raise MetricError(f"a text of a StringArray is no UTF-8: {error}") from error


_OTHER_ARRAYS: Final[Mapping[int, Callable[[bytes], Value]]] = {
    D.DATA_TYPE_BOOLEAN_ARRAY: _decode_booleans,
    D.DATA_TYPE_STRING_ARRAY: _decode_strings,
}


def _decode_bytes(content: bytes, datatype: int) -> Value:
    if datatype in _BYTES:
        return content
    if datatype in _OTHER_ARRAYS:
        return _OTHER_ARRAYS[datatype](content)
    layout = np.dtype(ARRAYS[datatype])
    if len(content) % layout.itemsize:
        raise MetricError(f"{len(content)} bytes are no {type_name(datatype)}")
    return np.frombuffer(content, layout)


def _encode_table(target: pb.DataSet, table: Table) -> None:
    _check_table(table.columns, table.types)
    target.num_of_columns = len(table.columns)
    target.columns.extend(table.columns)
    target.types.extend(table.types)
    for row in table.rows:
        cells = target.rows.add()
        for datatype, value in zip(table.types, row, strict=True):
            cell = cells.elements.add()
            if value is not None:
                _encode_basic(cell, datatype, value)


def _decode_table(source: pb.DataSet) -> Table:
    _check_table(source.columns, source.types)
    if source.num_of_columns != len(source.columns):
        raise MetricError(f"{source.num_of_columns} columns said, {len(source.columns)} named")
    rows = []
    for row in source.rows:
        if len(row.elements) != len(source.types):
            raise MetricError(f"a row of {len(row.elements)} cells in {len(source.types)} columns")
        rows.append(
            tuple(
                _decode_basic(cell, datatype) if cell.WhichOneof("value") else None
                for datatype, cell in zip(source.types, row.elements, strict=True)
            )
        )
    return Table(tuple(source.columns), tuple(source.types), tuple(rows))


def _check_table(columns: Sequence[str], types: Sequence[int]) -> None:
    if len(columns) != len(types):
        raise MetricError(f"{len(columns)} columns and {len(types)} types")
    wrong = set(types) - BASIC
    if wrong:
        raise MetricError(f"a column of {type_name(min(wrong))}")


def _encode_template(target: pb.Template, template: Template) -> None:
    target.is_definition = template.is_definition
    if template.ref:
        target.template_ref = template.ref
    if template.version:
        target.version = template.version
    for member in template.members:
        encode(target.metrics.add(name=member.name), member.datatype, member.value)
    for name, given in template.parameters.items():
        parameter = target.parameters.add(name=name, type=given.datatype)
        if given.value is not None:
            _encode_basic(parameter, given.datatype, given.value)


def _decode_template(source: pb.Template, depth: int) -> Template:
    _check_depth(depth)
    if source.is_definition and source.template_ref:
        raise MetricError(f"a definition that is an instance of {source.template_ref!r} too")
    if not source.is_definition and not source.template_ref:
        raise MetricError("an instance that does not say of what")
    return Template(
        tuple(
            Member(metric.name, metric.datatype, decode(metric, depth=depth + 1))
            for metric in source.metrics
        ),
        {
            parameter.name: Property(
                parameter.type,
                _decode_basic(parameter, parameter.type) if parameter.WhichOneof("value") else None,
            )
            for parameter in source.parameters
        },
        source.template_ref,
        source.version,
    )
