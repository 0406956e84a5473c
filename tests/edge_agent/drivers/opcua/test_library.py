"""What the library would do to us, were it let."""

from __future__ import annotations

import struct

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import variant_from_binary

from edge_agent.drivers.opcua.library import UaError


def variant(kind: ua.VariantType, length: int, content: bytes = b"") -> ua.Variant:
    return variant_from_binary(
        ua.utils.Buffer(bytes([0x80 | kind.value]) + struct.pack("<i", length) + content)
    )


def test_an_array_of_nothing_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(UaError, match="2147483647 times nothing"):
        variant(ua.VariantType.Null, 2**31 - 1)


def test_other_arrays_are_read_as_they_were() -> None:
    assert variant(ua.VariantType.Null, 0).Value is None
    assert variant(ua.VariantType.Null, -1).Value is None
    assert variant(ua.VariantType.Int16, 2, b"\1\0\2\0").Value == [1, 2]
    assert variant(ua.VariantType.String, 1, b"\1\0\0\0x").Value == ["x"]
