"""Status codes become qualities by their two highest bits."""

from __future__ import annotations

import itertools

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import BAD, GOOD, STALE
from edge_agent.drivers.opcua.quality import overflowed, quality_of, worse

CODES = [
    (name, code)
    for name, code in vars(ua.StatusCodes).items()
    if name.startswith(("Good", "Uncertain", "Bad"))
]


@pytest.mark.parametrize(
    ("prefix", "quality"), [("Good", GOOD), ("Uncertain", STALE), ("Bad", BAD)]
)
def test_every_code_of_the_standard_by_its_name(prefix: str, quality: int) -> None:
    named = [code for name, code in CODES if name.startswith(prefix)]

    assert len(named) > 5
    assert {quality_of(code) for code in named} == {quality}


@given(st.integers(0, 2**32 - 1))
def test_the_lower_bits_change_nothing(status: int) -> None:
    assert quality_of(status) == quality_of(status & 0xC0000000)
    assert quality_of(status) == [GOOD, STALE, BAD, BAD][status >> 30]


def test_the_worst_quality_wins_whatever_the_order() -> None:
    for some in itertools.product((GOOD, STALE, BAD), repeat=2):
        assert worse(*some) == min(some, key=[BAD, STALE, GOOD].index)


def test_an_overflow_is_told_by_the_info_bits() -> None:
    assert overflowed(0x480)
    assert not overflowed(0x400)
    assert not overflowed(0x080)
    assert not overflowed(0)
