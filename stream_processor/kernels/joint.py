"""What is unusual in several channels together, in many views on the scale of a probability."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Rows over which deviations are averaged, and over which their size is.
SCALES = np.array([1.0, 5.0, 25.0])
SPREADS = np.array([8.0, 25.0])
# What is looked at over SCALES: the state, and what is not as the last row led one to expect; each
# as the sum over channels and as the worst channel. Over SPREADS: the size of the latter as the
# mean, as the largest, and as the smallest (a channel that froze).
VIEWS = 4 * SCALES.size + 3 * SPREADS.size
# Standard deviations at which a value is cut off before it is judged, and before it is learnt.
CUT, LEARNT_CUT = 30.0, 8.0
# Squares of averages over their usual ones, and of single deviations, which are learnt at most.
SQUARE_CUT, NOISE_CUT = 25.0, 36.0
USUAL_CUT = 4.0
# Rows that the first guess of a variance is worth.
GUESS = 20.0
# A smallest size of deviations that is told from none.
FROZEN = 0.02
# Degrees of freedom of the predictive distribution, at most: what is usual is no normal one.
FREEDOM = 20.0
MOST = 60.0
SWEEPS = 3
LEARNT, JUDGED, NEXT = range(3)
COUNTS = 3


@njit(cache=True, nogil=True)
def surprise_of(t: float, freedom: float) -> float:
    """Return -log10 of twice the probability of more than `t` by Student's t, at least 0.

    By Wallace's transformation to a normal one (Ann. Math. Stat. 30, 1959), within 0.2 % of it.
    """
    if not t > 0.0:
        return 0.0
    z = math.sqrt(freedom * math.log1p(t * t / freedom)) * (8.0 * freedom + 1.0)
    z /= 8.0 * freedom + 3.0
    if z > 8.0:
        out = z * z / (2.0 * math.log(10.0)) + math.log10(z) + 0.0981
    else:
        out = -math.log10(math.erfc(z / math.sqrt(2.0)))
    return min(out, MOST)


@njit(cache=True, nogil=True)
def _times(matrix: Array, vector: Array, out: Array) -> None:
    for i in range(vector.size):
        total = 0.0
        for j in range(vector.size):
            total += matrix[i, j] * vector[j]
        out[i] = total


@njit(cache=True, nogil=True)
def _standardise(x: Array, centre: Array, learnt: float, expected: Array, z: Array) -> None:
    """Set `z` (d,) to the deviations of `x` in standard deviations; what is missing as expected."""
    for j in range(x.size):
        if not np.isfinite(x[j]):
            z[j] = expected[j]
            continue
        least = 1e-9 * (1.0 + abs(centre[0, j]))
        if learnt < 5.0:
            least = max(least, 1e-3 * abs(centre[0, j]) + 1e-9)
        deviation = (x[j] - centre[0, j]) / (math.sqrt(centre[1, j]) + least)
        z[j] = min(max(deviation, -CUT), CUT)


@njit(cache=True, nogil=True)
def _pull(whitening: Array, z: Array, j: int) -> tuple[float, float]:
    """Return the precision of channel `j`, of P = W W, and what the others pull it by."""
    own, others = 0.0, 0.0
    for i in range(z.size):
        row = 0.0
        for k in range(z.size):
            if k != j:
                row += whitening[i, k] * z[k]
        others += whitening[i, j] * row
        own += whitening[i, j] ** 2
    return own, others


@njit(cache=True, nogil=True)
def _complete(x: Array, maps: Array, expected: Array, z: Array) -> None:
    """Set what is missing of `z` (d,) to what is least surprising, beside the others and the past.

    It is where the sum of the squares of both is least; a few sweeps of Gauss and Seidel find it.
    """
    ahead = np.empty(z.size)
    for _ in range(SWEEPS):
        for j in range(z.size):
            if np.isfinite(x[j]):
                continue
            for k in range(z.size):
                ahead[k] = z[k] - expected[k]
            own, others = _pull(maps[0], z, j)
            own_ahead, others_ahead = _pull(maps[2], ahead, j)
            best = own_ahead * expected[j] - others_ahead - others
            z[j] = min(max(best / (own + own_ahead), -CUT), CUT)


@njit(cache=True, nogil=True)
def judge(
    x: Array,
    centre: Array,
    maps: Array,
    last: Array,
    averages: Array,
    squares: Array,
    spread: Array,
    noise: Array,
    usual: Array,
    counts: Array,
    z: Array,
    white: Array,
    found: Array,
    out: Array,
    ready: bool,
) -> float:
    """Take a row; set `z` (2, d), its deviations and the last ones, and `found`, `out` (VIEWS,).

    `last` (2, d), the deviations and which of them were missing, `averages` (2, SCALES, d) and
    `spread` (SPREADS, d) move on, the rest is as it was learnt. `white` (2, d) are the deviations
    and what was not expected of them, decorrelated so that each channel keeps its own (Kessy, Lewin
    and Strimmer 2018). `found` are the statistics, as cube roots since those of squares are nearly
    normal (Wilson and Hilferty 1931), `out` how surprising each is; the largest is returned.
    """
    d = x.size
    expected = np.empty(d)
    _times(maps[1], last[0], expected)
    z[1] = last[0]
    _standardise(x, centre, counts[LEARNT], expected, z[0])
    if ready and not np.isfinite(x).all():
        _complete(x, maps, expected, z[0])
    for j in range(d):
        # What was missing before cannot be held against what it led one to expect.
        if last[1, j] > 0.0 and np.isfinite(x[j]):
            expected[j] = z[0, j]
        last[0, j] = z[0, j]
        last[1, j] = 0.0 if np.isfinite(x[j]) else 1.0
    out[:] = 0.0
    if not ready:
        found[:] = 0.0
        return 0.0
    _times(maps[0], z[0], white[0])
    for j in range(d):
        expected[j] = z[0, j] - expected[j]
    _times(maps[2], expected, white[1])
    place = 0
    for i in range(2):
        for k in range(SCALES.size):
            total, worst = 0.0, 0.0
            for j in range(d):
                value = min(max(white[i, j], -CUT), CUT)
                averages[i, k, j] += (value - averages[i, k, j]) / SCALES[k]
                if counts[JUDGED] == 0.0:
                    squares[i, k, j] = 1.0 / (2.0 * SCALES[k] - 1.0)
                square = averages[i, k, j] ** 2 / squares[i, k, j]
                total += square
                worst = max(worst, square)
            found[place] = total
            found[place + 1] = worst
            place += 2
    for k in range(SPREADS.size):
        total, largest, smallest = 0.0, 0.0, np.inf
        for j in range(d):
            # What is missing is not still.
            if last[1, j] == 0.0:
                spread[k, j] += (min(white[1, j] ** 2, NOISE_CUT) - spread[k, j]) / SPREADS[k]
            size = spread[k, j] / (noise[j] + 1e-9)
            total += size
            largest = max(largest, size)
            smallest = min(smallest, size)
        found[place] = total / d
        found[place + 1] = largest
        found[place + 2] = 1.0 / (smallest + FROZEN)
        place += 3
    highest = 0.0
    for i in range(VIEWS):
        found[i] = found[i] ** (1.0 / 3.0)
        if counts[JUDGED] > GUESS:
            # Rows that follow one another say the same: so many are worth one.
            alike = 2.0 * _rows_of(i) - 1.0
            worth = counts[JUDGED] / alike
            deviation = math.sqrt((usual[1, i] + 1e-12) * (1.0 + 1.0 / max(worth, 0.5)))
            freedom = min(max(worth - 1.0, 1.0), FREEDOM)
            out[i] = surprise_of((found[i] - usual[0, i]) / deviation, freedom)
            highest = max(highest, out[i])
    return highest


@njit(cache=True, nogil=True)
def _rows_of(view: int) -> float:
    """Return over how many rows a view looks."""
    if view < 4 * SCALES.size:
        return float(SCALES[(view // 2) % SCALES.size])
    return float(SPREADS[(view - 4 * SCALES.size) // 3])


@njit(cache=True, nogil=True)
def learn(
    x: Array,
    weight: float,
    memory: float,
    centre: Array,
    moments: Array,
    averages: Array,
    squares: Array,
    spread: Array,
    noise: Array,
    usual: Array,
    counts: Array,
    z: Array,
    white: Array,
    found: Array,
    ready: bool,
) -> None:
    """Learn the row that was judged last, by a weight of 0 to 1, over so many rows of memory."""
    d = x.size
    counts[LEARNT] += weight
    gain = weight * max(1.0 / max(counts[LEARNT], 1.0), 1.0 / memory)
    for j in range(d):
        if not np.isfinite(x[j]):
            continue
        distance = x[j] - centre[0, j]
        if counts[LEARNT] > 30.0:
            most = LEARNT_CUT * math.sqrt(centre[1, j])
            distance = min(max(distance, -most), most)
        centre[0, j] += gain * distance
        centre[1, j] = (1.0 - gain) * (centre[1, j] + gain * distance * distance)
    for i in range(d):
        value = min(max(z[0, i], -LEARNT_CUT), LEARNT_CUT)
        for j in range(d):
            now = min(max(z[0, j], -LEARNT_CUT), LEARNT_CUT)
            before = min(max(z[1, j], -LEARNT_CUT), LEARNT_CUT)
            moments[0, i, j] += gain * (value * now - moments[0, i, j])
            moments[1, i, j] += gain * (value * before - moments[1, i, j])
    if not ready:
        return
    counts[JUDGED] += weight
    gain = weight * max(1.0 / (counts[JUDGED] + GUESS), 1.0 / memory)
    for i in range(2):
        for k in range(SCALES.size):
            for j in range(d):
                square = min(averages[i, k, j] ** 2, SQUARE_CUT * squares[i, k, j])
                squares[i, k, j] += gain * (square - squares[i, k, j])
    for j in range(d):
        noise[j] += gain * (min(white[1, j] ** 2, NOISE_CUT) - noise[j])
    gain = weight * max(1.0 / (counts[JUDGED] + 1.0), 1.0 / memory)
    for i in range(VIEWS):
        distance = found[i] - usual[0, i]
        if counts[JUDGED] > 30.0:
            most = USUAL_CUT * math.sqrt(usual[1, i])
            distance = min(max(distance, -most), most)
        usual[0, i] += gain * distance
        usual[1, i] = (1.0 - gain) * (usual[1, i] + gain * distance * distance)


def compile_all() -> None:
    """Compile what is called from outside."""
    surprise_of(1.0, 3.0)
    d = 2
    x, centre, moments = np.zeros(d), np.zeros((2, d)), np.zeros((2, d, d))
    averages, squares = np.zeros((2, SCALES.size, d)), np.ones((2, SCALES.size, d))
    spread, noise = np.ones((SPREADS.size, d)), np.ones(d)
    usual, counts = np.zeros((2, VIEWS)), np.zeros(COUNTS)
    z, white, last = np.zeros((2, d)), np.zeros((2, d)), np.zeros((2, d))
    found, out, maps = np.zeros(VIEWS), np.zeros(VIEWS), np.zeros((3, d, d))
    judge(x, centre, maps, last, averages, squares, spread, noise, usual, counts, z, white, found,
          out, True)  # fmt: skip
    learn(x, 1.0, 10.0, centre, moments, averages, squares, spread, noise, usual, counts, z, white,
          found, True)  # fmt: skip
