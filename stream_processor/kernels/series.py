"""What is unusual in one series, seen in thirteen ways and brought to one scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_processor.kernels import counting, cycle, novelty, recurrence

Array = npt.NDArray[np.float64]

VIEWS = (
    "step",
    "short",
    "level",
    "prediction",
    "day_run",
    "week_run",
    "unrest",
    "long_unrest",
    "run",
    "long_run",
    "novelty",
    "cycle",
    "cycle_run",
)
"""What is looked at: the step from the last value; the distance to a mean of about ten values, to
one of about a thousand (the level), and to what the last eight lead one to expect; the mean of
twelve distances to what is usual at this half hour of the day and at this hour of the week; the
mean error of about five and twenty predictions; the distance of a mean of about twelve and fifty
values to the level; the distance to the nearest value that was seen; and that to what is usual at
this phase of a period which was found, by itself and as a mean of twelve."""

LAGS = 8
RUN = 12
HALF_HOURS, HOURS = 48, 168
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Rows in which a value has to be without an equal to be news.
HOLD = 150
# Observations before a view says anything: two beyond its 99th percentile are to be expected.
WARM = 200
SHORT, LONG = 0.1, 0.001
# Of the runs of values and of errors, as one over how many.
RUN_RATES = (1.0 / 12.0, 1.0 / 48.0)
UNREST_RATES = (1.0 / 5.0, 1.0 / 20.0)
# What an error adds to unrest at most, in mean errors, over how many they are, and from which on.
# The spike itself is the business of other views.
UNREST, UNREST_MEMORY, UNREST_FROM = 8.0, 2000.0, 50.0
DAY_RATE, WEEK_RATE = 0.3, 0.5
# Rows of the shortest period that is a view, since shorter ones are predicted from the lags, and
# how near to a day one is that of the clock.
SHORTEST, SAME_DAY = 24.0, 0.03
MEMORY = 0.9995
# A tail: its quantile, the largest it starts from, how many excesses it remembers, how heavy it is
# before it is known and how many excesses that is worth, the heaviest, and the largest share of
# its mean that an excess may teach.
QUANTILE = 0.99
TOP = 6
EXCESSES = 400.0
SHAPE, SHAPE_WORTH, HEAVIEST = 0.3, 20.0, 0.45
CLIP = 8.0
MOST = 12.0

# Places in `now`, what moves with every observation.
LAST, MEAN, PENDING, FILLED, NOW_SEEN, TIME, INTERVAL, UNRESTS = range(8)
# Two runs of values, two of errors, in this order.
MEANS, ERRORS = 8, 10
# The largest surprise that stands in view of how often such a thing came.
STANDS = 12
NOW = 13
# Places in `slow`, what is learnt.
LEARNT, LEVEL, UNIT, ERROR, ERRORS_LEARNT = range(5)
# Of the half hour and of the hour that goes on: its place, and the sum and number of its values.
PLACES, SUMS, NUMBERS = 5, 7, 9
SLOW = 11
# Rows of `tails`.
COUNT, THRESHOLD, SCALE, SQUARE, EXCEEDED = range(5)
TAILS = 5 + TOP
# Places in `found` behind the distances of `VIEWS`: the error of the prediction in units, the
# value, its places in the profile, and the lags.
SIGNED, VALUE, HALF_HOUR, HOUR = range(len(VIEWS), len(VIEWS) + 4)
LAGGED = len(VIEWS) + 4
FOUND = LAGGED + LAGS
"""Numbers in `found`: thirteen distances, the error of the prediction, and the observation."""


@njit(cache=True, nogil=True)
def tail_surprise(x: float, tail: Array) -> float:
    """Return -log10 of the probability of more than `x`; 0 below the threshold or if not warm.

    A generalised Pareto distribution of what exceeds a high quantile (Pickands 1975), its shape by
    moments (Hosking and Wallis 1987), drawn to `SHAPE` while little is known. It is never lighter
    than the predictive distribution of an exponential that was learnt from as many excesses.
    """
    excess = x - tail[THRESHOLD]
    if tail[COUNT] < WARM or not excess > 0.0:
        return 0.0
    known, mean = tail[EXCEEDED], tail[SCALE]
    shape = 0.5 * (1.0 - 1.0 / max(tail[SQUARE] / (mean * mean) - 1.0, 0.3))
    shape = (known * shape + SHAPE_WORTH * SHAPE) / (known + SHAPE_WORTH)
    shape = min(max(shape, 1.0 / (known + 2.0)), HEAVIEST)
    beyond = np.log1p(shape * excess / (mean * (1.0 - shape))) / shape
    out: float = -np.log10(1.0 - QUANTILE) + beyond / np.log(10.0)
    return min(out, MOST)


@njit(cache=True, nogil=True)
def tail_learn(x: float, tail: Array) -> None:
    """Learn `x` as usual; an excess teaches no more than `CLIP` times the mean one."""
    if not np.isfinite(x):
        return
    tail[COUNT] += 1.0
    count = tail[COUNT]
    if count <= WARM:
        # The largest so far, in descending order: all that the quantile needs.
        i = TOP - 1
        if x > tail[5 + i] or count <= TOP:
            while i > 0 and (count <= i or tail[5 + i - 1] < x):
                tail[5 + i] = tail[5 + i - 1]
                i -= 1
            tail[5 + i] = x
        if count == WARM:
            low, high = tail[5 + TOP - 1], tail[5]
            tail[THRESHOLD] = low
            tail[SCALE] = max((high - low) / 3.0, 0.1 * low) + 1e-12
            tail[SQUARE] = 2.0 * tail[SCALE] ** 2
            tail[EXCEEDED] = 2.0
        return
    mean = tail[SCALE]
    excess = x - tail[THRESHOLD]
    rate = 4.0 * mean * max(1.0 / count, (1.0 - QUANTILE) / EXCESSES)
    if excess <= 0.0:
        tail[THRESHOLD] -= rate * (1.0 - QUANTILE)
        return
    tail[THRESHOLD] += rate * QUANTILE
    tail[EXCEEDED] += 1.0
    gain = max(1.0 / tail[EXCEEDED], 1.0 / EXCESSES)
    tail[SCALE] = max(mean + gain * (min(excess, CLIP * mean) - mean), 1e-12)
    clipped = min(excess, 1.5 * CLIP * tail[SCALE])
    tail[SQUARE] += gain * (clipped * clipped - tail[SQUARE])


@njit(cache=True, nogil=True)
def _run(ring: Array, filled: int) -> float:
    total = 0.0
    for i in range(filled):
        total += ring[i]
    return total / filled


@njit(cache=True, nogil=True)
def _passed(time_ms: int, now: Array) -> int:
    """Return how many rows have passed since the last one, 1 if none is missing."""
    rows = 1
    since = time_ms - now[TIME]
    if now[NOW_SEEN] > 0.0 and since > 0.0:
        if now[INTERVAL] > 0.0:
            if since > 1.5 * now[INTERVAL]:
                rows = int(min(since / now[INTERVAL] + 0.5, 1e6))
            since = min(since, 3.0 * now[INTERVAL])
            now[INTERVAL] += max(0.01, 1.0 / now[NOW_SEEN]) * (since - now[INTERVAL])
        else:
            now[INTERVAL] = since
    now[TIME] = time_ms
    return rows


@njit(cache=True, nogil=True)
def _unrest(error: float, now: Array, slow: Array) -> bool:
    """Take the size of a prediction's error; return whether its means mean something."""
    if not np.isfinite(error) or slow[ERRORS_LEARNT] <= UNREST_FROM:
        return False
    size = 0.0
    if error > 0.0:
        size = min(error / slow[ERROR], UNREST) if slow[ERROR] > 0.0 else UNREST
    now[UNRESTS] = min(now[UNRESTS] + 1.0, 1000.0)
    for i in range(2):
        now[ERRORS + i] += max(UNREST_RATES[i], 1.0 / now[UNRESTS]) * (size - now[ERRORS + i])
    return bool(now[UNRESTS] > 1.0 / UNREST_RATES[1])


