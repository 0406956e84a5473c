"""Whether a channel tells the truth: samples lost, values that do not move, lone spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
SCHEMA = 1

# Rows of the state, one column a channel.
_SEEN, _MISSING, _USUAL_MISSING, _USUAL_RUN, _SPIKES, _USUAL_SPIKES = range(6)
# Shares are taken over about this many samples; what is usual over many more.
RECENT = 60.0
USUAL = 5000.0
# Least share of lost samples and of spikes, and least run of identical values, that is a fault.
MISSING_LIMIT = 0.15
SPIKE_LIMIT = 0.02
RUN_LIMIT = 30.0
# A fault is this many times what is usual for the channel.
TIMES_USUAL = 5.0
# Samples before anything is said.
WARM_UP = 120.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Evidence over its limit, and the measured value and limit behind it; arrays (channels,)."""

    dropout: Array
    stuck: Array
    spike: Array
    missing_share: Array
    missing_limit: Array
    run: Array
    run_limit: Array
    spike_share: Array
    spike_limit: Array


class SignalMonitor:
    """Signal quality of every channel of a machine, against what is usual for each."""

    def __init__(self, channels: int) -> None:
        self._rows = np.zeros((6, channels))

    def relaid(self, columns: Indices) -> SignalMonitor:
        """Return the monitor of other channels; `columns[i]` is which one `i` was, -1: new."""
        other = SignalMonitor(columns.size)
        kept = columns >= 0
        other._rows[:, kept] = self._rows[:, columns[kept]]
        return other

    def update(
        self, present: Array, missing: Array, run: Array, spikes: Array, recent: Array
    ) -> Quality:
        """Take the counts of a frame (channels,) and return the evidence.

        `recent` is the number of samples over which shares are taken, at least a frame's.
        """
        rows = self._rows
        some = present > 0
        share = np.divide(missing, present, out=np.zeros_like(present), where=some)
        lone = np.divide(spikes, present, out=np.zeros_like(present), where=some)
        step = 1.0 - np.exp(-present / recent)
        rows[_MISSING] += step * (share - rows[_MISSING])
        rows[_SPIKES] += step * (lone - rows[_SPIKES])
        warm = rows[_SEEN] >= WARM_UP
        missing_limit = np.maximum(MISSING_LIMIT, TIMES_USUAL * rows[_USUAL_MISSING])
        spike_limit = np.maximum(SPIKE_LIMIT, TIMES_USUAL * rows[_USUAL_SPIKES])
        run_limit = np.maximum(RUN_LIMIT, TIMES_USUAL * rows[_USUAL_RUN])
        missing_limit = np.minimum(missing_limit, 1.0)
        return Quality(
            np.where(warm, rows[_MISSING] / missing_limit, 0.0),
            np.where(warm, run / run_limit, 0.0),
            np.where(warm, rows[_SPIKES] / spike_limit, 0.0),
            rows[_MISSING].copy(),
            missing_limit,
            run,
            run_limit,
            rows[_SPIKES].copy(),
            spike_limit,
        )

    def learn(self, present: Array, missing: Array, run: Array, spikes: Array) -> None:
        """Take the counts of a frame as usual."""
        rows = self._rows
        rows[_SEEN] = np.minimum(rows[_SEEN] + present, 1e9)
        gain = np.where(
            present > 0, present / np.clip(np.maximum(rows[_SEEN], present), 1.0, USUAL), 0.0
        )
        gain = np.minimum(gain, 1.0)
        share = np.divide(missing, present, out=np.zeros_like(present), where=present > 0)
        lone = np.divide(spikes, present, out=np.zeros_like(present), where=present > 0)
        rows[_USUAL_MISSING] += gain * (share - rows[_USUAL_MISSING])
        rows[_USUAL_SPIKES] += gain * (lone - rows[_USUAL_SPIKES])
        rows[_USUAL_RUN] = np.maximum(rows[_USUAL_RUN], run)

    def state(self) -> dict[str, Any]:
        """Return the array."""
        return {"schema": SCHEMA, "rows": self._rows}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the monitor in `state`.

        Raises:
            ValueError: the schema is newer than this code.
        """
        if state["schema"] > SCHEMA:
            raise ValueError(f"signal monitor state has schema {state['schema']}, not {SCHEMA}")
        monitor = cls(state["rows"].shape[1])
        monitor._rows = state["rows"].copy()
        return monitor
