"""A day with as many processes as a policy chooses: what it cost, how long messages waited."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.autoscaling.controller import Behavior, Controller
from benchmarks.autoscaling.load import Rates
from benchmarks.autoscaling.processes import STEP_S, Plant, Processes, needed, waits

# The window of `rate()` in the recording rule.
RATE_S = 120

# Messages a second that were taken, and messages that wait; both as last read.
Metric = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds that the first message waited, core-hours, changes of the number of processes."""

    longest_s: float
    p99_s: float
    core_hours: float
    changes: int
    most: int


def demand(drain_s: float) -> Metric:
    """Return messages a second: what is taken, and what waits spread over `drain_s` seconds."""
    return lambda taken, waiting: taken + waiting / drain_s


def autoscaled(rates: Rates, plant: Plant, behavior: Behavior, metric: Metric) -> Outcome:
    """Let the controller choose by `metric`, beginning with the fewest processes."""
    processes = Processes(plant, rates.shape[1], behavior.minimum)
    controller = Controller(behavior, behavior.minimum)
    window: deque[float] = deque(maxlen=RATE_S // STEP_S)
    arrived = rates * STEP_S
    taken: list[list[float]] = []
    counts: list[int] = []
    changes = 0
    for step, messages in enumerate(arrived.tolist()):
        # Processes that are being started tell nothing.
        read = (
            metric(sum(window) / (len(window) * STEP_S), sum(processes.waiting))
            if window and processes.stopped_s <= 0
            else None
        )
        if (count := controller.decide(step * STEP_S, read)) != processes.count:
            processes.rescale(count)
            changes += 1
        taken.append(processes.step(messages))
        window.append(sum(taken[-1]))
        counts.append(processes.count)
    return _outcome(arrived, taken, counts, changes)


def fixed(rates: Rates, plant: Plant, count: int) -> Outcome:
    """Let `count` processes run all day."""
    processes = Processes(plant, rates.shape[1], count)
    arrived = rates * STEP_S
    taken = [processes.step(messages) for messages in arrived.tolist()]
    return _outcome(arrived, taken, [count] * len(taken), 0)


def oracle(rates: Rates, plant: Plant) -> Outcome:
    """Have at each moment the fewest processes that leave nothing waiting; changes cost nothing."""
    counts = needed(rates, plant.capacity).tolist()
    processes = Processes(Plant(plant.capacity, 0), rates.shape[1], counts[0])
    arrived = rates * STEP_S
    taken = []
    for count, messages in zip(counts, arrived.tolist(), strict=True):
        if count != processes.count:
            processes.rescale(count)
        taken.append(processes.step(messages))
    return _outcome(arrived, taken, counts, sum(a != b for a, b in pairwise(counts)))


def _outcome(
    arrived: Rates, taken: Sequence[Sequence[float]], counts: Sequence[int], changes: int
) -> Outcome:
    waited = waits(arrived, np.array(taken))
    return Outcome(
        longest_s=float(waited.max()),
        p99_s=float(np.quantile(waited, 0.99)),
        core_hours=sum(counts) * STEP_S / 3600,
        changes=changes,
        most=max(counts),
    )
