"""How long a processor that was killed takes until it is where it was, with 10,000 devices.

`kill -9` under an even load, a start at once; then until the first effect, and until no more waits
for its acknowledgement than before.

python -m benchmarks.stream.recovery
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from benchmarks.machine import describe
from benchmarks.stream.bench import Bench, Processor, bench, until
from benchmarks.stream.load import Load, load
from benchmarks.stream.log import Fleet
from benchmarks.stream.processes import cpu_s

TARGET_S = 5.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the start of the process to each step."""

    imported: float
    compiled: float
    restored: float
    first_effect: float
    caught_up: float
    # Processor time until the first effect, which does not depend on who else is on the machine.
    processor_time: float


def said(output: Path, after: int, event: str) -> list[float]:
    """Return when a processor said `event`, in seconds of the wall clock, behind `after` bytes."""
    found = []
    for line in output.read_bytes()[after:].decode(errors="replace").splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            if entry.get("event") == event:
                found.append(datetime.fromisoformat(entry["timestamp"]).timestamp())
    return found


def recover(made: Bench, fleet: Fleet, running: Processor, offered: Load) -> Recovery:
    """Kill the processor, start it and wait until it is where it was."""
    waiting = highest(lambda: unacknowledged(made, fleet), 3.0)
    size = running.output.stat().st_size
    running.process.kill()
    running.process.wait()
    begin = time.time()
    running.start()
    until(lambda: offered.newest_points_s > begin, lambda: "no effect")
    first, worked = offered.newest_points_s, cpu_s(running.pid)
    until(lambda: unacknowledged(made, fleet) <= waiting, lambda: "it does not catch up")
    caught_up = time.time()
    return Recovery(
        said(running.output, size, "starting")[0] - begin,
        said(running.output, size, "kernels are ready")[0] - begin,
        max(said(running.output, size, "reading the log")) - begin,
        first - begin,
        caught_up - begin,
        worked,
    )


def unacknowledged(made: Bench, fleet: Fleet) -> int:
    """Return how many batches are published and not acknowledged."""
    return sum(node.batch for node in fleet.nodes) - made.acknowledgements.batches()


def highest(look: Callable[[], int], seconds: float) -> int:
    """Return the highest of what is seen within some seconds."""
    end, found = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        found = max(found, look())
        time.sleep(0.05)
    return found


def stored_bytes(data_dir: Path) -> tuple[int, int]:
    """Return the bytes of the newest snapshot of every key of every step, and of the stores."""
    newest = total = 0
    for store in data_dir.glob("recovery/*/*.sqlite3"):
        total += store.stat().st_size
        database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            (found,) = database.execute(
                "SELECT sum(length(ser_change)) FROM snaps JOIN (SELECT step_id, state_key, "
                "max(snap_epoch) AS snap_epoch FROM snaps GROUP BY step_id, state_key) "
                "USING (step_id, state_key, snap_epoch)"
            ).fetchone()
            newest += found or 0
        finally:
            database.close()
    return newest, total


def run(turns: int, nodes: int, machines: int, rounds: int, rate_hz: float) -> None:
    """Run the benchmark and print its figures."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as name, bench(Path(name)) as made:
        fleet = Fleet(made.partitions, nodes, machines, 0)
        made.fill(fleet.births(int(time.time() * 1000)))
        made.fill(fleet.messages(int(time.time() * 1000), rounds))
        (running,) = made.processors(1, pinned=False)
        until(lambda: made.acknowledgements.all_of(fleet), lambda: "it is not read")
        with load(made.broker, fleet, rate_hz) as offered:
            until(lambda: offered.points, lambda: "no effect before the first kill")
            found = [recover(made, fleet, running, offered) for _ in range(turns)]
        running.end(signal.SIGTERM)
        newest, total = stored_bytes(made.folder / "data")
    print(f"recovery after kill -9: {describe('bytewax')}")
    print(
        f"  {fleet.machines} devices on {len(fleet.nodes)} edge nodes, {rounds} blocks of "
        f"{fleet.samples_a_block} samples each before, {rate_hz:g} blocks/s meanwhile, "
        f"{turns} turns, medians in seconds from the start of the process"
    )
    for what in ("imported", "compiled", "restored", "first_effect", "caught_up", "processor_time"):
        values = [getattr(one, what) for one in found]
        print(f"  {what.replace('_', ' '):<14}{median(values):>7.2f}   worst {max(values):.2f}")
    reached = median(one.caught_up for one in found)
    print(
        f"  aim {TARGET_S:g} s: {'reached' if reached < TARGET_S else 'missed'}, "
        f"{reached / TARGET_S:.2f} of it"
    )
    print(
        f"  snapshot: {newest / fleet.machines:.0f} bytes a device, "
        f"{newest / MIB:.1f} MiB in all; stores {total / MIB:.1f} MiB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=25, help="edge nodes a partition")
    parser.add_argument("--machines", type=int, default=100, help="machines a node")
    parser.add_argument("--rounds", type=int, default=2, help="blocks of each machine before")
    parser.add_argument("--rate", type=float, default=50.0, help="blocks a second meanwhile")
    given = parser.parse_args()
    run(given.turns, given.nodes, given.machines, given.rounds, given.rate)
