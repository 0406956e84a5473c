"""The shares of samples that are lost or stand alone, per channel: of late, and usually."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Rows of the state, one column a channel.
SEEN, MISSING, USUAL_MISSING, USUAL_RUN, SPIKES, USUAL_SPIKES = range(6)
ROWS = 6
# What is usual is taken over about this many samples.
USUAL = 5000.0
MOST_SEEN = 1e9
# Least share of lost samples and of spikes, and least run of identical values, that is a fault.
MISSING_LIMIT = 0.15
SPIKE_LIMIT = 0.02
RUN_LIMIT = 30.0
# A fault is this many times what is usual for the channel.
TIMES_USUAL = 5.0
# Samples before anything is said.
WARM_UP = 120.0


@njit(cache=True, nogil=True)
def weigh(
    present: Array, missing: Array, run: Array, spikes: Array, recent: Array, rows: Array,
    out: Array,
) -> None:  # fmt: skip
    """Move the shares of late by the counts of a frame (n,) and fill `out` (9, n) with evidence.

    Three rows of evidence over its limit (lost, stuck, spikes), then share and limit of what is
    lost, run and its limit, share of spikes and its limit. Shares are taken over about `recent`
    samples. Counts that are no numbers count as no samples.
    """
    for i in range(present.size):
        n = present[i] if np.isfinite(present[i]) and np.isfinite(run[i]) else 0.0
        if n > 0.0:
            step = 1.0 - np.exp(-n / recent[i])
            rows[MISSING, i] += step * (missing[i] / n - rows[MISSING, i])
            rows[SPIKES, i] += step * (spikes[i] / n - rows[SPIKES, i])
        longest = run[i] if n > 0.0 else 0.0
        missing_limit = min(max(MISSING_LIMIT, TIMES_USUAL * rows[USUAL_MISSING, i]), 1.0)
        run_limit = max(RUN_LIMIT, TIMES_USUAL * rows[USUAL_RUN, i])
        spike_limit = max(SPIKE_LIMIT, TIMES_USUAL * rows[USUAL_SPIKES, i])
        warm = 1.0 if rows[SEEN, i] >= WARM_UP else 0.0
        out[0, i] = warm * rows[MISSING, i] / missing_limit
        out[1, i] = warm * longest / run_limit
        out[2, i] = warm * rows[SPIKES, i] / spike_limit
        out[3, i], out[4, i] = rows[MISSING, i], missing_limit
        out[5, i], out[6, i] = longest, run_limit
        out[7, i], out[8, i] = rows[SPIKES, i], spike_limit


@njit(cache=True, nogil=True)
def learn(present: Array, missing: Array, run: Array, spikes: Array, rows: Array) -> None:
    """Take the counts of a frame (n,) as usual into `rows`."""
    for i in range(present.size):
        n = present[i]
        if not (n > 0.0 and np.isfinite(n) and np.isfinite(run[i])):
            continue
        rows[SEEN, i] = min(rows[SEEN, i] + n, MOST_SEEN)
        gain = min(n / min(max(rows[SEEN, i], 1.0), USUAL), 1.0)
        rows[USUAL_MISSING, i] += gain * (missing[i] / n - rows[USUAL_MISSING, i])
        rows[USUAL_SPIKES, i] += gain * (spikes[i] / n - rows[USUAL_SPIKES, i])
        rows[USUAL_RUN, i] = max(rows[USUAL_RUN, i], run[i])


def compile_all() -> None:
    """Compile both kernels for the one signature they have."""
    one, rows = np.ones(1), np.zeros((ROWS, 1))
    weigh(one, one, one, one, one, rows, np.empty((9, 1)))
    learn(one, one, one, one, rows)
