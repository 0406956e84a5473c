"""How often something came bounds its surprise."""

from __future__ import annotations

import numpy as np

from stream_processor.kernels import recurrence

EVERY = 400


def after(count: int, x: float = 10.0) -> np.ndarray:
    """Return what is known after events every 400 rows."""
    events = np.zeros(recurrence.SIZE)
    for row in range(1, count * EVERY + 100):
        far = row % EVERY == 0
        recurrence.learn(x if far else 0.1, 5.0 if far else 0.0, float(row), events)
    return events


def test_few_events_bound_nothing() -> None:
    few = after(recurrence.REGULAR - 1)
    assert recurrence.bound(10.0, EVERY * recurrence.REGULAR, few) == np.inf


def test_what_comes_regularly_is_as_rare_as_it_comes() -> None:
    events = after(30)
    found = recurrence.bound(10.0, 31.0 * EVERY, events)
    least = recurrence.SLACK + np.log10(EVERY)
    assert least < found < least + 0.5


def test_what_is_farther_than_all_that_came_is_not_bounded() -> None:
    assert recurrence.bound(20.0, 31.0 * EVERY, after(30)) == np.inf


def test_an_event_is_not_its_own_precedent() -> None:
    events = np.zeros(recurrence.SIZE)
    for row in range(1000, 1120):
        recurrence.learn(10.0, 5.0 if row % 20 == 0 else 0.0, float(row), events)
    assert events[recurrence.COUNT] >= recurrence.REGULAR
    assert recurrence.bound(10.0, 1120.0, events) == np.inf
