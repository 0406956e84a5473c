"""Numbers in registers against struct, over all types and orders."""

from __future__ import annotations

import math
import struct
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.modbus.registers import (
    EncodeError,
    Order,
    Type,
    decode,
    decode_many,
    encode,
    ordered,
    to_bytes,
    width,
)

CODES = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
ORDERS = st.sampled_from(get_args(Order))


def whole(kind: str) -> st.SearchStrategy[int]:
    bits = int(kind.removeprefix("u").removeprefix("int"))
    low = 0 if kind.startswith("u") else -(2 ** (bits - 1))
    return st.integers(low, low + 2**bits - 1)


VALUES = {
    **{kind: whole(kind) for kind in CODES if "int" in kind},
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats(allow_nan=False),
}


@st.composite
def numbers(draw: st.DrawFn) -> tuple[Type, float | int]:
    kind = draw(st.sampled_from(sorted(CODES)))
    return kind, draw(VALUES[kind])  # type: ignore[return-value]


def by_hand(kind: str, value: float, word_order: str, byte_order: str) -> list[int]:
    """The registers as struct and plain lists make them."""
    data = struct.pack(f">{CODES[kind]}", value)
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if word_order == "little":
        words = words[::-1]
    form = ">H" if byte_order == "big" else "<H"
    return [struct.unpack(form, word)[0] for word in words]


@given(numbers(), ORDERS, ORDERS)
def test_what_is_encoded_is_what_struct_makes_and_decodes_to_the_same(
    number: tuple[Type, float | int], word_order: Order, byte_order: Order
) -> None:
    kind, value = number
    registers = encode(value, kind, word_order, byte_order)
    assert registers == by_hand(kind, value, word_order, byte_order)
    assert len(registers) == width(kind)
    assert decode(to_bytes(registers), kind, word_order, byte_order) == value


@given(
    st.sampled_from(sorted(CODES)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.lists(VALUES[kind], min_size=1, max_size=20))
    ),
    ORDERS,
    ORDERS,
)
def test_a_run_decodes_as_its_numbers_do(
    run: tuple[Type, list[float]], word_order: Order, byte_order: Order
) -> None:
    kind, values = run
    registers = [r for value in values for r in encode(value, kind, word_order, byte_order)]
    got = decode_many(to_bytes(registers), kind, word_order, byte_order)
    assert np.array_equal(got, np.array(values, dtype=np.float64))


@given(st.binary(min_size=1, max_size=8), st.sampled_from([1, 2, 4]), ORDERS, ORDERS)
def test_order_is_its_own_inverse(
    some: bytes, words: int, word_order: Order, byte_order: Order
) -> None:
    data = (some * 16)[: 4 * words]
    there = ordered(data, words, word_order, byte_order)
    assert sorted(there) == sorted(data)
    assert ordered(there, words, word_order, byte_order) == data


@pytest.mark.parametrize(
    ("word_order", "byte_order", "registers"),
    [
        ("big", "big", [0x42F6, 0xE979]),  # ABCD
        ("little", "big", [0xE979, 0x42F6]),  # CDAB
        ("big", "little", [0xF642, 0x79E9]),  # BADC
        ("little", "little", [0x79E9, 0xF642]),  # DCBA
    ],
)
def test_the_four_orders_of_123_456(
    word_order: Order, byte_order: Order, registers: list[int]
) -> None:
    assert encode(123.456, "float32", word_order, byte_order) == registers
    value = decode(to_bytes(registers), "float32", word_order, byte_order)
    assert value == pytest.approx(123.456, rel=1e-7)


@given(st.integers(0, 99_999_999), ORDERS, ORDERS)
def test_bcd_shows_its_digits(value: int, word_order: Order, byte_order: Order) -> None:
    registers = encode(value, "bcd32", word_order, byte_order)
    plain = to_bytes(encode(value, "bcd32"))
    assert plain.hex() == f"{value:08d}"
    assert decode(to_bytes(registers), "bcd32", word_order, byte_order) == value


def test_bcd_with_a_digit_above_nine_is_no_number() -> None:
    assert math.isnan(decode(to_bytes([0x12A4]), "bcd16"))


@given(st.integers(0, 0xFFFF), st.integers(0, 15), ORDERS)
def test_a_bit_counts_from_the_lowest(register: int, bit: int, byte_order: Order) -> None:
    data = struct.pack(">H" if byte_order == "big" else "<H", register)
    assert decode(data, "bit", "big", byte_order, bit) == (register >> bit) & 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int16", 32_768),
        ("int16", -32_769),
        ("uint16", -1),
        ("uint32", 2**32),
        ("int64", 2**63),
        ("int16", math.nan),
        ("uint16", math.inf),
        ("float32", 1e39),
        ("bcd16", 10_000),
        ("bcd16", -1),
        ("bool", 1),
        ("bit", 1),
    ],
)
def test_what_has_no_place_is_refused(kind: Type, value: float) -> None:
    with pytest.raises(EncodeError, match=str(kind)):
        encode(value, kind)


def test_whole_types_take_the_nearest() -> None:
    assert encode(2.6, "int16") == [3]
    assert encode(-2.6, "int16") == [0xFFFD]


@pytest.mark.parametrize("kind", ["bool", "bit", "bcd16"])
def test_no_run_of_what_is_read_one_by_one(kind: Type) -> None:
    with pytest.raises(ValueError, match=kind):
        decode_many(b"\0\0", kind)
