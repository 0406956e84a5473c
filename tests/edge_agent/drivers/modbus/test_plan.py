"""Few reads that cover everything, against reading each by itself."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.modbus.plan import Read, Span, pieces, plan_reads

SPANS = st.lists(st.builds(Span, st.integers(0, 600), st.integers(1, 4)), max_size=60)
LIMITS = st.integers(4, 125)
GAPS = st.integers(0, 20)


def covered(spans: list[Span], read: Read) -> set[int]:
    return {a for i in read.members for a in range(spans[i].address, spans[i].end)}


@given(SPANS, LIMITS, GAPS)
def test_every_span_is_answered_once_within_the_limits(
    spans: list[Span], limit: int, gap: int
) -> None:
    reads = plan_reads(spans, limit, gap)
    assert sorted(i for read in reads for i in read.members) == list(range(len(spans)))
    for read in reads:
        assert 1 <= read.count <= limit
        wanted = covered(spans, read)
        # It begins and ends with what somebody asked for, and contains all of it.
        assert min(wanted) == read.address
        assert max(wanted) == read.address + read.count - 1
        # No run of addresses that nobody asked for is longer than the gap.
        edges = sorted(wanted)
        assert all(b - a - 1 <= gap for a, b in itertools.pairwise(edges))


@given(SPANS, LIMITS, GAPS)
def test_reading_from_a_table_gives_what_naive_reads_give(
    spans: list[Span], limit: int, gap: int
) -> None:
    table = [(7 * a + 3) % 65_536 for a in range(700)]
    naive = [table[s.address : s.end] for s in spans]
    planned: dict[int, list[int]] = {}
    for read in plan_reads(spans, limit, gap):
        answer = table[read.address : read.address + read.count]
        for i in read.members:
            first = spans[i].address - read.address
            planned[i] = answer[first : first + spans[i].count]
    assert [planned[i] for i in range(len(spans))] == naive


def fewest(spans: list[Span], limit: int, gap: int) -> int:
    """The smallest number of reads of neighbours in order, by trying every way to part them."""
    order = sorted(spans, key=lambda s: (s.address, s.end))
    best = [0] + [len(order)] * len(order)
    for end in range(1, len(order) + 1):
        for start in range(end):
            group = order[start:end]
            if len(plan_reads(group, limit, gap)) == 1:
                best[end] = min(best[end], best[start] + 1)
    return best[-1]


@given(
    st.lists(st.builds(Span, st.integers(0, 60), st.integers(1, 4)), max_size=9),
    st.integers(4, 20),
    st.integers(0, 5),
)
def test_there_are_no_fewer_reads(spans: list[Span], limit: int, gap: int) -> None:
    assert len(plan_reads(spans, limit, gap)) == fewest(spans, limit, gap)


def test_a_span_that_is_no_one_read_is_refused() -> None:
    with pytest.raises(ValueError, match="5 addresses from 10"):
        plan_reads([Span(10, 5)], 4, 0)


@given(st.builds(Span, st.integers(0, 1000), st.integers(1, 4000)), st.integers(1, 125))
def test_pieces_follow_each_other(span: Span, limit: int) -> None:
    parts = pieces(span, limit)
    assert [a for p in parts for a in range(p.address, p.end)] == list(
        range(span.address, span.end)
    )
    assert all(part.count <= limit for part in parts)
    assert len(parts) == -(-span.count // limit)
