"""Units of UNECE in the words of the contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.opcua.units import UNECE, UNECE_NAMESPACE, quantity_of, unit_id, unit_of


@pytest.mark.parametrize(
    # From the OPC Foundation's list UNECE_to_OPCUA.csv.
    ("code", "number"),
    [("CEL", 4408652), ("C16", 4403510), ("BAR", 4342098), ("4H", 13384), ("L2", 19506)],
)
def test_a_code_is_a_number(code: str, number: int) -> None:
    assert unit_id(code) == number
    assert unit_of(UNECE_NAMESPACE, number, "") == UNECE[code]


@given(st.sampled_from(sorted(UNECE)), st.text())
def test_the_code_says_the_unit_whatever_is_displayed(code: str, shown: str) -> None:
    assert unit_of(UNECE_NAMESPACE, unit_id(code), shown) == UNECE[code]


def test_codes_are_told_apart() -> None:
    assert len({unit_id(code) for code in UNECE}) == len(UNECE)


@pytest.mark.parametrize(
    ("shown", "unit"),
    [
        ("°C", "degC"),
        ("m/s²", "m/s2"),
        ("m³/h", "m3/h"),
        ("rpm", "1/min"),
        ("U/min", "1/min"),
        ("µm", "um"),
        (" bar ", "bar"),
        ("", "1"),
        ("parts per shift", "parts per shift"),
    ],
)
def test_a_unit_without_a_code_is_read_as_it_is_shown(shown: str, unit: str) -> None:
    assert unit_of("urn:some-maker", 4408652, shown) == unit
    assert unit_of(UNECE_NAMESPACE, -1, shown) == unit


@pytest.mark.parametrize(
    ("unit", "quantity"),
    [
        ("m/s2", "acceleration"),
        ("mm/s", "velocity"),
        ("degC", "temperature"),
        ("mbar", "pressure"),
        ("L/min", "flow"),
        ("A", "current"),
        ("1/min", "speed"),
        ("kW", "power"),
        ("%", "other"),
    ],
)
def test_what_is_measured_in_a_unit(unit: str, quantity: str) -> None:
    assert quantity_of(unit) == quantity


@pytest.mark.parametrize("code", ["", "TOOLONG", "°"])
def test_what_is_no_code(code: str) -> None:
    with pytest.raises(ValueError, match="is no common code"):
        unit_id(code)
