"""Processes over the partitions of the log: what they take, what waits, what a change costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.autoscaling.controller import SYNC_S
from benchmarks.autoscaling.load import Rates

# The controller looks as often, and Prometheus reads as often.
STEP_S = SYNC_S


@dataclass(frozen=True, slots=True)
class Plant:
    """What a process can take (messages a second) and how long a change of their number stops all.

    A change ends every process in good order, hands its partitions over and starts it anew.
    """

    capacity: float
    restart_s: int


class Processes:
    """The log's partitions and who takes them: of N processes n has `range(n, partitions, N)`."""

    def __init__(self, plant: Plant, partitions: int, count: int) -> None:
        self._plant = plant
        self.waiting = [0.0] * partitions
        self.count = count
        self.stopped_s = 0

    def rescale(self, count: int) -> None:
        """Share the partitions between another number of processes."""
        self.count = count
        self.stopped_s = self._plant.restart_s

    def step(self, arrived: Sequence[float]) -> list[float]:
        """Let `STEP_S` seconds pass in which messages arrive; return those taken, by partition."""
        self.waiting = [w + a for w, a in zip(self.waiting, arrived, strict=True)]
        if self.stopped_s > 0:
            self.stopped_s -= STEP_S
            return [0.0] * len(self.waiting)
        able = self._plant.capacity * STEP_S
        asked = [sum(self.waiting[n :: self.count]) for n in range(self.count)]
        share = [min(1.0, able / each) if each > 0 else 1.0 for each in asked]
        taken = [w * share[p % self.count] for p, w in enumerate(self.waiting)]
        self.waiting = [w - t for w, t in zip(self.waiting, taken, strict=True)]
        return taken


def needed(rates: Rates, capacity: float) -> npt.NDArray[np.int64]:
    """Return for each step the least number of processes of which none is asked for too much."""
    steps, partitions = rates.shape
    best = np.full(steps, partitions, np.int64)
    for count in range(partitions, 0, -1):
        owners = np.arange(partitions) % count
        load = np.stack([rates[:, owners == n].sum(axis=1) for n in range(count)])
        best[load.max(axis=0) <= capacity] = count
    return best


def waits(arrived: Rates, taken: Rates) -> npt.NDArray[np.float64]:
    """Return how long the first message that waits has waited (s), by step, of the worst partition.

    Both are messages by step and partition; each partition is taken in order.
    """
    steps = np.arange(1, len(arrived) + 1, dtype=np.float64) * STEP_S
    worst = np.zeros(len(arrived))
    for came, went in zip(np.cumsum(arrived, axis=0).T, np.cumsum(taken, axis=0).T, strict=True):
        # When the first message that is not taken yet came; nothing waits where all was taken.
        since = np.interp(went, np.concatenate([[0.0], came]), np.concatenate([[0.0], steps]))
        worst = np.maximum(worst, np.where(came - went > 0.5, steps - since, 0.0))
    return worst
