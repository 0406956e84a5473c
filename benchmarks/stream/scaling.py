"""Processes of the processor over one log: samples a second with one and with two, a core each.

Both take the same blocks from a real server's log, from reading to the acknowledgement that says
that the effects exist. The broker runs on the same cores, so that with two processes on two cores
it takes from what they have; samples a second of processor time do not depend on that.

python -m benchmarks.stream.scaling
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.machine import describe
from benchmarks.stream.bench import Bench, bench, until
from benchmarks.stream.log import Fleet

TARGET = 1.8
WARM_UP = 40


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of the clock, of the processors and of the broker for the blocks of a round."""

    blocks: int
    seconds: float
    processor_s: float
    broker_s: float


def measure(made: Bench, fleet: Fleet, processes: int, rounds: int) -> Round:
    """Let so many processes take `rounds` blocks of each machine that wait in the log.

    They stand still while the log is filled, so that all of them begin at the same moment.
    """
    processors = made.processors(processes)
    try:
        until(lambda: made.acknowledgements.all_of(fleet), lambda: "the last round is not over")
        for processor in processors:
            processor.send(signal.SIGSTOP)
        made.fill(fleet.messages(int(time.time() * 1000), rounds))
        cpu, broker = made.cpu_s(processors)
        begin = time.monotonic()
        for processor in processors:
            processor.send(signal.SIGCONT)
        end = until(lambda: made.acknowledgements.all_of(fleet), lambda: "not all acknowledged")
        cpu_after, broker_after = made.cpu_s(processors)
    finally:
        for processor in processors:
            processor.end()
    return Round(rounds * fleet.machines, end - begin, cpu_after - cpu, broker_after - broker)


def run(
    turns: int, seconds: float, samples: int, vibrations: int, nodes: int, machines: int
) -> None:
    """Take turns of one process and of two, and print the medians."""
    found: dict[int, list[Round]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="headrace-") as name, bench(Path(name)) as made:
        fleet = Fleet(made.partitions, nodes, machines, samples, vibrations)
        made.fill(fleet.births(int(time.time() * 1000)))
        # Baselines, windows and caches; and how much one process takes in a turn.
        first = measure(made, fleet, 1, WARM_UP)
        rounds = max(1, round(seconds * first.blocks / first.seconds / fleet.machines))
        for _ in range(turns):
            for processes, measured in found.items():
                measured.append(measure(made, fleet, processes, rounds))
        print(f"one and two processes over one log: {describe('bytewax', 'nats-py')}")
        print(
            f"  {rounds * fleet.machines} blocks of {fleet.samples_a_block} samples a turn, "
            f"{len(fleet.nodes)} edge nodes with {machines} machines each over "
            f"{made.partitions} partitions, {turns} turns each, medians"
        )
    report(found, fleet.samples_a_block)


def report(found: dict[int, list[Round]], samples: int) -> None:
    """Print the table and the ratios."""
    print(
        f"  {'processes':<10}{'M samples/s':>13}{'blocks/s':>10}{'best':>8}"
        f"{'processor':>11}{'broker':>8}{'M samples a processor-second':>30}"
    )
    rate, efficiency = {}, {}
    for processes, rounds in found.items():
        rates = [r.blocks * samples / r.seconds for r in rounds]
        rate[processes] = median(rates)
        efficiency[processes] = median(r.blocks * samples / r.processor_s for r in rounds)
        cores = median(r.processor_s / r.seconds for r in rounds)
        broker = median(r.broker_s / r.seconds for r in rounds)
        print(
            f"  {processes:<10}{rate[processes] / 1e6:>13.2f}{rate[processes] / samples:>10.0f}"
            f"{max(rates) / 1e6:>8.2f}{cores:>10.2f}c{broker:>7.2f}c"
            f"{efficiency[processes] / 1e6:>30.2f}"
        )
    ratio = rate[2] / rate[1]
    print(
        f"  two over one: {ratio:.2f} on {os.cpu_count()} cores with the broker on them "
        f"(aim {TARGET}: {'reached' if ratio >= TARGET else 'missed'}); "
        f"per processor-second {efficiency[2] / efficiency[1]:.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="a turn of one process")
    parser.add_argument("--samples", type=int, default=1024, help="a block of a vibration")
    parser.add_argument("--vibrations", type=int, default=4, help="a machine")
    parser.add_argument("--nodes", type=int, default=4, help="edge nodes a partition")
    parser.add_argument("--machines", type=int, default=8, help="machines a node")
    given = parser.parse_args()
    run(
        given.turns,
        given.seconds,
        given.samples,
        given.vibrations,
        given.nodes,
        given.machines,
    )
