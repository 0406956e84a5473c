"""The whole stack under an even load for half an hour: does anything grow without an end?

What is bounded by size, the log and what the historian keeps in memory, gets bounds that are
reached within the first half, so that the second shows what has none.

python -m benchmarks.stream.soak --minutes 30
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from scipy.stats import theilslopes

from benchmarks.machine import describe
from benchmarks.stream import plant
from benchmarks.stream.processes import Vitals, cpu_s, size_bytes, vitals
from headrace import gateway
from headrace.broker import Broker
from headrace.demo.stores import Machine, fill
from headrace.stack import Stack, running

SITE, NODE = "bench", "gateway-1"
INTERVAL_S = 10.0
# The share of the run in which caches, windows and baselines fill.
WARM_UP = 1 / 2
LOG_BYTES, HISTORIAN_MEMORY = 128 << 20, "32MB"
TEN_MINUTES_S = 600.0
MIB = 1 << 20


@dataclass
class Series:
    """What was seen of a process: seconds since the begin, and how it was then."""

    pid: int
    seconds: list[float] = field(default_factory=list)
    vitals: list[Vitals] = field(default_factory=list)

    def look(self, second: float) -> None:
        """Add how the process is now."""
        self.seconds.append(second)
        self.vitals.append(vitals(self.pid))

    def after(self, second: float) -> tuple[np.ndarray, np.ndarray]:
        """Return times and resident bytes from `second` on."""
        chosen = np.array(self.seconds) >= second
        resident = np.array([v.resident_bytes for v in self.vitals], float)
        return np.array(self.seconds)[chosen], resident[chosen]


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth in percent of the median each ten minutes, with its 95 % interval."""

    percent: float
    low: float
    high: float


def slope(seconds: np.ndarray, values: np.ndarray) -> Slope:
    """Return the slope by Theil (1950) and Sen (1968): the median of all pairs' slopes."""
    found = theilslopes(values, seconds, alpha=0.95)
    scale = 100.0 * TEN_MINUTES_S / float(np.median(values))
    return Slope(found.slope * scale, found.low_slope * scale, found.high_slope * scale)


def lag(stack: Stack) -> float:
    """Return how many messages of the log the processor has still to take."""
    url = f"http://127.0.0.1:{stack.counters_ports[0]}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "headrace_stream_processor_lag_messages"
        )


def pids(stack: Stack) -> dict[str, int]:
    """Return the processes of the stack."""
    broker = stack.supervisor.broker
    assert isinstance(broker, Broker)
    assert broker.process is not None
    found = {"nats-server": broker.process.pid}
    for child in stack.supervisor.children:
        assert child.process is not None
        found[child.name] = child.process.pid
    return found


def stores(data_dir: Path) -> dict[str, int]:
    """Return the sizes of what is kept on the disk."""
    return {
        "log and streams": size_bytes(data_dir / "broker"),
        "recovery": size_bytes(data_dir / "recovery"),
        "books": sum(p.stat().st_size for p in data_dir.glob("headrace.db*")),
        "historian": sum(p.stat().st_size for p in data_dir.glob("historian.duckdb*")),
        "spool": size_bytes(data_dir / "edge"),
    }


def look_like_a_browser(stack: Stack, machine: int) -> None:
    """Ask what an open page asks for now and then."""
    tag = f"M-{machine:03}"
    stack.client.get("/v1/alarms", {"site": SITE, "pageSize": 50})
    stack.client.get("/v1/tickets", {"site": SITE, "pageSize": 50})
    stack.client.get(
        f"/v1/equipment/{tag}/points", {"site": SITE, "series": "Temperature", "maxPoints": 500}
    )


def run(minutes: float, machines: int, keep: Path | None) -> None:
    """Run the soak and print its table; `keep` is where samples go as lines of JSON."""
    with tempfile.TemporaryDirectory(prefix="headrace-soak-") as name:
        folder = Path(name)
        historian = folder / "historian.duckdb"
        os.environ["HEADRACE_TELEMETRY_MAX_BYTES"] = str(LOG_BYTES)
        os.environ["HEADRACE_HISTORIAN_URL"] = (
            f"duckdb:///{historian}?memory_limit={HISTORIAN_MEMORY}"
        )
        with running(folder) as stack:
            soak(stack, folder, minutes, machines, keep)


