"""What a healthy machine's features should be at its present load, learnt as it runs.

All features of a machine are regressed on the same few drivers by recursive least squares, so one
covariance serves them all. The machinery beside it turns a residual into a score: its variance,
how far it is correlated with the one before (which says how many independent observations there
have been), and two running means, one short and one long, with their own variances.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# Rows of the statistics of a feature.
SEEN, VARIANCE, PRODUCT, LAST, SHORT, LONG, SHORT_VARIANCE, LONG_VARIANCE, LEVEL = range(9)
AWAY, AWAY_SQUARES, AWAY_PRODUCT, AWAY_SHORT, AWAY_LONG = range(9, 14)
FAST = 14
ROWS = 15
# Observations after which a variance is good enough to judge outliers by.
SETTLED = 20.0

SHORT_GAIN = 1.0 / 4.0
LONG_GAIN = 1.0 / 48.0
# Standard deviations the running means are taken to have at least: they keep a shift that is
# certain but small from counting.
SHORT_FLOOR = 0.5
LONG_FLOOR = 0.35
# A single residual counts up to this many standard deviations in the running means.
SCORE_CAP = 10.0
# A plunge far outside of all that is known counts at once: a mean over a few scores, against a
# limit this many times as wide.
FAST_GAIN = 1.0 / 3.0
FAST_LIMIT = 2.0
FAST_CAP = 25.0
# Residuals further out than this many deviations teach no more than one this far out (Huber 1964).
HUBER = 4.0
# A feature is away from its expectation from one running mean on, and back under the other.
LEAVES = 1.0
RETURNS = 0.5
LONGEST_AWAY = 1000.0
# How much a variance estimated from one independent observation is distrusted.
_DISTRUST = 12.0
_LONGEST_CORRELATION = 200.0
# The running means last at least a fixed number of observations, and at least this share of the
# correlation length: what swings by itself is not averaged away sooner.
_LONGEST_MEMORY = 200.0
_SHORT_SHARE = 0.25
PRIOR_LEVEL = 1e4
PRIOR_SLOPE = 1e2
LEAST_UNIT = 1e-9


@njit(cache=True, nogil=True)
def regressors(drivers: Array, share: float, origin: Array, unit: Array, out: Array) -> None:
    """Fill `out` (k,) with 1 and how far each driver is from its origin, in its `unit`.

    A driver's origin is the first number it had, its unit that `share` of it. One that is no number
    is taken to be at its origin.
    """
    out[0] = 1.0
    for i in range(drivers.size):
        known = np.isfinite(drivers[i])
        if known and np.isnan(origin[i]):
            origin[i] = drivers[i]
        scale = share * abs(origin[i])
        unit[i] = scale if scale > LEAST_UNIT else 1.0
        out[i + 1] = (drivers[i] - origin[i]) / unit[i] if known else 0.0


@njit(cache=True, nogil=True)
def residuals(
    drivers: Array, targets: Array, own: Indices, unit: Array, inverse: Array, weights: Array,
    out: Array,
) -> None:  # fmt: skip
    """Fill `out` (2, m) with the residual and the leverage of each target.

    `drivers` is (k,) with a leading 1, `inverse` (k, k) the inverse of their regularised second
    moments, `weights` (k, m), `unit` (k - 1,) the drivers' units. `own[j]` is the driver that
    target `j` is itself, or -1; such a target is regressed on the other drivers, whose residual is
    `(P x)_i / P_ii` (partitioned inverse).
    """
    k = drivers.size
    gain = np.zeros(k)
    leverage = 0.0
    for i in range(k):
        for c in range(k):
            gain[i] += inverse[i, c] * drivers[c]
        leverage += drivers[i] * gain[i]
    for j in range(targets.size):
        i = own[j]
        if i >= 0:
            away = gain[i] / inverse[i, i] * (unit[i - 1] if i > 0 else 1.0)
            out[0, j] = away if np.isfinite(targets[j]) else np.nan
            out[1, j] = max(0.0, leverage - gain[i] * gain[i] / inverse[i, i])
        else:
            predicted = 0.0
            for c in range(k):
                predicted += drivers[c] * weights[c, j]
            out[0, j] = targets[j] - predicted
            out[1, j] = leverage


@njit(cache=True, nogil=True)
def score(found: Array, tolerance: Array, trust: float, statistics: Array, out: Array) -> None:
    """Fill `out` (3, m): standard deviation, score, and smoothed score of each residual.

    `trust`, 0 to 1, is how well the running means are known at the interval at which observations
    come: without it, averaging is taken to remove nothing. The running means of the scores in
    `statistics` move on; what is learnt does not.
    """
    for j in range(found.shape[1]):
        e = found[0, j]
        seen = statistics[SEEN, j]
        if not np.isfinite(e):
            out[0, j] = np.nan
            out[1, j] = np.nan
            # Nothing new: what was known fades.
            out[2, j] = 0.0
            continue
        variance = statistics[VARIANCE, j]
        correlation = 0.0
        if variance > 0.0:
            correlation = min(max(statistics[PRODUCT, j] / variance, 0.0), 0.9999)
        swing = min((1.0 + correlation) / (1.0 - correlation), _LONGEST_MEMORY)
        length = min(swing, _LONGEST_CORRELATION)
        short_gain = min(SHORT_GAIN, 1.0 / (_SHORT_SHARE * swing))
        long_gain = min(LONG_GAIN, 1.0 / swing)
        independent = max(seen / length, 1.0)
        doubt = 1.0 + _DISTRUST / independent
        spread = variance * (1.0 + found[1, j] * length)
        floor = tolerance[j] * tolerance[j]
        # What is known from few independent observations widens the limit, not the score: the
        # running means of the score are compared with their own past.
        widening = 1.0
        if variance + floor > 0.0:
            widening = np.sqrt((variance * doubt + floor) / (variance + floor))
        deviation = np.sqrt(spread + floor)
        z = e / deviation if deviation > 0.0 else 0.0
        out[0, j] = deviation
        out[1, j] = z
        statistics[FAST, j] += FAST_GAIN * (min(max(z, -FAST_CAP), FAST_CAP) - statistics[FAST, j])
        z = min(max(z, -SCORE_CAP), SCORE_CAP)
        statistics[SHORT, j] += short_gain * (z - statistics[SHORT, j])
        statistics[LONG, j] += long_gain * (z - statistics[LONG, j])
        short_floor = 1.0 - trust * (1.0 - SHORT_FLOOR)
        long_floor = 1.0 - trust * (1.0 - LONG_FLOOR)
        short = statistics[SHORT, j] / max(np.sqrt(statistics[SHORT_VARIANCE, j]), short_floor)
        long = statistics[LONG, j] / max(np.sqrt(statistics[LONG_VARIANCE, j]), long_floor)
        furthest = short if abs(short) > abs(long) else long
        fast = statistics[FAST, j] / FAST_LIMIT
        furthest = fast if abs(fast) > abs(furthest) else furthest
        out[2, j] = furthest / widening


@njit(cache=True, nogil=True)
def _excursion(statistics: Array, j: int, e: float, limit: float, memory: float) -> bool:
    """Follow feature `j` away from its expectation and back; return whether it is away.

    What it did while it was away is taken into its variances when it comes back by itself without
    having passed `limit`: then it was a habit of the machine, and until then it may be a fault that
    grows. One that stays away for longer than the machine has been known is taken as well.
    """
    short = abs(statistics[SHORT, j])
    away = statistics[AWAY, j]
    if away == 0.0 and short < LEAVES:
        return False
    if short >= RETURNS:
        if limit >= 1.0 or away < 0.0:
            statistics[AWAY, j] = -1.0
            return True
        if away == 0.0:
            statistics[AWAY_SQUARES, j] = 0.0
            statistics[AWAY_PRODUCT, j] = 0.0
            statistics[AWAY_SHORT, j] = 0.0
            statistics[AWAY_LONG, j] = 0.0
        statistics[AWAY, j] = away + 1.0
        statistics[AWAY_SQUARES, j] += e * e
        statistics[AWAY_PRODUCT, j] += e * statistics[LAST, j]
        statistics[AWAY_SHORT, j] += statistics[SHORT, j] ** 2
        statistics[AWAY_LONG, j] += statistics[LONG, j] ** 2
        if away + 1.0 < max(statistics[SEEN, j], LONGEST_AWAY):
            return True
    away = statistics[AWAY, j]
    statistics[AWAY, j] = 0.0
    if away > 0.0:
        seen = statistics[SEEN, j]
        share = 1.0 - (1.0 - max(1.0 / (seen + away), 1.0 / memory)) ** away
        for row, total in (
            (VARIANCE, AWAY_SQUARES),
            (PRODUCT, AWAY_PRODUCT),
            (SHORT_VARIANCE, AWAY_SHORT),
            (LONG_VARIANCE, AWAY_LONG),
        ):
            statistics[row, j] += share * (statistics[total, j] / away - statistics[row, j])
        statistics[SEEN, j] = min(seen + away, memory)
    return False


@njit(cache=True, nogil=True)
def learn(
    drivers: Array,
    targets: Array,
    own: Indices,
    found: Array,
    scored: Array,
    ratio: Array,
    memory: float,
    inverse: Array,
    weights: Array,
    statistics: Array,
) -> None:
    """Take an observation without alarm into `inverse`, `weights` and `statistics`.

    `ratio` (m,) is the smoothed score of each target over its limit; `memory` the number of
    observations after which an old one counts 1/e as much.
    """
    k = drivers.size
    keep = 1.0 - 1.0 / memory
    gain = np.zeros(k)
    leverage = 0.0
    for i in range(k):
        for c in range(k):
            gain[i] += inverse[i, c] * drivers[c]
        leverage += drivers[i] * gain[i]
    share = 1.0 / (keep + leverage)
    for j in range(targets.size):
        e = found[0, j]
        if not np.isfinite(e):
            continue
        seen = statistics[SEEN, j]
        if seen == 0.0:
            weights[0, j] = targets[j]
            statistics[SEEN, j] = 1.0
            statistics[LEVEL, j] = targets[j]
            continue
        # The residual before the update is too large by the leverage.
        fair = e / np.sqrt(1.0 + found[1, j])
        if seen > SETTLED and _excursion(statistics, j, fair, abs(ratio[j]), memory):
            statistics[LAST, j] = fair
            continue
        if seen > SETTLED:
            reach = HUBER * scored[0, j]
            e = min(max(e, -reach), reach)
            fair = min(max(fair, -reach), reach)
        if own[j] < 0:
            for i in range(k):
                weights[i, j] += share * gain[i] * e
        rate = max(1.0 / seen, 1.0 / memory)
        statistics[VARIANCE, j] += rate * (fair * fair - statistics[VARIANCE, j])
        statistics[PRODUCT, j] += rate * (fair * statistics[LAST, j] - statistics[PRODUCT, j])
        statistics[LAST, j] = fair
        statistics[LEVEL, j] += rate * (targets[j] - statistics[LEVEL, j])
        short = statistics[SHORT, j]
        statistics[SHORT_VARIANCE, j] += rate * (short * short - statistics[SHORT_VARIANCE, j])
        long = statistics[LONG, j]
        statistics[LONG_VARIANCE, j] += rate * (long * long - statistics[LONG_VARIANCE, j])
        statistics[SEEN, j] = min(seen + 1.0, memory)
    for i in range(k):
        for c in range(k):
            inverse[i, c] = (inverse[i, c] - share * gain[i] * gain[c]) / keep
    # A driver that does not move teaches nothing: forgetting must not make its slope free.
    for i in range(k):
        prior = PRIOR_LEVEL if i == 0 else PRIOR_SLOPE
        if inverse[i, i] > prior:
            shrink = np.sqrt(prior / inverse[i, i])
            for c in range(k):
                inverse[i, c] *= shrink
                inverse[c, i] *= shrink


def compile_all() -> None:
    """Compile the kernels for the one signature they have."""
    inverse, weights, statistics = np.eye(2), np.zeros((2, 1)), np.zeros((ROWS, 1))
    drivers, targets, own = np.ones(2), np.ones(1), np.full(1, -1)
    found, scored = np.zeros((2, 1)), np.zeros((3, 1))
    unit = np.ones(1)
    regressors(np.ones(1), 0.1, np.full(1, np.nan), unit, drivers)
    residuals(drivers, targets, own, unit, inverse, weights, found)
    score(found, np.ones(1), 1.0, statistics, scored)
    learn(drivers, targets, own, found, scored, np.zeros(1), 10.0, inverse, weights, statistics)
