"""Whether a channel tells the truth: samples lost, values that do not move, lone spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels import signal as kernel
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
SCHEMA = Schema("a signal monitor")


@dataclass(frozen=True, slots=True)
class Quality:
    """Evidence over its limit, and the measured value and limit behind it; arrays (channels,).

    In the order of the rows of `kernels.signal.weigh`.
    """

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
        self._rows = np.zeros((kernel.ROWS, channels))

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
        Counts that are no numbers count as no samples.
        """
        out = np.empty((9, present.size))
        kernel.weigh(present, missing, run, spikes, recent, self._rows, out)
        return Quality(*out)

    def learn(self, present: Array, missing: Array, run: Array, spikes: Array) -> None:
        """Take the counts of a frame as usual."""
        kernel.learn(present, missing, run, spikes, self._rows)

    def state(self) -> dict[str, Any]:
        """Return the array."""
        return {"schema": SCHEMA.version, "rows": self._rows}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the monitor in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        monitor = cls(state["rows"].shape[1])
        monitor._rows = state["rows"].copy()
        return monitor
