"""Laws of on-delay, off-delay and hysteresis, over any course of events."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream_processor.rules.condition import Condition
from stream_processor.rules.rule_file import Limit

STEPS = st.lists(
    st.tuples(st.integers(1, 40), st.floats(0, 100, allow_nan=False) | st.none()), max_size=120
)
DELAYS = st.integers(0, 100)
LIMITS = st.tuples(st.integers(20, 80), st.integers(0, 20), st.sampled_from([1, -1])).map(
    lambda t: Limit(t[2], float(t[0]), float(t[0] - t[2] * t[1]))
)


def course(
    steps: list[tuple[int, float | None]], limit: Limit, on: int, off: int, stop: int = -1
) -> list[tuple[int, str]]:
    """Return what was said and when; the condition is restored before the step `stop`."""
    condition, time, said = Condition(), 0, []
    for at, (after, value) in enumerate(steps):
        if at == stop:
            condition = Condition.restore(condition.state())
        time += after
        over = None if value is None else limit.over(value)
        back = None if value is None else limit.back(value)
        transition = condition.step(over, back, time, on, off)
        if transition != "none":
            said.append((time, transition))
    return said


def values(steps: list[tuple[int, float | None]]) -> list[tuple[int, float]]:
    time, found = 0, []
    for after, value in steps:
        time += after
        if value is not None:
            found.append((time, value))
    return found


@given(STEPS, LIMITS, DELAYS, DELAYS)
def test_raises_and_clears_take_turns(steps, limit, on, off):
    said = [what for _, what in course(steps, limit, on, off)]
    assert said == ["raise", "clear"] * (len(said) // 2) + ["raise"] * (len(said) % 2)


@given(STEPS, LIMITS, DELAYS, DELAYS)
def test_an_alarm_has_been_over_its_limit_for_the_whole_on_delay(steps, limit, on, off):
    known = values(steps)
    begun = -1
    for time, what in course(steps, limit, on, off):
        if what == "raise":
            # From the first observation that is at least a delay before to this one, all are over.
            first = max((t for t, _ in known if t <= time - on), default=None)
            assert first is not None
            assert first > begun or on == 0
            assert all(limit.over(v) for t, v in known if first <= t <= time)
        begun = time


@given(STEPS, LIMITS, DELAYS, DELAYS)
def test_it_ends_only_after_being_back_for_the_whole_off_delay(steps, limit, on, off):
    known = values(steps)
    for (raised, _), (time, what) in pairwise(course(steps, limit, on, off)):
        if what == "clear":
            first = max((t for t, _ in known if t <= time - off), default=None)
            assert first is not None
            assert first > raised
            assert all(limit.back(v) for t, v in known if first <= t <= time)


@given(
    st.lists(st.floats(-0.99, 0.99, allow_nan=False), min_size=1, max_size=200),
    st.floats(1.01, 5, allow_nan=False),
)
def test_noise_smaller_than_the_hysteresis_never_chatters(noise, hysteresis):
    limit = Limit(1, 50.0, 50.0 - 2 * hysteresis)
    steps = [(1, 50.0 - hysteresis + hysteresis * n) for n in noise]
    assert course(steps, limit, 0, 0) == []
    # Once it was over, the same noise does not end it.
    said = course([(1, 60.0), *steps], limit, 0, 0)
    assert [what for _, what in said] == ["raise"]


@given(STEPS, LIMITS, DELAYS, DELAYS, st.integers(0, 119))
def test_a_restart_anywhere_is_no_restart(steps, limit, on, off, stop):
    assert course(steps, limit, on, off, stop) == course(steps, limit, on, off)


@given(STEPS, LIMITS, DELAYS, DELAYS)
def test_what_is_not_known_changes_nothing(steps, limit, on, off):
    time, known = 0, []
    before = 0
    for after, value in steps:
        time += after
        if value is not None:
            known.append((time - before, value))
            before = time
    assert course(steps, limit, on, off) == course(known, limit, on, off)


def test_the_window_of_an_alarm_begins_with_its_delay():
    condition = Condition()
    assert [condition.step(True, False, t, 30, 0) for t in (100, 110, 130)][-1] == "raise"
    assert condition.window_start_ms == 100


def test_waiting_begins_anew_after_another_mode():
    condition = Condition()
    condition.step(True, False, 0, 30, 0)
    condition.wait()
    assert condition.step(True, False, 40, 30, 0) == "none"
    assert condition.step(True, False, 70, 30, 0) == "raise"
