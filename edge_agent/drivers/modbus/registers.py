"""Numbers in registers: types, word order, byte order, scale.

A register has 16 bits and travels with its high byte first (Modbus Application Protocol V1.1b3,
4.2). How a number of 32 or 64 bits lies in several of them the standard does not say, so makers
differ: `word_order` tells which register comes first, `byte_order` which byte within each.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Order = Literal["big", "little"]
Type = Literal[
    "bool",
    "bit",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "bcd16",
    "bcd32",
]
F64 = npt.NDArray[np.float64]

# Format of a number in numpy, without the byte order; BCD is read as unsigned first.
_FORMATS: Final[dict[str, str]] = {
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "int64": "i8",
    "uint64": "u8",
    "float32": "f4",
    "float64": "f8",
    "bcd16": "u2",
    "bcd32": "u4",
}
# The same in struct, which is faster for one number.
_CODES: Final[dict[str, str]] = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
    "bcd16": "H",
    "bcd32": "I",
}
# Types whose every value a float32 holds exactly.
NARROW: Final = frozenset({"bool", "bit", "int16", "uint16", "float32", "bcd16"})


class EncodeError(ValueError):
    """A number has no place in the registers of its type."""


def width(kind: Type) -> int:
    """Return how many registers a number takes; a bit lies in one, a coil in none but itself."""
    return 1 if kind in ("bool", "bit") else int(_FORMATS[kind][1]) // 2


def to_bytes(registers: Sequence[int]) -> bytes:
    """Return registers as they travel."""
    return struct.pack(f">{len(registers)}H", *registers)


def ordered(data: bytes, words: int, word_order: Order, byte_order: Order) -> bytes:
    """Return numbers of `words` registers with their highest byte first; its own inverse."""
    if byte_order == "big" and (word_order == "big" or words == 1):
        return data
    pairs = np.frombuffer(data, np.uint8).reshape(-1, words, 2)
    if word_order == "little":
        pairs = pairs[:, ::-1]
    if byte_order == "little":
        pairs = pairs[:, :, ::-1]
    return pairs.tobytes()


def decode(
    data: bytes, kind: Type, word_order: Order = "big", byte_order: Order = "big", bit: int = 0
) -> float | int:
    """Return the number in the bytes of its registers; of a bit 0 or 1.

    A BCD number with a digit above nine is NaN.
    """
    whole = ordered(data, len(data) // 2, word_order, byte_order)
    if kind == "bit":
        return int.from_bytes(whole, "big") >> bit & 1
    value: float | int = struct.unpack(f">{_CODES[kind]}", whole)[0]
    if kind in ("bcd16", "bcd32"):
        digits = f"{value:x}"
        return int(digits) if digits.isdecimal() else math.nan
    return value


def decode_many(
    data: bytes, kind: Type, word_order: Order = "big", byte_order: Order = "big"
) -> F64:
    """Return the numbers of a run of registers; BCD and bits are read one by one only."""
    if kind in ("bool", "bit", "bcd16", "bcd32"):
        raise ValueError(f"a run of {kind} cannot be read")
    whole = ordered(data, width(kind), word_order, byte_order)
    return np.frombuffer(whole, f">{_FORMATS[kind]}").astype(np.float64)


def encode(
    value: float, kind: Type, word_order: Order = "big", byte_order: Order = "big"
) -> list[int]:
    """Return the registers of a number; whole types take the nearest whole number.

    Raises:
        EncodeError: it is out of the type's range, or no number.
    """
    code = _CODES.get(kind)
    if code is None:
        raise EncodeError(f"a {kind} has no register of its own")
    if code not in "fd":
        if not math.isfinite(value):
            raise EncodeError(f"{value} is no {kind}")
        value = round(value)
        if kind in ("bcd16", "bcd32"):
            if not 0 <= value < 10 ** (4 * width(kind)):
                raise EncodeError(f"{value} is no {kind}")
            value = int(str(value), 16)
    try:
        packed = struct.pack(f">{code}", value)
    except (struct.error, OverflowError) as error:
        raise EncodeError(f"{value} is no {kind}") from error
    whole = ordered(packed, width(kind), word_order, byte_order)
    return list(struct.unpack(f">{width(kind)}H", whole))