@njit(cache=True, nogil=True)
def _profile_runs(value: float, runs: Array, now: Array, profile: Array, found: Array) -> None:
    """Set the mean distances to what is usual at this half hour and at this hour of the week."""
    place = int(now[FILLED]) % RUN
    now[FILLED] += 1.0
    filled = int(min(now[FILLED], RUN))
    if now[FILLED] == 2.0 * RUN:
        now[FILLED] = 1.0 * RUN
    for i in range(2):
        usual = profile[int(found[HALF_HOUR + i])]
        runs[i, place] = value - usual if np.isfinite(usual) else np.nan
        found[4 + i] = abs(_run(runs[i], filled))


@njit(cache=True, nogil=True)
def _cycle(
    value: float, rows: int, now: Array, clock: Array, phases: Array, runs: Array, found: Array
) -> None:
    """Set the distances to what is usual at this phase, NaN without a period worth a view."""
    found[11], found[12] = np.nan, np.nan
    period = clock[cycle.PERIOD]
    if period == 0.0:
        return
    clock[cycle.PHASE] = (clock[cycle.PHASE] + (rows - 1) / period) % 1.0
    residual = cycle.residual(value, clock, phases[0], phases[1], runs[2])
    of_the_clock = abs(period * now[INTERVAL] / DAY_MS - 1.0) < SAME_DAY
    if not np.isfinite(residual) or period < SHORTEST or of_the_clock:
        return
    if clock[cycle.RESIDUALS] >= RUN:
        found[11] = abs(residual)
        found[12] = abs(_run(runs[2], RUN))


