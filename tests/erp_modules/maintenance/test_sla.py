from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from erp_modules.maintenance.priority import Priority
from erp_modules.maintenance.sla import TARGETS, Clock, SlaState

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_runs_then_is_breached() -> None:
    clock = Clock(START, HOUR)
    assert clock.state(START + HOUR) is SlaState.RUNNING
    assert clock.state(START + HOUR + timedelta(microseconds=1)) is SlaState.BREACHED


def test_kept_in_time_stays_met() -> None:
    clock = Clock(START, HOUR, stop_time=START + HOUR)
    assert clock.state(START + 100 * HOUR) is SlaState.MET


def test_kept_too_late_is_breached() -> None:
    clock = Clock(START, HOUR, stop_time=START + 2 * HOUR)
    assert clock.state(START + 2 * HOUR) is SlaState.BREACHED


def test_stands_still_while_on_hold() -> None:
    clock = Clock(START, HOUR, held_since=START + HOUR / 2)
    assert clock.state(START + 10 * HOUR) is SlaState.PAUSED
    assert clock.due_time(START + 10 * HOUR) == START + 10.5 * HOUR


def test_a_hold_after_the_breach_does_not_heal_it() -> None:
    clock = Clock(START, HOUR, held_since=START + 2 * HOUR)
    assert clock.state(START + 10 * HOUR) is SlaState.BREACHED
    assert clock.due_time(START + 10 * HOUR) == START + HOUR


def test_a_hold_that_ended_moves_the_due_time() -> None:
    clock = Clock(START, HOUR, held=3 * HOUR)
    assert clock.due_time(START) == START + 4 * HOUR


def test_targets_are_shorter_for_what_is_more_urgent() -> None:
    for lower, higher in pairwise(sorted(Priority)):
        assert TARGETS[higher].response < TARGETS[lower].response
        assert TARGETS[higher].resolution < TARGETS[lower].resolution
    assert all(t.response < t.resolution for t in TARGETS.values())


minutes = st.integers(0, 600).map(lambda n: timedelta(minutes=n))


@given(minutes, minutes, minutes)
def test_a_hold_costs_nothing(before: timedelta, hold: timedelta, after: timedelta) -> None:
    """Working time alone decides: with the hold taken out, the answer is the same."""
    target = timedelta(minutes=300)
    now = START + before + hold + after
    if before > target:
        return
    held = Clock(START, target, held=hold)
    unheld = Clock(START, target)
    assert held.state(now) is unheld.state(now - hold)
