"""Read protobuf's wire format field by field, as far as it goes.

A parser says yes or no. What was set aside is worth more: everything before the byte at which it
stops making sense, and which byte that is. Pure, and total: any bytes give a result.

The encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)
MAX_VARINT_BYTES = 10
MAX_FIELD_NUMBER = (1 << 29) - 1
# As deep as protobuf's own parsers go.
MAX_DEPTH = 100
# More fields than a message of the log can hold for a reason.
MAX_FIELDS = 200_000

Scalar = int | float | bool | str | bytes

_KINDS = {
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_SFIXED64: FIXED64,
    FieldDescriptor.TYPE_FLOAT: FIXED32,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    FieldDescriptor.TYPE_SFIXED32: FIXED32,
    FieldDescriptor.TYPE_STRING: DELIMITED,
    FieldDescriptor.TYPE_BYTES: DELIMITED,
    FieldDescriptor.TYPE_MESSAGE: DELIMITED,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Where reading ended, in bytes from the start, and why."""

    offset: int
    detail: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field that was read; `name` is None of one that the contract does not know.

    `whole` is False of a message that ends too early: `value` has what there was of it.
    """

    name: str | None
    number: int
    offset: int
    size: int
    value: Scalar | Read
    whole: bool = True


@dataclass(slots=True)
class Read:
    """The fields of a message in their order, and why there are no more, None at its end."""

    fields: list[Field] = field(default_factory=list)
    fault: Fault | None = None

    def last(self, name: str) -> Scalar | Read | None:
        """Return the value that holds: the last one of a field."""
        return next((f.value for f in reversed(self.fields) if f.name == name), None)

    def all(self, name: str) -> list[Field]:
        """Return every value of a repeated field."""
        return [f for f in self.fields if f.name == name]


class _Stopped(Exception):  # noqa: N818
    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(detail)
        self.fault = Fault(offset, detail)


def read(payload: bytes, contract: Descriptor) -> Read:
    """Return what of `payload` is a message of `contract`."""
    return _Reader(payload).message(contract, 0, len(payload), 0)


class _Reader:
    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._fields = 0

    def message(self, contract: Descriptor, start: int, end: int, depth: int) -> Read:
        found = Read()
        position = start
        try:
            while position < end:
                position, one = self._field(contract, position, end, depth)
                found.fields.append(one)
                if isinstance(one.value, Read) and one.value.fault is not None:
                    found.fault = one.value.fault
                    break
        except _Stopped as stopped:
            found.fault = stopped.fault
        return found

    def _field(self, contract: Descriptor, start: int, end: int, depth: int) -> tuple[int, Field]:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise _Stopped(start, f"there are more than {MAX_FIELDS} fields")
        tag, position = self._varint(start, end, "a tag")
        number, kind = tag >> 3, tag & 7
        if not 1 <= number <= MAX_FIELD_NUMBER:
            raise _Stopped(start, f"there is no field {number}")
        known = contract.fields_by_number.get(number)
        if known is not None and _KINDS.get(known.type, VARINT) != kind:
            # A parser takes it for a field of another version.
            known = None
        name = known.name if known else None
        what = f"field {name or number}"
        if kind == DELIMITED:
            return self._delimited(known, number, start, position, end, depth)
        value: Scalar
        if kind == VARINT:
            bits, position = self._varint(position, end, what)
            value = _whole(bits, known)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            if position + size > end:
                raise _Stopped(start, f"{what} has {size} bytes, {end - position} are left")
            value = _fixed(self._payload[position : position + size], known)
            position += size
        else:
            raise _Stopped(start, f"{what} is of wire type {kind}, which Sparkplug does not use")
        return position, Field(name, number, start, position - start, value)

    def _delimited(
        self,
        known: FieldDescriptor | None,
        number: int,
        start: int,
        position: int,
        end: int,
        depth: int,
    ) -> tuple[int, Field]:
        name = known.name if known else None
        what = f"field {name or number}"
        length, position = self._varint(position, end, f"the length of {what}")
        stop = position + length
        short = stop > end
        if known is not None and known.message_type is not None:
            if depth >= MAX_DEPTH:
                raise _Stopped(start, f"messages are nested {MAX_DEPTH} deep")
            inner = self.message(known.message_type, position, min(stop, end), depth + 1)
            if short and inner.fault is None:
                inner.fault = Fault(end, _short(what, length, end - position))
            whole = not short and inner.fault is None
            return min(stop, end), Field(name, number, start, min(stop, end) - start, inner, whole)
        if short:
            raise _Stopped(start, _short(what, length, end - position))
        data = self._payload[position:stop]
        if known is None or known.type == FieldDescriptor.TYPE_BYTES:
            return stop, Field(name, number, start, stop - start, data)
        try:
            return stop, Field(name, number, start, stop - start, data.decode())
        except UnicodeDecodeError as error:
            raise _Stopped(position + error.start, f"{what} is text and no UTF-8") from error

    def _varint(self, start: int, end: int, what: str) -> tuple[int, int]:
        value = 0
        for index in range(MAX_VARINT_BYTES):
            if start + index >= end:
                raise _Stopped(start, f"it ends within {what}")
            byte = self._payload[start + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, start + index + 1
        raise _Stopped(start, f"{what} is a number of more than {MAX_VARINT_BYTES} bytes")


def _short(what: str, length: int, left: int) -> str:
    return f"{what} says it has {length} bytes, {left} are left"


def _whole(bits: int, known: FieldDescriptor | None) -> int | bool:
    if known is not None and known.type == FieldDescriptor.TYPE_BOOL:
        return bits != 0
    if known is not None and known.type == FieldDescriptor.TYPE_UINT32:
        return bits & 0xFFFFFFFF
    return bits


def _fixed(data: bytes, known: FieldDescriptor | None) -> int | float:
    if known is not None and known.type in (
        FieldDescriptor.TYPE_FLOAT,
        FieldDescriptor.TYPE_DOUBLE,
    ):
        value: float = struct.unpack("<f" if len(data) == 4 else "<d", data)[0]
        return value
    return int.from_bytes(data, "little")
