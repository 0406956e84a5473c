"""What a plant's sites send in a day: messages a second, by partition of the log.

Every figure is a function of the time of day alone, so that a run can be repeated exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rates = npt.NDArray[np.float64]

DAY_S = 86_400
# Messages a second of the plant in full production.
FULL = 1200.0
# What each partition of the log has of it: edge nodes are hashed, so no two have the same.
SHARES = np.array([0.17, 0.11, 0.09, 0.15, 0.12, 0.10, 0.13, 0.13])
# Start, end and level of what goes on, in hours and parts of full production.
SHIFTS = ((0.0, 6.0, 0.35), (6.0, 14.0, 1.0), (14.0, 22.0, 0.9), (22.0, 24.0, 0.35))
BREAKS = ((9.0, 9.25), (12.0, 12.5), (17.0, 17.25), (19.5, 20.0))
BREAK_LEVEL = 0.6
# A shift change is no switch: machines are started and ended over a quarter of an hour.
RAMP_S = 900
# Machines that start capture waveforms.
START_H, START_S, START_LEVEL = 6.0, 600, 1.5
# A site with three tenths of the gateways loses its line; they then send an hour's spool.
OUTAGE_H, OUTAGE_S, OUTAGE_PART = 10.0, 3600, 0.3
FLUSH_S = 1200
# A line in trouble captures everything; its gateways are on two partitions.
BURST_H, BURST_S, BURST_PARTITIONS, BURST_LEVEL = 15.5, 480, (0, 3), 2.5


def _between(hours: Rates, start_h: float, seconds: float) -> npt.NDArray[np.bool_]:
    return (hours >= start_h) & (hours < start_h + seconds / 3600)


def day(step_s: int) -> Rates:
    """Return messages a second for each step of `step_s` seconds and each partition.

    Shape (steps of a day, 8).
    """
    seconds = np.arange(0, DAY_S, step_s, dtype=np.float64)
    hours = seconds / 3600
    level = np.zeros_like(hours)
    for start, end, height in SHIFTS:
        level[(hours >= start) & (hours < end)] = height
    for start, end in BREAKS:
        level[(hours >= start) & (hours < end)] *= BREAK_LEVEL
    ramp = RAMP_S // step_s
    around = np.concatenate([level[-ramp:], level])
    level = np.convolve(around, np.full(ramp, 1 / ramp), "full")[ramp : ramp + len(level)]
    level[_between(hours, START_H, START_S)] *= START_LEVEL
    # Nothing is quite even; periods without a common measure.
    level *= 1 + 0.04 * np.sin(seconds / 37.0) + 0.03 * np.sin(seconds / 211.0)
    rates: Rates = FULL * level[:, None] * SHARES
    for partition in BURST_PARTITIONS:
        rates[_between(hours, BURST_H, BURST_S), partition] *= BURST_LEVEL
    out = _between(hours, OUTAGE_H, OUTAGE_S)
    flush = _between(hours, OUTAGE_H + OUTAGE_S / 3600, FLUSH_S)
    kept = OUTAGE_PART * rates[out]
    rates[out] -= kept
    rates[flush] += kept.sum(axis=0) / flush.sum()
    return rates