def soak(stack: Stack, folder: Path, minutes: float, machines: int, keep: Path | None) -> None:
    """Let a gateway speak, look every ten seconds, and print what was seen."""
    options = {"machines": machines}
    devices = plant.create(options).devices()
    fill(stack.client, SITE, [Machine(d.tag, plant.CLASS, plant.PATH, d.tag) for d in devices])
    configuration = gateway.write(
        folder / "gateway.toml",
        SITE,
        NODE,
        "plugin",
        options,
        factory="benchmarks.stream.plant:create",
    )
    stack.start_agent(configuration, until_drained=False)
    seen = {name: Series(pid) for name, pid in pids(stack).items()}
    begin, before = time.monotonic(), {name: cpu_s(s.pid) for name, s in seen.items()}
    sizes, lags, turn = [stores(folder)], [0.0], 0
    while (second := time.monotonic() - begin) < minutes * 60:
        time.sleep(max(0.0, turn * INTERVAL_S - second))
        second = time.monotonic() - begin
        if restarted := stack.supervisor.check():
            raise SystemExit(f"the soak is over: {restarted}")
        look_like_a_browser(stack, turn % machines)
        for series in seen.values():
            series.look(second)
        lags.append(lag(stack))
        sizes.append(stores(folder))
        if keep is not None:
            keep_sample(keep, second, seen, lags[-1], sizes[-1])
        turn += 1
    seconds = time.monotonic() - begin
    counters = stack.counters()
    cpu = {name: (cpu_s(s.pid) - before[name]) / seconds for name, s in seen.items()}
    report(seconds, machines, counters, seen, cpu, lags, sizes)


def keep_sample(
    keep: Path, second: float, seen: dict[str, Series], lag: float, sizes: dict[str, int]
) -> None:
    """Add a sample to a file, so that a run can be looked into."""
    line = {
        "second": round(second, 1),
        "lag": lag,
        "stores": sizes,
        **{
            name: {
                "resident": s.vitals[-1].resident_bytes,
                "private": s.vitals[-1].private_bytes,
                "threads": s.vitals[-1].threads,
                "files": s.vitals[-1].files,
            }
            for name, s in seen.items()
        },
    }
    with keep.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def report(
    seconds: float,
    machines: int,
    counters: dict[str, int],
    seen: dict[str, Series],
    cpu: dict[str, float],
    lags: list[float],
    sizes: list[dict[str, int]],
) -> None:
    """Print what was measured."""
    print(f"the whole stack for {seconds / 60:.1f} minutes: {describe()}")
    print(
        f"  {machines} blocks/s of {plant.SAMPLES} samples offered, {counters['frames']} taken, "
        f"{counters['advisories']} advisories, {counters['lost']} lost; "
        f"lag at most {max(lags):.0f} messages; slopes from {seconds * WARM_UP / 60:.0f} min on; "
        f"log of {LOG_BYTES / MIB:.0f} MiB, {HISTORIAN_MEMORY} for the historian"
    )
    print(
        f"  {'process':<24}{'MiB':>7}{'private':>9}{'% / 10 min':>12}{'95 %':>18}"
        f"{'files':>12}{'threads':>10}{'% of a core':>13}"
    )
    for name, series in seen.items():
        times, values = series.after(seconds * WARM_UP)
        found = slope(times, values)
        first, last = series.vitals[int(len(series.vitals) * WARM_UP)], series.vitals[-1]
        interval = f"{found.low:+.2f} to {found.high:+.2f}"
        print(
            f"  {name:<24}{last.resident_bytes / MIB:>7.1f}{last.private_bytes / MIB:>9.1f}"
            f"{found.percent:>+12.2f}{interval:>18}{f'{first.files} to {last.files}':>12}"
            f"{f'{first.threads} to {last.threads}':>10}{100 * cpu[name]:>13.1f}"
        )
    middle = sizes[int(len(sizes) * WARM_UP)]
    for name in middle:
        print(
            f"  {name:<24}{sizes[0][name] / MIB:>9.1f} to {middle[name] / MIB:.1f} "
            f"to {sizes[-1][name] / MIB:.1f} MiB"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--machines", type=int, default=50)
    parser.add_argument("--samples", type=Path, default=None, help="file of what was sampled")
    given = parser.parse_args()
    run(given.minutes, given.machines, given.samples)