@njit(cache=True, nogil=True)
def update(
    value: float,
    time_ms: int,
    now: Array,
    lags: Array,
    runs: Array,
    slow: Array,
    weights: Array,
    profile: Array,
    clock: Array,
    phases: Array,
    known: Array,
    count: Array,
    steps: Array,
    tails: Array,
    events: Array,
    found: Array,
    surprise: Array,
) -> None:
    """Take a value at a time (UTC, ms); set the distances `found` and their `surprise` (13,).

    `now`, `lags` (LAGS,), `runs` (3, RUN), the phase of the `clock` and the `steps` of
    `kernels.counting` move, by which it may be an increment that is looked at; what was learnt is
    read only: the `profile` of the day and the week, the `phases` (2, PHASES) of `kernels.cycle`,
    the `known` values and their `count` of `kernels.novelty`.
    """
    now[PENDING] = 0.0
    surprise[:] = 0.0
    if not np.isfinite(value):
        return
    rows = _passed(time_ms, now)
    value = counting.taken(value, rows, steps)
    if not np.isfinite(value):
        return
    if now[NOW_SEEN] == 0.0:
        now[LAST] = value
        now[MEAN] = value
        now[MEANS : MEANS + 2] = value
    level = slow[LEVEL] if slow[LEARNT] > 0.0 else value
    found[0] = abs(value - now[LAST])
    found[1] = abs(value - now[MEAN])
    found[2] = abs(value - level)
    found[3] = np.nan
    found[SIGNED] = np.nan
    if now[NOW_SEEN] > LAGS and slow[UNIT] > 0.0:
        expected = weights[0]
        for i in range(LAGS):
            expected += weights[i + 1] * (lags[i] - level) / slow[UNIT]
        found[SIGNED] = (value - level) / slow[UNIT] - expected
        found[3] = abs(found[SIGNED]) * slow[UNIT]
    found[HALF_HOUR] = (time_ms % DAY_MS) // (HOUR_MS // 2)
    found[HOUR] = HALF_HOURS + (time_ms % (HOURS * HOUR_MS)) // HOUR_MS
    _profile_runs(value, runs, now, profile, found)
    restless = _unrest(found[3], now, slow)
    for i in range(2):
        found[6 + i] = now[ERRORS + i] if restless else np.nan
        now[MEANS + i] += RUN_RATES[i] * (value - now[MEANS + i])
        found[8 + i] = abs(now[MEANS + i] - level)
    place = novelty.nearest(value, known, count)
    found[10] = abs(value - known[novelty.VALUE, place]) if place >= 0 else np.nan
    _cycle(value, rows, now, clock, phases, runs, found)
    now[STANDS] = 0.0
    for i in range(len(VIEWS)):
        surprise[i] = tail_surprise(found[i], tails[i])
        if surprise[i] > now[STANDS]:
            bound = recurrence.bound(found[i], tails[i, COUNT], events[i])
            now[STANDS] = max(now[STANDS], min(surprise[i], bound))
    # What `learn` needs of this observation, then the present moves on.
    found[VALUE] = value
    for i in range(LAGS):
        found[LAGGED + i] = lags[i]
    for i in range(LAGS - 1, 0, -1):
        lags[i] = lags[i - 1]
    lags[0] = value
    now[LAST] = value
    now[NOW_SEEN] = min(now[NOW_SEEN] + 1.0, 1000.0)
    now[MEAN] += max(SHORT, 1.0 / (now[NOW_SEEN] + 1.0)) * (value - now[MEAN])
    now[PENDING] = 1.0


