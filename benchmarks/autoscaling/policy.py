"""The policy of `deploy/kubernetes/autoscaling/scaled-object.yaml`, and how it was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import product
from typing import Any

from benchmarks.autoscaling.controller import Behavior, Rules
from benchmarks.autoscaling.load import Rates
from benchmarks.autoscaling.processes import Plant
from benchmarks.autoscaling.simulation import Outcome, autoscaled, demand

# One process for each partition of the log at most.
PARTITIONS = 8
# Measured with the six stages on blocks of 1024 samples: 430 a second beside other load on the same
# cores, 540 a second of processor time; ending and starting took 8 to 32 seconds.
CAPACITY = 500.0
PLANT = Plant(capacity=CAPACITY, restart_s=30)
# What a change takes where images, disks or neighbours are slow: the policy must not swing there.
SLOW_PLANT = Plant(capacity=CAPACITY, restart_s=60)


@dataclass(frozen=True, slots=True)
class Policy:
    """What there is to choose.

    `utilisation`: of a process's capacity that is aimed at. `drain_s`: within which what waits
    should be taken. `up_s`, `down_s`: the stabilisation windows. `minimum`: of processes.
    """

    utilisation: float
    drain_s: int
    up_s: int
    down_s: int
    minimum: int

    @property
    def behavior(self) -> Behavior:
        """As the cluster's controller is told it."""
        return Behavior(
            target=self.utilisation * CAPACITY,
            minimum=self.minimum,
            maximum=PARTITIONS,
            up=Rules(self.up_s, pods=PARTITIONS, period_s=UP_PERIOD_S),
            down=Rules(self.down_s, pods=DOWN_PODS, period_s=DOWN_PERIOD_S),
        )


# Up in one go, for every change stops all; down by a few, so that a mistake costs one change.
UP_PERIOD_S, DOWN_PODS, DOWN_PERIOD_S = 60, 4, 600
# What the day must keep to: seconds that a message waits, changes of the number of processes, and
# these where a change is slow.
LONGEST_S, P99_S, CHANGES, SLOW_CHANGES = 150.0, 75.0, 16, 24

GRID: tuple[tuple[Any, ...], ...] = (
    (0.5, 0.6, 0.7),
    (120, 300, 600),
    (0, 60),
    (1800, 3600),
    (1, 2, 3),
)
CHOSEN = Policy(utilisation=0.6, drain_s=600, up_s=60, down_s=3600, minimum=2)


def policies() -> Iterator[Policy]:
    """Return every policy that is tried."""
    return (Policy(*choice) for choice in product(*GRID))


def neighbours(policy: Policy) -> Iterator[Policy]:
    """Return the policies of the grid that differ from one by one step of one value."""
    places = [values.index(value) for values, value in zip(GRID, astuple(policy), strict=True)]
    for axis, values in enumerate(GRID):
        for place in (places[axis] - 1, places[axis] + 1):
            if 0 <= place < len(values):
                moved = [*places[:axis], place, *places[axis + 1 :]]
                yield Policy(*(g[at] for g, at in zip(GRID, moved, strict=True)))


@dataclass(frozen=True, slots=True)
class Trial:
    """A policy and its day, as measured and where a change is slow."""

    policy: Policy
    outcome: Outcome
    slow: Outcome

    @property
    def good(self) -> bool:
        """Whether both keep to the bounds."""
        return (
            self.outcome.longest_s <= LONGEST_S
            and self.outcome.p99_s <= P99_S
            and self.outcome.changes <= CHANGES
            and self.slow.changes <= SLOW_CHANGES
        )


def simulated(rates: Rates, policy: Policy, plant: Plant = PLANT) -> Outcome:
    """Return what a day with a policy is like."""
    return autoscaled(rates, plant, policy.behavior, demand(policy.drain_s))


def tried(rates: Rates, policies: Iterable[Policy]) -> list[Trial]:
    """Return every policy with its day, the best first.

    Best is, of those that keep to the bounds, what takes the fewest core-hours, then the fewest
    changes, then the shortest waits; those that do not come after them.
    """
    trials = [
        Trial(policy, simulated(rates, policy), simulated(rates, policy, SLOW_PLANT))
        for policy in policies
    ]
    return sorted(
        trials,
        key=lambda trial: (
            not trial.good,
            round(trial.outcome.core_hours, 1),
            trial.outcome.changes,
            trial.outcome.longest_s,
            trial.outcome.p99_s,
        ),
    )
