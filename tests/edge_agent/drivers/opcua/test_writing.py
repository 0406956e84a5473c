"""Values take a variable's type whole, or not at all."""

from __future__ import annotations

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import variant_from_binary, variant_to_binary
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.opcua.writing import check_range, coerce

WHOLE = ["SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64"]


@given(st.sampled_from(WHOLE), st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans()))
def test_a_whole_number_goes_over_the_wire_as_it_is_or_not_at_all(
    kind: str, value: float | bool
) -> None:
    try:
        coerced = coerce(value, kind)
    except ValueError:
        return
    sent = variant_to_binary(ua.Variant(coerced, ua.VariantType[kind]))

    assert variant_from_binary(ua.utils.Buffer(sent)).Value == value


@pytest.mark.parametrize(
    ("value", "kind", "coerced"),
    [
        (3.0, "Int16", 3),
        (True, "Byte", 1),
        (1, "Boolean", True),
        (0.0, "Boolean", False),
        (2, "Double", 2.0),
        (True, "Float", 1.0),
        ("on", "String", "on"),
    ],
)
def test_a_value_takes_the_variables_type(value: object, kind: str, coerced: object) -> None:
    got = coerce(value, kind)  # type: ignore[arg-type]

    assert (got, type(got)) == (coerced, type(coerced))


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (1.5, "Int32", "1.5 is not whole"),
        (256, "Byte", "256 is not 0 to 255"),
        (-1, "UInt64", "-1 is not 0 to"),
        (float("nan"), "Int32", "nan is not whole"),
        (float("inf"), "Double", "no finite Double"),
        (1e39, "Float", "no finite Float"),
        (2, "Boolean", "neither true nor false"),
        ("1", "Double", "'1' is no number"),
        (1, "String", "1 is no text"),
        (1, "DateTime", "holds a DateTime"),
        (1, "", "no known type"),
    ],
)
def test_what_has_no_such_value_is_said(value: object, kind: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        coerce(value, kind)  # type: ignore[arg-type]


def test_a_value_outside_the_range_is_refused() -> None:
    check_range(110.0, 0.0, 110.0, "%")
    check_range("text", 0.0, 1.0, "")
    check_range(1e9, None, None, "%")
    with pytest.raises(ValueError, match="111 is not 0 to 110 %"):
        check_range(111.0, 0.0, 110.0, "%")
