"""Rolling sums and extremes of eight samples at once: van Herk's scheme by rows of eight lanes.

A row is eight samples side by side. Sums and extremes of the eight samples that end at each lane
come of three doublings, and of a window of k rows by van Herk's scheme (1992; Gil and Werman 1993)
over rows, each lane for itself: every window is the end of one segment of k rows and the beginning
of the next, so it is what was summed backwards over the earlier and forwards over the later.
Samples of a window that are left when it is no multiple of eight are added one by one. Nothing is
ever subtracted, so what has left a window has left no trace.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_processor.kernels.lanes import (
    WIDTH,
    highest,
    lane,
    load,
    load_first,
    lowest,
    magnitude,
    root,
    shifted,
    splat,
    store,
    store_first,
    where_at_most,
)
from stream_processor.kernels.rolling_exact import (
    COUNT,
    CREST,
    KURTOSIS,
    MAXIMUM,
    MEAN,
    MINIMUM,
    PEAK_TO_PEAK,
    RMS,
    ROUNDING,
    SKEWNESS,
    STATISTICS,
    VARIANCE,
)

Array = npt.NDArray[np.float64]

# What is kept of each row, eight lanes each: sums of the distance from the centre and its square,
# extremes, how many are numbers, sums of the third and fourth powers.
_S, _Q, _LOW, _HIGH, _N, _T, _F = range(0, 7 * WIDTH, WIDTH)
ROW = 7 * WIDTH
# Rows that are summed backwards while the nearest cache still holds them; then their wholes are.
_BLOCK = 32

# Below this share of the sum of squares about the centre, the spread has lost more digits than the
# nine that are promised could afford; higher moments lose them sooner.
_CANCELLATION = 1e-4
_CANCELLATION_OF_SHAPE = 1e-2

_LARGEST = np.finfo(np.float64).max


@njit(nogil=True, forceinline=True)
def _sums(now, before):  # type: ignore[no-untyped-def]
    """Return the sums of eight, and of one, two and four, given the latter of the row before."""
    two = now + shifted(before[0], now, 1)
    four = two + shifted(before[1], two, 2)
    return four + shifted(before[2], four, 4), (now, two, four)


@njit(nogil=True, forceinline=True)
def _lows(now, before):  # type: ignore[no-untyped-def]
    """Return the least of eight, and of one, two and four, given the latter of the row before."""
    two = lowest(now, shifted(before[0], now, 1))
    four = lowest(two, shifted(before[1], two, 2))
    return lowest(four, shifted(before[2], four, 4)), (now, two, four)


@njit(nogil=True, forceinline=True)
def _highs(now, before):  # type: ignore[no-untyped-def]
    """Return the most of eight, and of one, two and four, given the latter of the row before."""
    two = highest(now, shifted(before[0], now, 1))
    four = highest(two, shifted(before[1], two, 2))
    return highest(four, shifted(before[2], four, 4)), (now, two, four)


@njit(nogil=True, forceinline=True)
def _terms(v, centre, gaps):  # type: ignore[no-untyped-def]
    """Return distance from the centre, lowest, highest and count of each lane."""
    if gaps:
        size, limit, zero = magnitude(v), splat(_LARGEST), splat(0.0)
        return (
            where_at_most(size, limit, v - centre, zero),
            where_at_most(size, limit, v, splat(np.inf)),
            where_at_most(size, limit, v, splat(-np.inf)),
            where_at_most(size, limit, splat(1.0), zero),
        )
    return v - centre, v, v, splat(1.0)


@njit(nogil=True, forceinline=True)
def _put(row: Array, at: int, value, left: int) -> None:  # type: ignore[no-untyped-def]
    """Store a row of results of which `left` are wanted."""
    if left >= WIDTH:
        store(row, at, value)
    else:
        store_first(row, at, value, left)


@njit(cache=True, nogil=True)
def kept_size(window: int) -> int:
    """Return how many doubles are kept for a window of `window` samples."""
    rows = window // WIDTH
    return ROW * (rows + (rows + _BLOCK - 1) // _BLOCK + 1)


def _made(gaps: bool, shape: bool) -> Any:
    """Return the kernel for data with or without gaps, with or without what the shape needs."""
    row = ROW if shape else (_T if gaps else _N)

    @njit(nogil=True)
    def afterwards(kept: Array, at: int, rows: int, whole: int) -> None:
        """Turn what is kept of each row into that of the rows after it; put that of all apart."""
        s = q = t = f = n = splat(0.0)
        low, high = splat(np.inf), splat(-np.inf)
        for r in range(rows - 1, -1, -1):
            b = at + r * row
            ds, dq = load(kept, b + _S), load(kept, b + _Q)
            v, w = load(kept, b + _LOW), load(kept, b + _HIGH)
            store(kept, b + _S, s)
            store(kept, b + _Q, q)
            store(kept, b + _LOW, low)
            store(kept, b + _HIGH, high)
            s, q, low, high = s + ds, q + dq, lowest(low, v), highest(high, w)
            if gaps:
                o = load(kept, b + _N)
                store(kept, b + _N, n)
                n = n + o
            if shape:
                dt, df = load(kept, b + _T), load(kept, b + _F)
                store(kept, b + _T, t)
                store(kept, b + _F, f)
                t, f = t + dt, f + df
        store(kept, whole + _S, s)
        store(kept, whole + _Q, q)
        store(kept, whole + _LOW, low)
        store(kept, whole + _HIGH, high)
        if gaps:
            store(kept, whole + _N, n)
        if shape:
            store(kept, whole + _T, t)
            store(kept, whole + _F, f)

    @njit(nogil=True)
    def run(
        data: Array,
        start: int,
        stop: int,
        window: int,
        centre: float,
        held: bool,
        kept: Array,
        out: Array,
    ) -> int:
        rows = window // WIDTH
        span = rows * WIDTH
        blocks = (rows + _BLOCK - 1) // _BLOCK
        width = out.shape[1]
        flat = out.reshape(out.size)
        zero, one, c = splat(0.0), splat(1.0), splat(centre)
        limit = splat(_CANCELLATION_OF_SHAPE if shape else _CANCELLATION)
        share, wn = splat(1.0 / window), splat(float(window))
        segment = start if held else start - span
        # Of a segment before the first, row 0 is in no window that is wanted.
        first = 0 if held else 1
        d, v, w, o = _terms(load(data, segment + (first - 1) * WIDTH), c, gaps)
        e = d * d
        _, s_before = _sums(d, (zero, zero, zero))
        _, q_before = _sums(e, (zero, zero, zero))
        _, t_before = _sums(e * d, (zero, zero, zero))
        _, f_before = _sums(e * e, (zero, zero, zero))
        _, n_before = _sums(o, (zero, zero, zero))
        _, low_before = _lows(v, (v, v, v))
        _, high_before = _highs(w, (w, w, w))
        while segment < stop:
            length = min(span, stop - segment)
            used = (length + WIDTH - 1) // WIDTH
            ts = tq = tt = tf = tn = bad = zero
            tl, th = splat(np.inf), splat(-np.inf)
            for block in range((used + _BLOCK - 1) // _BLOCK):
                # All that is in a window but the rows of this block, here and a segment before.
                b = (rows + block) * row
                s, q = ts + load(kept, b + _S), tq + load(kept, b + _Q)
                low, high = lowest(tl, load(kept, b + _LOW)), highest(th, load(kept, b + _HIGH))
                n = tn + load(kept, b + _N) if gaps else zero
                t = tt + load(kept, b + _T) if shape else zero
                f = tf + load(kept, b + _F) if shape else zero
                begin, end = block * _BLOCK, min((block + 1) * _BLOCK, used)
                for r in range(max(first, begin), end):
                    p = segment + r * WIDTH
                    left = length - r * WIDTH
                    x = (
                        load(data, p)
                        if left >= WIDTH
                        else load_first(data, p, left, splat(data[p]))
                    )
                    d, v, w, o = _terms(x, c, gaps)
                    e = d * d
                    # What was kept of this row of the segment before is used, then overwritten.
                    b = r * row
                    bs, bq = load(kept, b + _S), load(kept, b + _Q)
                    bl, bh = load(kept, b + _LOW), load(kept, b + _HIGH)
                    ds, s_before = _sums(d, s_before)
                    dq, q_before = _sums(e, q_before)
                    v, low_before = _lows(v, low_before)
                    w, high_before = _highs(w, high_before)
                    store(kept, b + _S, ds)
                    store(kept, b + _Q, dq)
                    store(kept, b + _LOW, v)
                    store(kept, b + _HIGH, w)
                    s, q, low, high = s + ds, q + dq, lowest(low, v), highest(high, w)
                    bn = bt = bf = zero
                    if gaps:
                        bn = load(kept, b + _N)
                        o, n_before = _sums(o, n_before)
                        store(kept, b + _N, o)
                        n = n + o
                    if shape:
                        bt, bf = load(kept, b + _T), load(kept, b + _F)
                        dt, t_before = _sums(e * d, t_before)
                        df, f_before = _sums(e * e, f_before)
                        store(kept, b + _T, dt)
                        store(kept, b + _F, df)
                        t, f = t + dt, f + df
                    if first:
                        continue
                    ws, wq, wl, wh = s + bs, q + bq, lowest(low, bl), highest(high, bh)
                    if gaps:
                        wn = n + bn
                    wt, wf = t + bt, f + bf
                    for j in range(span, window):
                        d, v, w, o = _terms(load(data, p - j), c, gaps)
                        e = d * d
                        ws, wq, wl, wh = ws + d, wq + e, lowest(wl, v), highest(wh, w)
                        if gaps:
                            wn = wn + o
                        if shape:
                            wt, wf = wt + e * d, wf + e * e
                    if gaps:
                        share = one / wn
                    away = ws * share
                    spread = wq - ws * away
                    miss = where_at_most(limit * wq, spread, zero, one)
                    if gaps:
                        # A window without a number has nothing to miss.
                        miss = where_at_most(wn, zero, zero, miss)
                        wl = where_at_most(wn, zero, splat(np.nan), wl)
                        wh = where_at_most(wn, zero, splat(np.nan), wh)
                    bad = bad + miss
                    at = p - window
                    mean, variance = c + away, spread * share
                    _put(flat, MEAN * width + at, mean, left)
                    _put(flat, VARIANCE * width + at, variance, left)
                    _put(flat, MINIMUM * width + at, wl, left)
                    _put(flat, MAXIMUM * width + at, wh, left)
                    if out.shape[0] > COUNT:
                        _put(flat, COUNT * width + at, wn, left)
                    if shape:
                        # Central moments from those about the centre, and none of rounding alone.
                        second, third = wq * share, wt * share
                        twice = away * away
                        fourth = wf * share - away * (
                            splat(4.0) * third - away * (splat(6.0) * second - splat(3.0) * twice)
                        )
                        third = third - away * (splat(3.0) * second - splat(2.0) * twice)
                        square = mean * mean
                        tiny = splat(ROUNDING) * square
                        power = where_at_most(variance, tiny, splat(np.nan), variance)
                        deviation = root(power)
                        crest = highest(wh - mean, mean - wl) / deviation
                        _put(flat, SKEWNESS * width + at, third / (power * deviation), left)
                        _put(flat, KURTOSIS * width + at, fourth / (power * power), left)
                        _put(flat, RMS * width + at, root(variance + square), left)
                        _put(flat, CREST * width + at, crest, left)
                        _put(flat, PEAK_TO_PEAK * width + at, wh - wl, left)
                b = (rows + block) * row
                afterwards(kept, begin * row, end - begin, b)
                ts, tq = ts + load(kept, b + _S), tq + load(kept, b + _Q)
                tl, th = lowest(tl, load(kept, b + _LOW)), highest(th, load(kept, b + _HIGH))
                if gaps:
                    tn = tn + load(kept, b + _N)
                if shape:
                    tt, tf = tt + load(kept, b + _T), tf + load(kept, b + _F)
            wrong = 0.0
            for i in range(WIDTH):
                wrong += lane(bad, i)
            if wrong > 0.0:
                return segment
            if length == span:
                afterwards(kept, rows * row, blocks, (rows + blocks) * row)
            segment += length
            first = 0
        return stop

    return run


_plain, _with_gaps, _with_shape = _made(False, False), _made(True, False), _made(True, True)


@njit(cache=True, nogil=True)
def run(
    gaps: bool,
    data: Array,
    start: int,
    stop: int,
    window: int,
    centre: float,
    held: bool,
    kept: Array,
    out: Array,
) -> int:
    """Fill `out` (4, 5 or 10, samples) with the statistics of windows that end in [start, stop).

    The window that ends at `data[i]` has column `i - window`. Sums are taken about `centre`, and
    samples that are not numbers are skipped where there are `gaps`. `kept` (kept_size(window),)
    holds those of the segment before `start` if `held`: from a call with the same centre and as
    many gaps. Return the start of a segment whose data the centre was too far from, or that had
    gaps where none were told of, else `stop`.
    """
    if out.shape[0] == STATISTICS:
        return int(_with_shape(data, start, stop, window, centre, held, kept, out))
    if gaps:
        return int(_with_gaps(data, start, stop, window, centre, held, kept, out))
    return int(_plain(data, start, stop, window, centre, held, kept, out))


def compile_all() -> None:
    """Compile every kernel for the one signature it has."""
    data, out = np.arange(24.0), np.empty((5, 16))
    run(False, data, 8, 24, 8, 0.0, False, np.empty(kept_size(8)), out)
