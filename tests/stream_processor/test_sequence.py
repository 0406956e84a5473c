from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_processor import sequence as subject
from stream_processor.sequence import Arrival, Sequence


def drain(sequence: Sequence[int], now: float = 0.0) -> tuple[list[int], int]:
    """Let the clock run until nothing is due; return what came out and what was lost."""
    found, lost = [], 0
    while sequence.due is not None:
        now = max(now, sequence.due)
        lost += sequence.look(now).lost
        told, released = sequence.release()
        lost += told
        found += [batch for batch, _ in released]
    return found, lost


@given(st.lists(st.integers(1, 60), max_size=200), st.integers(0, 5))
def test_each_batch_comes_out_once_in_order_and_the_rest_is_counted(
    arrivals: list[int], watermark: int
) -> None:
    sequence: Sequence[int] = Sequence(watermark)
    found, duplicates = [], 0
    for now, batch in enumerate(arrivals):
        arrival = sequence.offer(batch, batch, 1, float(now))
        duplicates += arrival is Arrival.DUPLICATE
        found += [item for _, item in sequence.release()[1]]
    rest, lost = drain(sequence, len(arrivals))
    found += rest

    due = {batch for batch in arrivals if batch > watermark}
    assert found == sorted(due)
    assert duplicates == len(arrivals) - len(due)
    highest = max(due, default=watermark)
    assert lost == highest - watermark - len(due)
    assert (sequence.watermark, sequence.held, sequence.held_bytes) == (highest, {}, 0)


@given(st.sets(st.integers(1, 40)), st.integers(1, 50))
def test_skipping_gives_up_what_is_missing_before(there: set[int], first: int) -> None:
    sequence: Sequence[int] = Sequence(0)
    found = []
    for batch in sorted(there, reverse=True):
        sequence.offer(batch, batch, 1, 0.0)
        found += [item for _, item in sequence.release()[1]]
    lost, released = sequence.skip_to(first, 1.0)
    found += [item for _, item in released]
    before = {batch for batch in there if batch < first}
    already = len([b for b in range(1, first) if b in there])
    assert lost == first - 1 - already
    assert before <= set(found)
    assert found == sorted(found)
    assert sequence.watermark >= first - 1


def test_a_gap_is_asked_for_with_growing_patience_then_given_up() -> None:
    sequence: Sequence[str] = Sequence(0)
    assert sequence.offer(3, "c", 1, 10.0) is Arrival.HELD
    assert sequence.offer(6, "f", 1, 10.5) is Arrival.HELD
    asked = []
    while sequence.watermark == 0:
        assert sequence.due is not None
        now = sequence.due
        assert sequence.look(now - 0.001).requests == []
        report = sequence.look(now)
        if report.requests:
            asked.append((now - 10.0, report.requests))
    assert asked == [(at, [(1, 2), (4, 5)]) for at in (2.0, 6.0, 14.0, *range(30, 318, 32))]
    assert report.lost == 2
    assert sequence.release() == (0, [(3, "c")])
    assert sequence.missing() == [(4, 5)]


def test_what_closes_part_of_a_gap_starts_the_patience_anew() -> None:
    sequence: Sequence[str] = Sequence(0)
    sequence.offer(5, "e", 1, 0.0)
    sequence.look(2.0)
    assert sequence.requests == 1
    sequence.offer(2, "b", 1, 3.0)
    assert (sequence.requests, sequence.due) == (0, 3.0 + subject.GAP_PATIENCE_S)


def test_what_finds_no_room_is_asked_for_again() -> None:
    sequence: Sequence[int] = Sequence(0)
    full = subject.MAX_HELD + 1
    for batch in range(2, full + 1):
        assert sequence.offer(batch, batch, 1, 0.0) is Arrival.HELD
    assert sequence.offer(full + 1, full + 1, 1, 0.0) is Arrival.OVERFLOWED
    assert sequence.offer(1, 1, 1, 1.0) is Arrival.RELEASED
    assert len(sequence.release()[1]) == full
    assert sequence.missing() == [(full + 1, full + 1)]
    assert sequence.look(60.0).requests == [(full + 1, full + 1)]


def test_held_bytes_are_bounded() -> None:
    sequence: Sequence[int] = Sequence(0)
    assert sequence.offer(2, 2, subject.MAX_HELD_BYTES, 0.0) is Arrival.HELD
    assert sequence.offer(3, 3, 1, 0.0) is Arrival.OVERFLOWED


def test_an_absurd_batch_number_opens_no_gap() -> None:
    sequence: Sequence[int] = Sequence(0)
    assert sequence.offer(2**60, 1, 1, 0.0) is Arrival.NONSENSE
    assert not sequence.has_gap


@given(st.data())
def test_what_is_said_to_be_lost_is_passed_over_and_nothing_comes_twice(
    data: st.DataObject,
) -> None:
    """A node keeps some batches and has lost others; what it says comes in any order, any times."""
    last = data.draw(st.integers(1, 40))
    gone = data.draw(st.sets(st.integers(1, last)))
    kept = [("batch", n, n) for n in range(1, last + 1) if n not in gone]
    told = [("lost", n, n) for n in gone]
    # Ranges of several, which may take in what has come before it was dropped.
    for _ in range(data.draw(st.integers(0, 3))):
        first = data.draw(st.integers(1, last))
        told.append(("lost", first, data.draw(st.integers(first, last))))
    said = data.draw(st.permutations(kept + told))
    again = data.draw(st.lists(st.sampled_from(said), max_size=20)) if said else []

    sequence: Sequence[int] = Sequence(0)
    found, lost = [], 0
    for now, (what, first, end) in enumerate([*said, *again]):
        if what == "batch":
            sequence.offer(first, first, 1, float(now))
        else:
            sequence.lose(first, end, float(now))
        passed, released = sequence.release()
        lost += passed
        found += [item for _, item in released]

    assert sequence.watermark == sequence.highest == last
    assert found == sorted(set(found))
    assert len(found) + lost == last
    assert gone.isdisjoint(found)
    assert (sequence.held, sequence.held_bytes, sequence.lost, sequence.due) == ({}, 0, [], None)


def test_what_is_said_to_be_lost_is_never_asked_for() -> None:
    sequence: Sequence[int] = Sequence(0)
    sequence.offer(9, 9, 1, 0.0)
    assert sequence.lose(3, 5, 0.0) is Arrival.HELD
    assert sequence.lose(2**63, 2**63 + 1, 0.0) is Arrival.NONSENSE
    assert sequence.lose(1, 2**62, 0.0) is Arrival.NONSENSE
    assert sequence.missing() == [(1, 2), (6, 8)]
    assert sequence.lose(1, 8, 0.0) is Arrival.RELEASED
    assert sequence.release() == (8, [(9, 9)])
    assert sequence.lose(2, 9, 0.0) is Arrival.DUPLICATE


def test_ranges_without_room_are_asked_for_again() -> None:
    sequence: Sequence[int] = Sequence(0)
    for place in range(subject.MAX_LOST_RANGES):
        assert sequence.lose(2 + 2 * place, 2 + 2 * place, 0.0) is Arrival.HELD
    beyond = 4 + 2 * subject.MAX_LOST_RANGES
    assert sequence.lose(beyond, beyond, 0.0) is Arrival.OVERFLOWED
    assert sequence.has_gap
    assert sequence.look(60.0).requests[0] == (1, 1)
