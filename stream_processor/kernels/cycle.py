"""The period of a series, found from its values, and what is usual at each phase of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# What is kept to look for a period in: means of blocks of rows, whose length doubles when they are
# full, up to `LONGEST` rows, unless a period is known that would get too short for them.
BLOCKS = 512
LONGEST = 64
# Phases that are told apart.
PHASES = 96
# A period is at least `LEAST` blocks and thrice in the blocks; its autocorrelation is at least
# `LOWEST` and stands `RISE` above the trough before it; of peaks that are nearly as high as the
# highest, by `NEARLY`, the first counts. One that differs by less than `SAME` is the same.
LEAST, LOWEST, RISE, NEARLY, SAME = 4, 0.5, 0.3, 0.9, 0.03
RATE = 0.1
RUN = 12

# Places in `clock`: the period in rows, 0 of none; the phase, 0 to 1; how many residuals the run
# has; full blocks, rows of a block, and the sum and number of those of the one that is begun.
PERIOD, PHASE, RESIDUALS, FULL, LENGTH, SUM, ROWS = range(7)
CLOCK = 7


@njit(cache=True, nogil=True)
def period(blocks: Array) -> float:
    """Return the period of values (n,), in their distance from one another; 0 without one.

    The highest peak of the autocorrelation of what a line leaves, of which every multiple in reach
    says by a parabola where it is.
    """
    n = blocks.size
    middle, mean = (n - 1) / 2.0, blocks.mean()
    slope, squares = 0.0, 0.0
    for i in range(n):
        slope += (i - middle) * (blocks[i] - mean)
        squares += (i - middle) ** 2
    slope /= squares
    x = np.empty(n)
    for i in range(n):
        x[i] = blocks[i] - mean - slope * (i - middle)
    most = n // 3
    r = np.zeros(most + 2)
    for lag in range(1, most + 2):
        both, first, second = 0.0, 0.0, 0.0
        for i in range(n - lag):
            both += x[i] * x[i + lag]
            first += x[i] * x[i]
            second += x[i + lag] * x[i + lag]
        product = first * second
        r[lag] = both / np.sqrt(product) if product > 0.0 else 0.0
    highest = 0.0
    for wanted in range(2):
        trough = 1.0
        for lag in range(2, most + 1):
            trough = min(trough, r[lag])
            peak = lag >= LEAST and r[lag] >= r[lag - 1] and r[lag] >= r[lag + 1]
            if not peak or r[lag] - trough <= RISE:
                continue
            if wanted == 0:
                highest = max(highest, r[lag])
            elif r[lag] > NEARLY * highest:
                return _refined(r, lag, most)
        if highest < LOWEST:
            return 0.0
    return 0.0


@njit(cache=True, nogil=True)
def _refined(r: Array, lag: int, most: int) -> float:
    found = float(lag)
    multiple = 1
    while int(multiple * found + 0.5) + 1 <= most:
        at = int(multiple * found + 0.5)
        # The autocorrelation is coarse: the peak of a multiple is looked for near by.
        near = max(1, int(0.15 * found))
        top = at
        for i in range(max(2, at - near), min(most, at + near) + 1):
            if r[i] > r[top]:
                top = i
        bend = r[top - 1] - 2.0 * r[top] + r[top + 1]
        shift = 0.5 * (r[top - 1] - r[top + 1]) / bend if bend < 0.0 else 0.0
        if abs(shift) > 1.0:
            shift = 0.0
        found = (top + shift) / multiple
        multiple += 1
    return found


@njit(cache=True, nogil=True)
def residual(value: float, clock: Array, usual: Array, seen: Array, run: Array) -> float:
    """Move on by a row; return how far its value is from what is usual, NaN if not known.

    `usual` and `seen` (PHASES,) are a mean and how many rows it has; `run` (RUN,) are the last
    residuals.
    """
    if clock[PERIOD] == 0.0:
        return np.nan
    clock[PHASE] = (clock[PHASE] + 1.0 / clock[PERIOD]) % 1.0
    phases = _phases(clock[PERIOD])
    at = clock[PHASE] * phases
    place = int(at + 0.5)
    beside = place + 1 if at > place else place - 1
    share = abs(at - place)
    place, beside = place % phases, beside % phases
    if seen[place] < 2.0 or seen[beside] < 1.0:
        return np.nan
    found: float = value - (1.0 - share) * usual[place] - share * usual[beside]
    run[int(clock[RESIDUALS]) % RUN] = found
    clock[RESIDUALS] += 1.0
    if clock[RESIDUALS] == 2.0 * RUN:
        clock[RESIDUALS] = 1.0 * RUN
    return found


@njit(cache=True, nogil=True)
def _phases(rows: float) -> int:
    return int(min(PHASES, rows + 0.5))


@njit(cache=True, nogil=True)
def _learn_phase(value: float, place: int, usual: Array, seen: Array) -> None:
    seen[place] = min(seen[place] + 1.0, 1e6)
    usual[place] += max(RATE, 1.0 / seen[place]) * (value - usual[place])


@njit(cache=True, nogil=True)
def learn(
    value: float, expected: bool, clock: Array, usual: Array, seen: Array, blocks: Array
) -> None:
    """Learn the value of the row, as usual of its phase if `expected`, and as a part of its block.

    When the blocks (BLOCKS,) are full, a period is looked for. A new one begins with what they
    know of its phases, if they are short enough. One that is too short for the blocks stays.
    """
    if clock[PERIOD] > 0.0 and expected:
        phases = _phases(clock[PERIOD])
        _learn_phase(value, int(clock[PHASE] * phases + 0.5) % phases, usual, seen)
    clock[LENGTH] = max(clock[LENGTH], 1.0)
    clock[SUM] += value
    clock[ROWS] += 1.0
    if clock[ROWS] < clock[LENGTH]:
        return
    blocks[int(clock[FULL])] = clock[SUM] / clock[ROWS]
    clock[FULL] += 1.0
    clock[SUM], clock[ROWS] = 0.0, 0.0
    if clock[FULL] < BLOCKS:
        return
    length = clock[LENGTH]
    found, known = length * period(blocks), clock[PERIOD]
    other = known == 0.0 or (known >= LEAST * length and abs(found / known - 1.0) > SAME)
    if found > 0.0 and other:
        clock[PERIOD], clock[PHASE], clock[RESIDUALS] = found, 0.0, 0.0
        usual[:], seen[:] = 0.0, 0.0
        phases = _phases(found)
        if length <= 1.5 * found / phases:
            for i in range(BLOCKS):
                ago = (BLOCKS - 1 - i) * length + 0.5 * (length - 1.0)
                place = int((-ago / found) % 1.0 * phases + 0.5) % phases
                _learn_phase(blocks[i], place, usual, seen)
    half = BLOCKS // 2
    known = clock[PERIOD]
    if length < LONGEST and (known == 0.0 or known >= 4.0 * LEAST * length):
        for i in range(half):
            blocks[i] = 0.5 * (blocks[2 * i] + blocks[2 * i + 1])
        clock[LENGTH] = 2.0 * length
    else:
        blocks[:half] = blocks[half:]
    clock[FULL] = half


def compile_all() -> None:
    """Compile what is called from outside."""
    clock, usual, seen = np.zeros(CLOCK), np.zeros(PHASES), np.zeros(PHASES)
    period(np.arange(12.0))
    residual(0.0, clock, usual, seen, np.zeros(RUN))
    learn(0.0, True, clock, usual, seen, np.zeros(BLOCKS))
