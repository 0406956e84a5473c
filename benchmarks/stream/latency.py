"""From a block to its effects, at half of what one process can take.

The most is measured first, over blocks that wait in the log. Then blocks come at an even rate, by a
load that waits for nobody, and a delay counts from when a block was due, not from when it was sent:
a pause of the processor is seen in all the blocks that it held up.

python -m benchmarks.stream.latency
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from benchmarks.stream.bench import Bench, Processor, bench, until
from benchmarks.stream.load import Load, load
from benchmarks.stream.log import SITE, Fleet

# Blocks of each machine before anything is measured: baselines settle.
WARM_UP = 60
# Machines that become hot, one after the other, over this part of the run.
HOT_PART = 0.8


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from when blocks were due to what became of them."""

    points: list[float]
    advisories: list[float]
    acknowledgements: list[float]


def most(made: Bench, fleet: Fleet, running: Processor, rounds: int) -> float:
    """Return the blocks a second that the processor takes of what waits in the log."""
    running.send(signal.SIGSTOP)
    made.fill(fleet.messages(int(time.time() * 1000), rounds))
    begin = time.monotonic()
    running.send(signal.SIGCONT)
    end = until(lambda: made.acknowledgements.all_of(fleet), lambda: "not all acknowledged")
    return rounds * fleet.machines / (end - begin)


def stepped(machines: int, rounds: float, round_: int) -> frozenset[int]:
    """Return the machines that are hot in a round: more and more of them."""
    return frozenset(range(min(machines, int(machines * round_ / (rounds * HOT_PART)))))


def delays(made: Bench, offered: Load) -> Delays:
    """Return how long each effect took that was due by a block of the load."""
    points = [
        offered.points[key] - key[1] / 1000 for key in list(offered.points) if key in offered.sent
    ]
    waited = []
    for node, heard in made.acknowledgements.heard.items():
        times = [at for at, _ in heard]
        batches = np.array([batch for _, batch in heard])
        mine = sorted(batch for name, batch in offered.due if name == node)
        for batch in mine:
            place = int(np.searchsorted(np.maximum.accumulate(batches), batch))
            if place < len(times):
                waited.append(times[place] - offered.due[node, batch])
    advisories = [
        came - sent for came, sent in made.maintenance.came.values() if sent >= offered.begin
    ]
    return Delays(points, advisories, waited)


def run(seconds: float, nodes: int, machines: int, samples: int) -> None:
    """Run the benchmark and print its figures."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as name, bench(Path(name)) as made:
        fleet = Fleet(made.partitions, nodes, machines, samples)
        made.fill(fleet.births(int(time.time() * 1000)))
        made.fill(fleet.messages(int(time.time() * 1000), WARM_UP))
        (running,) = made.processors(1, pinned=False)
        begin = time.monotonic()
        until(lambda: made.acknowledgements.all_of(fleet), lambda: "the first blocks")
        rate = WARM_UP * fleet.machines / (time.monotonic() - begin)
        highest = most(made, fleet, running, max(1, round(10 * rate / fleet.machines)))
        rounds = seconds * highest / 2 / fleet.machines
        with load(
            made.broker, fleet, highest / 2, lambda n: stepped(fleet.machines, rounds, n)
        ) as offered:
            time.sleep(seconds)
            offered.stop()
            until(lambda: made.acknowledgements.all_of(fleet), lambda: "the last blocks")
            until(
                lambda: len(offered.points.keys() & offered.sent) == len(offered.sent),
                lambda: f"{len(offered.sent)} blocks, points of {len(offered.points)}",
            )
        found = delays(made, offered)
    print(f"from the log to effects: {describe('bytewax', 'nats-py')}")
    print(
        f"  at most {highest:.0f} blocks/s of {fleet.samples_a_block} samples, offered half of it "
        f"for {seconds:g} s: {len(offered.sent)} blocks of {fleet.machines} machines on "
        f"{len(fleet.nodes)} nodes of {SITE}; the load itself was at most "
        f"{offered.held_up_s * 1000:.0f} ms late, which counts"
    )
    for what, values in (
        ("points in their stream", found.points),
        ("advisory at the module's door", found.advisories),
        ("acknowledgement at the gateway", found.acknowledgements),
    ):
        if values:
            half, p99, worst = np.quantile(values, (0.5, 0.99, 1.0)) * 1000
            print(
                f"  {what:<32}p50 {half:>6.0f} ms  p99 {p99:>6.0f} ms  worst {worst:>6.0f} ms"
                f"  of {len(values)}"
            )
        else:
            print(f"  {what:<32}none")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--nodes", type=int, default=4, help="edge nodes a partition")
    parser.add_argument("--machines", type=int, default=8, help="machines a node")
    parser.add_argument("--samples", type=int, default=1024)
    given = parser.parse_args()
    run(given.seconds, given.nodes, given.machines, given.samples)