@njit(cache=True, nogil=True)
def learn(
    now: Array,
    slow: Array,
    weights: Array,
    inverse: Array,
    profile: Array,
    clock: Array,
    phases: Array,
    blocks: Array,
    known: Array,
    count: Array,
    tails: Array,
    events: Array,
    found: Array,
    usual: bool,
) -> None:
    """Learn the observation that was taken last, once.

    Unless it is `usual`, only how rare it is, that there is such a value, and the period.
    """
    if now[PENDING] == 0.0:
        return
    now[PENDING] = 0.0
    value, level = found[VALUE], slow[LEVEL]
    if slow[LEARNT] == 0.0:
        level = value
    for i in range(len(VIEWS)):
        if np.isfinite(found[i]):
            by_itself = tail_surprise(found[i], tails[i])
            recurrence.learn(found[i], by_itself, tails[i, COUNT], events[i])
            tail_learn(found[i], tails[i])
    novelty.learn(value, known, count)
    cycle.learn(value, usual, clock, phases[0], phases[1], blocks)
    if np.isfinite(found[3]) and (usual or slow[ERRORS_LEARNT] < UNREST_FROM):
        slow[ERRORS_LEARNT] = min(slow[ERRORS_LEARNT] + 1.0, 1e6)
        error = found[3]
        if slow[ERRORS_LEARNT] > 10.0:
            error = min(error, CLIP * slow[ERROR])
        gain = max(1.0 / UNREST_MEMORY, 1.0 / slow[ERRORS_LEARNT])
        slow[ERROR] += gain * (error - slow[ERROR])
    if not usual:
        return
    if np.isfinite(found[SIGNED]):
        _learn_prediction(level, slow, weights, inverse, found)
    _learn_profile(value, slow, profile, found)
    slow[LEARNT] = min(slow[LEARNT] + 1.0, 1e6)
    gain = max(LONG, 1.0 / (slow[LEARNT] + 1.0))
    distance = abs(value - level)
    if slow[UNIT] > 0.0:
        distance = min(distance, CLIP * slow[UNIT])
    slow[UNIT] += gain * (distance - slow[UNIT])
    slow[LEVEL] = level + gain * (value - level)


