"""Identifiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_modules.kernel.ids import Cause, RandomIds, SequentialIds, derived_id

causes = st.lists(st.text() | st.integers() | st.binary() | st.none(), min_size=1, max_size=4)


@given(causes, causes)
def test_the_same_causes_have_the_same_id_and_others_another(
    one: list[str | int | bytes | None], other: list[str | int | bytes | None]
) -> None:
    same = [(type(c), c) for c in one] == [(type(c), c) for c in other]
    assert (derived_id("x", *one) == derived_id("x", *other)) == same


@given(st.text(min_size=1), st.integers(0))
def test_where_one_cause_ends_matters(text: str, cut: int) -> None:
    cut %= len(text)
    assert derived_id("x", text[:cut], text[cut:]) != derived_id("x", text)


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Level.HIGH, 3, True),
        (3, "3", False),
        ("3", b"3", False),
        (Decimal("1.50"), Decimal("1.5"), True),
        (Decimal("100"), Decimal("1E2"), True),
        (None, "", False),
    ],
)
def test_a_cause_is_its_value_not_its_spelling(one: Cause, other: Cause, same: bool) -> None:
    assert (derived_id("x", one) == derived_id("x", other)) == same


def test_an_id_is_a_readable_part_of_a_name() -> None:
    made = derived_id("tkt", "a")
    assert made.startswith("tkt-")
    assert len(made) == 20
    assert made.replace("-", "").isalnum()
    assert made == made.lower()


def test_a_time_is_the_same_cause_in_every_zone() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert derived_id("x", noon) == derived_id("x", noon.astimezone(timezone(timedelta(hours=5))))
    with pytest.raises(ValueError, match="time zone"):
        derived_id("x", datetime(2026, 1, 1))


def test_nothing_is_no_cause() -> None:
    with pytest.raises(ValueError, match="derived from nothing"):
        derived_id("x")


def test_new_ids_are_new() -> None:
    random, sequential = RandomIds(), SequentialIds()
    assert len({random.new("a") for _ in range(100)}) == 100
    assert [sequential.new("a"), sequential.new("b")] == ["a-0001", "b-0002"]
