"""What comes again and again is no surprise, however far out: how often it came bounds it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Events that are remembered, and the surprise from which on one is noted.
EVENTS = 8
NOTED = 3.0
# Rows without one that end an event, and rows before one counts: it is not its own precedent.
GAP, APART = 12.0, 150.0
# What is at least so far out, as a share, is as far.
AS_FAR = 0.8
# As many are no coincidence.
REGULAR = 5
# How much rarer than such an event a row may be said to be, as a power of ten: what comes again may
# be a fault that does.
SLACK = 1.0
# The least rate at which so many events are no luck, one-sided with 90 %, times the rows: half the
# tenth percentile of chi-squared with twice as many degrees of freedom.
LEAST = np.array([0.0, 0.1054, 0.5318, 1.1021, 1.7448, 2.4326, 3.1519, 3.8948, 4.6561])

# Places in an `events`: the peaks, their rows, how many there were, and the peak and the last row
# of the one that goes on, the peak 0 of none.
PEAKS, ROWS = 0, EVENTS
COUNT, PEAK, LATEST = range(2 * EVENTS, 2 * EVENTS + 3)
SIZE = 2 * EVENTS + 3


@njit(cache=True, nogil=True)
def bound(x: float, row: float, events: Array) -> float:
    """Return the surprise that a distance has at most in view of earlier events; inf of a first."""
    filled = int(min(events[COUNT], EVENTS))
    found, since = 0, 0.0 if events[COUNT] <= EVENTS else row
    for i in range(filled):
        if events[COUNT] > EVENTS:
            since = min(since, events[ROWS + i])
        if events[PEAKS + i] >= AS_FAR * x and events[ROWS + i] < row - APART:
            found += 1
    if found < REGULAR:
        return np.inf
    out: float = max(SLACK + np.log10((row - since) / LEAST[found]), 0.0)
    return out


@njit(cache=True, nogil=True)
def learn(x: float, surprise: float, row: float, events: Array) -> None:
    """Learn a distance and its surprise, of itself, at a row."""
    if surprise >= NOTED:
        events[PEAK] = max(events[PEAK], x)
        events[LATEST] = row
    elif events[PEAK] > 0.0 and row - events[LATEST] > GAP:
        place = int(events[COUNT]) % EVENTS
        events[PEAKS + place] = events[PEAK]
        events[ROWS + place] = events[LATEST]
        events[COUNT] += 1.0
        events[PEAK] = 0.0


def compile_all() -> None:
    """Compile what is called from outside."""
    events = np.zeros(SIZE)
    learn(0.0, 0.0, 1.0, events)
    bound(0.0, 1.0, events)
