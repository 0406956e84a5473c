"""Ranges against sets of numbers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.store.ranges import Range, collected, merged, without

RANGES = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 9)).map(lambda r: (r[0], r[0] + r[1])), max_size=12
)


def numbers(ranges: list[Range]) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}


@given(RANGES)
def test_merged_ranges_are_the_same_numbers_apart_from_each_other(ranges: list[Range]) -> None:
    found = merged(ranges)
    assert numbers(found) == numbers(ranges)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(found))
    assert collected(numbers(ranges)) == found


@given(RANGES, st.integers(0, 60), st.integers(0, 60))
def test_what_is_without(ranges: list[Range], first: int, length: int) -> None:
    whole = (first, first + length)
    assert numbers(without(whole, ranges)) == numbers([whole]) - numbers(ranges)
