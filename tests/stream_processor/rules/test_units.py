from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.rules.units import QUANTITIES, SCALES, alike, conversion, dimension

UNITS = st.sampled_from(sorted(SCALES))


@pytest.mark.parametrize(
    ("value", "given_in", "wanted_in", "wanted"),
    [
        (212.0, "degF", "degC", 100.0),
        (0.0, "degC", "K", 273.15),
        (1.0, "bar", "kPa", 100.0),
        (14.5037738, "psi", "bar", 1.0),
        (1.0, "g", "m/s2", 9.80665),
        (60.0, "l/min", "m3/h", 3.6),
        (3000.0, "1/min", "Hz", 50.0),
        (5.0, "%", "1", 0.05),
        (7.0, "mL", "mL", 7.0),
    ],
)
def test_known_values(value: float, given_in: str, wanted_in: str, wanted: float) -> None:
    scale = conversion(given_in, wanted_in)
    assert scale is not None
    assert scale[0] * value + scale[1] == pytest.approx(wanted, rel=1e-6)


@given(UNITS, UNITS, st.floats(-1e6, 1e6))
def test_there_and_back_is_where_it_was(one: str, other: str, value: float) -> None:
    there, back = conversion(one, other), conversion(other, one)
    assert (there is None) == (back is None) == (dimension(one) != dimension(other))
    if there is not None and back is not None:
        again = back[0] * (there[0] * value + there[1]) + back[1]
        assert again == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_a_unit_that_is_not_known_is_only_itself() -> None:
    assert conversion("N.m", "N.m") == (1.0, 0.0)
    assert conversion("N.m", "bar") is None
    assert alike("N.m") == ["N.m"]


def test_every_quantity_is_measured_in_a_known_unit() -> None:
    assert set(QUANTITIES.values()) <= set(SCALES)
