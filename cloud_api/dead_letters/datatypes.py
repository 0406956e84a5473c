"""Sparkplug's datatypes: their names, and values to and from JSON (Sparkplug 3.0, 6.4.16)."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric

# Values of an array that are shown.
SHOWN = 8

_PACKED = {
    DataType.DATA_TYPE_INT8_ARRAY: "<i1",
    DataType.DATA_TYPE_INT16_ARRAY: "<i2",
    DataType.DATA_TYPE_INT32_ARRAY: "<i4",
    DataType.DATA_TYPE_INT64_ARRAY: "<i8",
    DataType.DATA_TYPE_UINT8_ARRAY: "<u1",
    DataType.DATA_TYPE_UINT16_ARRAY: "<u2",
    DataType.DATA_TYPE_UINT32_ARRAY: "<u4",
    DataType.DATA_TYPE_UINT64_ARRAY: "<u8",
    DataType.DATA_TYPE_FLOAT_ARRAY: "<f4",
    DataType.DATA_TYPE_DOUBLE_ARRAY: "<f8",
    DataType.DATA_TYPE_DATE_TIME_ARRAY: "<i8",
}
_BITS = {
    DataType.DATA_TYPE_INT8: 8,
    DataType.DATA_TYPE_INT16: 16,
    DataType.DATA_TYPE_INT32: 32,
    DataType.DATA_TYPE_INT64: 64,
    DataType.DATA_TYPE_UINT8: 8,
    DataType.DATA_TYPE_UINT16: 16,
    DataType.DATA_TYPE_UINT32: 32,
    DataType.DATA_TYPE_UINT64: 64,
    DataType.DATA_TYPE_DATE_TIME: 64,
}
_SIGNED = {
    DataType.DATA_TYPE_INT8,
    DataType.DATA_TYPE_INT16,
    DataType.DATA_TYPE_INT32,
    DataType.DATA_TYPE_INT64,
}
_TEXTS = {DataType.DATA_TYPE_STRING, DataType.DATA_TYPE_TEXT, DataType.DATA_TYPE_UUID}


def _word(name: str) -> str:
    words = name.removeprefix("DATA_TYPE_").split("_")
    text = "".join("UUID" if word == "UUID" else word.capitalize() for word in words)
    return text.replace("Uint", "UInt")


NAMES: Mapping[int, str] = {
    value: _word(name)
    for name, value in DataType.items()
    if value != DataType.DATA_TYPE_UNSPECIFIED
}
_NUMBERS = {name.lower(): value for value, name in NAMES.items()}


class ValueRefused(ValueError):  # noqa: N818
    """A value does not go with its datatype; the message says why."""


def name_of(datatype: int) -> str:
    """Return the name of a datatype, such as `FloatArray`; empty for none.

    >>> name_of(30), name_of(8), name_of(0), name_of(99)
    ('FloatArray', 'UInt64', '', 'datatype 99')
    """
    return NAMES.get(datatype, f"datatype {datatype}" if datatype else "")


def number_of(name: str) -> int:
    """Return the number of a datatype.

    Raises:
        ValueRefused: there is none of that name.
    """
    found = _NUMBERS.get(name.replace(" ", "").lower())
    if found is None:
        raise ValueRefused(f"there is no datatype {name!r}, such as Double, Int64 or FloatArray")
    return found


def shown(value: object, datatype: int, limit: int = SHOWN) -> tuple[str, int, str]:
    """Return a value as JSON, how many there are of an array, and what is wrong with it.

    Of an array no more than `limit` values. JSON as Python writes it: with NaN and Infinity.
    """
    if isinstance(value, bytes):
        return _array(value, datatype, limit)
    if isinstance(value, int) and not isinstance(value, bool) and datatype in _SIGNED:
        bits = _BITS[DataType.ValueType(datatype)]
        value = (value & ((1 << bits) - 1)) - ((value >> (bits - 1) & 1) << bits)
    if isinstance(value, float) and datatype == DataType.DATA_TYPE_FLOAT:
        value = _short(value)
    wanted = _kind(datatype)
    text = json.dumps(value, ensure_ascii=False)
    fits = not wanted or _goes(value, wanted)
    return text, 0, "" if fits else f"is declared {name_of(datatype)} and has {text}"


def _kind(datatype: int) -> str:
    if datatype in _PACKED or datatype in (
        DataType.DATA_TYPE_BOOLEAN_ARRAY,
        DataType.DATA_TYPE_STRING_ARRAY,
    ):
        return "array"
    if datatype in _BITS:
        return "whole"
    if datatype in (DataType.DATA_TYPE_FLOAT, DataType.DATA_TYPE_DOUBLE):
        return "number"
    if datatype == DataType.DATA_TYPE_BOOLEAN:
        return "truth"
    return "text" if datatype in _TEXTS else ""


def _goes(value: object, kind: str) -> bool:
    match kind:
        case "truth":
            return isinstance(value, bool)
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, float)
        case "text":
            return isinstance(value, str)
    return False


def _array(data: bytes, datatype: int, limit: int) -> tuple[str, int, str]:
    layout = _PACKED.get(DataType.ValueType(datatype))
    if layout is not None:
        size = np.dtype(layout).itemsize
        values = np.frombuffer(data, dtype=layout, count=len(data) // size)
        torn = len(data) % size
        problem = f"has {len(data)} bytes, no multiple of {size}" if torn else ""
        first = [_short(v) if layout == "<f4" else v for v in values[:limit].tolist()]
        return json.dumps(first), len(values), problem
    if datatype == DataType.DATA_TYPE_BOOLEAN_ARRAY:
        if len(data) < 4:
            return "[]", 0, f"has {len(data)} bytes, which is no count"
        count = min(struct.unpack_from("<I", data)[0], 8 * (len(data) - 4))
        bits = np.unpackbits(np.frombuffer(data, dtype="u1", offset=4), bitorder="little")
        return json.dumps([bool(bit) for bit in bits[: min(count, limit)]]), count, ""
    if datatype == DataType.DATA_TYPE_STRING_ARRAY:
        texts = data.decode(errors="replace").split("\0")[:-1]
        return json.dumps(texts[:limit], ensure_ascii=False), len(texts), ""
    if _kind(datatype):
        return json.dumps(data[:limit].hex()), 0, f"is declared {name_of(datatype)} and has bytes"
    return json.dumps(data[: 4 * limit].hex()), 0, ""


def _short(value: float) -> float:
    """Return the number with the fewest digits that is the same single-precision value."""
    return float(str(np.float32(value))) if math.isfinite(value) else value


def guess(value: object) -> int:
    """Return the datatype that goes with a JSON value.

    Raises:
        ValueRefused: none does.
    """
    match value:
        case bool():
            return DataType.DATA_TYPE_BOOLEAN
        case str():
            return DataType.DATA_TYPE_STRING
        case int() | float():
            return DataType.DATA_TYPE_DOUBLE
        case [*items] if items and all(_is_number(item) for item in items):
            return DataType.DATA_TYPE_DOUBLE_ARRAY
    raise ValueRefused("say its datatype: it is not plain from the value")


def put(metric: Metric, text: str, datatype: int) -> None:
    """Give a metric the value that `text` says in JSON, as `datatype`.

    Raises:
        ValueRefused: it is no JSON, or does not go with the datatype.
    """
    try:
        value = json.loads(text)
    except ValueError:
        # A person writes a text without quotes.
        value = text
    if value is None:
        metric.ClearField("value")
        metric.is_null = True
        return
    metric.ClearField("is_null")
    name = name_of(datatype)
    match _kind(datatype):
        case "truth" if isinstance(value, bool):
            metric.boolean_value = value
        case "whole" if isinstance(value, int) and not isinstance(value, bool):
            _put_whole(metric, value, DataType.ValueType(datatype))
        case "number" if _is_number(value):
            if datatype == DataType.DATA_TYPE_FLOAT:
                metric.float_value = _single(value)
            else:
                metric.double_value = float(value)
        case "text":
            metric.string_value = value if isinstance(value, str) else text
        case "array" if isinstance(value, list):
            metric.bytes_value = _packed(value, datatype)
        case "":
            raise ValueRefused(f"a value of {name or 'no datatype'} cannot be written as text")
        case _:
            raise ValueRefused(f"{text} is no {name}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _single(value: float) -> float:
    if math.isfinite(value) and abs(value) > float(np.finfo(np.float32).max):
        raise ValueRefused(f"{value} is out of range of Float")
    return float(value)


def _put_whole(metric: Metric, value: int, datatype: DataType.ValueType) -> None:
    bits = _BITS[datatype]
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1))) if datatype in _SIGNED else (0, 1 << bits)
    if not low <= value < high:
        raise ValueRefused(f"{value} is out of range of {name_of(datatype)}")
    if bits == 64:
        metric.long_value = value & ((1 << 64) - 1)
    else:
        metric.int_value = value & ((1 << 32) - 1)


def _packed(values: list[Any], datatype: int) -> bytes:
    if datatype == DataType.DATA_TYPE_STRING_ARRAY and all(isinstance(v, str) for v in values):
        return b"".join(v.encode() + b"\0" for v in values)
    if datatype == DataType.DATA_TYPE_BOOLEAN_ARRAY and all(isinstance(v, bool) for v in values):
        bits = np.packbits(np.array(values, dtype="u1"), bitorder="little")
        return struct.pack("<I", len(values)) + bits.tobytes()
    layout = _PACKED.get(DataType.ValueType(datatype))
    if layout is None or not all(v is None or _is_number(v) for v in values):
        raise ValueRefused(f"these are no values of {name_of(datatype)}")
    if layout[1] == "f":
        numbers = [math.nan if v is None else float(v) for v in values]
        return np.array(numbers, dtype=layout).tobytes()
    limits = np.iinfo(layout)
    if not all(isinstance(v, int) and limits.min <= v <= limits.max for v in values):
        raise ValueRefused(f"these are no values of {name_of(datatype)}")
    return np.array(values, dtype=layout).tobytes()