@njit(cache=True, nogil=True)
def _learn_profile(value: float, slow: Array, profile: Array, found: Array) -> None:
    """Take a value into the half hour and the hour that go on; learn those that are over."""
    for i, rate in ((0, DAY_RATE), (1, WEEK_RATE)):
        place = int(slow[PLACES + i])
        if slow[NUMBERS + i] > 0.0 and place != int(found[HALF_HOUR + i]):
            mean = slow[SUMS + i] / slow[NUMBERS + i]
            if np.isfinite(profile[place]):
                profile[place] += rate * (mean - profile[place])
            else:
                profile[place] = mean
            slow[SUMS + i], slow[NUMBERS + i] = 0.0, 0.0
        slow[PLACES + i] = found[HALF_HOUR + i]
        slow[SUMS + i] += value
        slow[NUMBERS + i] += 1.0


@njit(cache=True, nogil=True)
def _learn_prediction(
    level: float, slow: Array, weights: Array, inverse: Array, found: Array
) -> None:
    """Take a step of recursive least squares on the lags, its error cut at three mean ones."""
    size = LAGS + 1
    x = np.empty(size)
    gain = np.empty(size)
    x[0] = 1.0
    for i in range(LAGS):
        x[i + 1] = (found[LAGGED + i] - level) / slow[UNIT]
    total = MEMORY
    for i in range(size):
        gain[i] = 0.0
        for j in range(size):
            gain[i] += inverse[i, j] * x[j]
        total += x[i] * gain[i]
    error = found[SIGNED]
    usual = weights[size]
    seen = weights[size + 1] + 1.0
    if seen > 1.0:
        error = max(-3.0 * usual - 1e-9, min(3.0 * usual + 1e-9, error))
    weights[size] += max(1.0 / seen, 0.002) * (min(abs(found[SIGNED]), 5.0 * usual + 1e-9) - usual)
    if seen == 1.0:
        weights[size] = abs(found[SIGNED])
    weights[size + 1] = min(seen, 1e6)
    trace = 0.0
    for i in range(size):
        weights[i] += error * gain[i] / total
        for j in range(size):
            inverse[i, j] = (inverse[i, j] - gain[i] * gain[j] / total) / MEMORY
        trace += inverse[i, i]
    if not trace < 1e6:
        # Nothing moves: what is forgotten must not make the gains grow without bound.
        inverse[:, :] = 0.0
        for i in range(size):
            inverse[i, i] = 1.0


@njit(cache=True, nogil=True)
def news(surprise: float, recent: Array, place: int) -> float:
    """Return the surprise if it exceeds all `recent` ones, else 0, and put it in their `place`."""
    highest = 0.0
    for i in range(recent.size):
        highest = max(highest, recent[i])
    recent[place] = surprise
    return surprise if surprise > highest else 0.0


def compile_all() -> None:
    """Compile what is called from outside."""
    size = LAGS + 1
    now, slow = np.zeros(NOW), np.zeros(SLOW)
    weights, inverse = np.zeros(size + 2), np.eye(size)
    profile, tails = np.full(HALF_HOURS + HOURS, np.inf), np.zeros((len(VIEWS), TAILS))
    events = np.zeros((len(VIEWS), recurrence.SIZE))
    found, surprise = np.zeros(FOUND), np.zeros(len(VIEWS))
    lags, runs = np.zeros(LAGS), np.zeros((3, RUN))
    clock, phases = np.zeros(cycle.CLOCK), np.zeros((2, cycle.PHASES))
    blocks, known = np.zeros(cycle.BLOCKS), np.zeros((2, novelty.KNOWN))
    count, steps = np.zeros(novelty.COUNT), np.zeros(counting.STEPS)
    rest = (clock, phases, known, count, steps, tails, events, found, surprise)
    update(1.0, 0, now, lags, runs, slow, weights, profile, *rest)
    learnt = (weights, inverse, profile, clock, phases, blocks, known, count, tails)
    learn(now, slow, *learnt, events, found, True)
    news(0.0, np.zeros(HOLD), 0)
    tail_surprise(0.0, tails[0])
    tail_learn(0.0, tails[0])
