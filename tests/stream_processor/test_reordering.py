"""The sequence of a node without batch numbers, on its way round 256."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.v1.sparkplug_b_pb2 import Payload
from stream_processor.reordering import NUMBERS, REORDER_TIMEOUT_S, Reordering


def said(seq: int) -> bytes:
    return Payload(seq=seq % NUMBERS).SerializeToString()


def born(seq: int = 0) -> Reordering:
    order = Reordering()
    order.hear("NBIRTH", said(seq), 0.0)
    return order


@given(st.data(), st.integers(1, 600))
def test_nothing_is_missed_of_what_comes_nearly_in_order(data: st.DataObject, count: int) -> None:
    # Each message at most a few places late, over several rounds of the numbers.
    places = sorted(range(1, count + 1), key=lambda n: n + data.draw(st.floats(0, 5)))
    order = born()
    for n in places:
        order.hear("DDATA", said(n), 0.0)
    assert order.due is None


@given(st.sets(st.integers(1, 99), min_size=1), st.integers(0, 255))
def test_what_does_not_come_is_missed_from_when_the_next_came(gone: set[int], begin: int) -> None:
    order = born(begin)
    for n in range(1, 101):
        if n not in gone:
            order.hear("DDATA", said(begin + n), float(n))
        order = Reordering.restore(order.state())
    first = min(gone)
    came = next(n for n in range(first, 101) if n not in gone)
    assert order.due == came + REORDER_TIMEOUT_S
    assert not order.overdue(order.due - 0.1)
    assert order.overdue(order.due)
    assert order.due is None


def test_nothing_is_missed_before_a_birth_and_none_after_the_next() -> None:
    order = Reordering()
    order.hear("DDATA", said(7), 0.0)
    order.hear("DDATA", said(9), 0.0)
    assert order.due is None
    order = born()
    order.hear("DDATA", said(3), 0.0)
    assert order.due == REORDER_TIMEOUT_S
    order.hear("NBIRTH", said(0), 1.0)
    order.hear("DDATA", said(1), 2.0)
    assert order.due is None
