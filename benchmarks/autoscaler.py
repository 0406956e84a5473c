"""The autoscaler's policy under a day's load, simulated: beside fixed numbers and an oracle.

`python -m benchmarks.autoscaler --grid` tries every policy and prints the ten best. Nothing here
depends on a clock or on chance: every run prints the same.
"""

from __future__ import annotations

import argparse

from benchmarks.autoscaling.controller import Behavior, Rules
from benchmarks.autoscaling.load import FULL, day
from benchmarks.autoscaling.policy import (
    CAPACITY,
    CHANGES,
    CHOSEN,
    LONGEST_S,
    P99_S,
    PARTITIONS,
    PLANT,
    SLOW_CHANGES,
    SLOW_PLANT,
    policies,
    simulated,
    tried,
)
from benchmarks.autoscaling.processes import STEP_S
from benchmarks.autoscaling.simulation import Outcome, autoscaled, fixed, oracle

# What a ScaledObject on lag alone does with the cluster's defaults: a consumer's messages, 1000 a
# process, up at once, down after five minutes.

LAG_ALONE = Behavior(1000.0, 1, PARTITIONS, Rules(0, PARTITIONS, 15), Rules(300, PARTITIONS, 15))


def line(name: str, outcome: Outcome) -> str:
    return (
        f"  {name:34s}{outcome.longest_s:9.0f} s{outcome.p99_s:9.0f} s"
        f"{outcome.core_hours:11.1f}{outcome.changes:9d}{outcome.most:7d}"
    )


def run(grid: bool) -> None:
    """Run the days and print their figures."""
    rates = day(STEP_S)
    print(
        f"a day of {FULL:.0f} messages/s at full production, {CAPACITY:.0f} messages/s a process, "
        f"a change stops all for {PLANT.restart_s} s"
    )
    print(f"  {'':34s}{'longest':>11s}{'p99':>11s}{'core-hours':>11s}{'changes':>9s}{'most':>7s}")
    print(line("the policy", simulated(rates, CHOSEN)))
    print(line("… where a change stops all for 60 s", simulated(rates, CHOSEN, SLOW_PLANT)))
    lag_alone = autoscaled(rates, PLANT, LAG_ALONE, lambda taken, waiting: waiting)
    print(line("lag alone, the cluster's defaults", lag_alone))
    for count in (1, 2, 4, 8):
        print(line(f"always {count}", fixed(rates, PLANT, count)))
    print(line("oracle, changes at no cost", oracle(rates, PLANT)))
    if grid:
        trials = tried(rates, policies())
        print(
            f"{sum(trial.good for trial in trials)} of {len(trials)} policies keep to "
            f"{LONGEST_S:.0f} s, p99 {P99_S:.0f} s and {CHANGES} changes, and to {SLOW_CHANGES} "
            "where one stops all for a minute; the best (utilisation, drain, up, down, minimum):"
        )
        for trial in trials[:10]:
            policy = trial.policy
            name = (
                f"{policy.utilisation} {policy.drain_s:4d} s {policy.up_s:4d} s "
                f"{policy.down_s:5d} s {policy.minimum}"
            )
            print(line(name, trial.outcome))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", action="store_true", help="try every policy; a minute")
    run(parser.parse_args().grid)
