"""Samples a second a core from the log to features, scores and alarms, beside peers.

    python -m benchmarks.stream.pipeline [--blocks N]

The log is one machine's: Sparkplug batches of float32 blocks of 1,024 samples a channel, in memory,
as the reader of the log hands them on. Headrace decodes, orders, computes features, scores, judges,
and writes points; the transport and the engine of the flow are not in the figure. Plain numpy
decodes the same bytes and computes the same features, nothing else. Bytewax and Pathway get the
samples decoded, one an item, cut windows of 1,024 and compute the same features: they neither
score nor raise alarms. All take turns on one core. Pathway (licence BSL, no dependency) is put into
an environment of its own under `build/`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as w
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from benchmarks.stream.block_features import BLOCK, RATE_HZ, block_features
from benchmarks.stream.machine_log import log, samples
from edge_agent.v1.sparkplug_b_pb2 import Payload
from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.kernels import warm_up
from stream_processor.messages import Message
from stream_processor.stages import STAGES

ENVIRONMENT = Path("build/bench-pathway")
PATHWAY = "pathway==0.33.0"
TURNS = 3
TARGET = 20e6
NAMED = (
    "rms", "kurtosis", "crest", "velocity_rms", "band_low", "band_mid", "band_high", "floor",
    "1x", "2x", "3x", "half_x", "harmonics", "vane_pass",
    "envelope_bpfo", "envelope_bpfi", "envelope_bsf", "envelope_ftf",
)  # fmt: skip
Shares = dict[str, float]


def headrace(messages: list[Message], shares: Shares | None = None) -> float:
    """Take a log through acquisition and all stages; return the seconds.

    With `shares`, the seconds of each part are added to it.
    """
    acquisition, stages = Acquisition(), [stage() for _, stage in STAGES]
    clock = time.perf_counter
    written = 0
    begin = clock()
    for message in messages:
        at = clock()
        found = acquisition.update(message, message.received_ms / 1000)
        _add(shares, "acquisition", clock() - at)
        for item in found:
            assert isinstance(item, Frame), item
            made: Any = item
            for (name, _), stage in zip(STAGES, stages, strict=True):
                at = clock()
                made = stage.update(made)
                _add(shares, name, clock() - at)
            at = clock()
            written += len(made.points.SerializeToString())
            for advisory in made.advisories:
                written += len(advisory.SerializeToString())
            _add(shares, "points to bytes", clock() - at)
    seconds = clock() - begin
    assert written, "nothing came out"
    return seconds


def _add(shares: Shares | None, name: str, seconds: float) -> None:
    if shares is not None:
        shares[name] = shares.get(name, 0.0) + seconds


def plain_numpy(messages: list[Message]) -> float:
    """Decode each payload and compute the features of each of its blocks; return the seconds."""
    begin = time.perf_counter()
    for message in messages[2:]:
        for metric in Payload.FromString(message.payload).metrics:
            if metric.HasField("alias"):
                block_features(np.frombuffer(metric.bytes_value, "<f4").astype(np.float64))
    return time.perf_counter() - begin


def bytewax_windows(blocks: np.ndarray) -> float:
    """Cut windows of 1,024 samples with Bytewax's own operators; return the seconds."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    step = timedelta(seconds=1 / RATE_HZ)
    items = [
        (f"{channel}", (start + at * step, float(value)))
        for channel in range(blocks.shape[1])
        for at, value in enumerate(blocks[:, channel].ravel())
    ]
    found: list[Any] = []

    def fold(held: list[float], item: tuple[datetime, float]) -> list[float]:
        held.append(item[1])
        return held

    def merge(one: list[float], other: list[float]) -> list[float]:
        return one + other

    flow = Dataflow("windows")
    windows = w.fold_window(
        "fold",
        op.input("in", flow, TestingSource(items, batch_size=BLOCK)),
        # It counts what is behind the wall clock as late, and drops it: a slow machine is not.
        w.EventClock(lambda item: item[0], wait_for_system_duration=timedelta(minutes=1)),
        w.TumblingWindower(length=BLOCK * step, align_to=start),
        list,
        fold,
        merge,
    )
    features = op.map_value("features", windows.down, lambda got: block_features(np.array(got[1])))
    op.output("out", features, TestingSink(found))
    begin = time.perf_counter()
    run_main(flow)  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - begin
    assert len(found) == blocks.shape[0] * blocks.shape[1], f"{len(found)} windows"
    return seconds


def pathway_python() -> Path | str:
    """Return the interpreter of an environment with Pathway, or why there is none."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=False)
        if made.returncode:
            return "its environment cannot be made"
    if subprocess.run(
        [python, "-c", "import pathway"], capture_output=True, check=False
    ).returncode:
        wanted = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", PATHWAY]
        got = subprocess.run(wanted, capture_output=True, text=True, check=False)
        if got.returncode:
            return (got.stderr.strip().splitlines() or ["pip failed"])[-1]
    return python


def pathway_windows(python: Path, blocks: np.ndarray) -> float:
    """Let Pathway cut windows of 1,024 samples in a process of its own; return its seconds."""
    path = ENVIRONMENT / "samples.npy"
    np.save(path, blocks.astype(np.float64))
    script = Path(__file__).with_name("pathway_windows.py")
    got = subprocess.run(
        [python, script, path], capture_output=True, text=True, check=False, timeout=600
    )
    if got.returncode:
        raise RuntimeError((got.stderr.strip().splitlines() or ["it failed"])[-1])
    return float(got.stdout.split()[-2])


def check_same(messages: list[Message], blocks: np.ndarray) -> None:
    """Fail unless the plain formulas give what Headrace's stages give."""
    acquisition, stage = Acquisition(), STAGES[0][1]()
    frames = [f for m in messages for f in acquisition.update(m, m.received_ms / 1000)]
    for block, frame in zip(blocks, frames, strict=True):
        features = stage.update(frame)
        (observation,) = features.observations
        known = (*features.catalogue.features, *features.catalogue.trends)
        values = dict(zip(known, [*observation.values, *observation.trends], strict=True))
        for n, part in enumerate(block, 1):
            own = {f.name: v for f, v in values.items() if f.channel == f"Vibration {n}"}
            plain = block_features(part.astype(np.float64))
            np.testing.assert_allclose([own[name] for name in NAMED], plain, rtol=1e-8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=1000, help="blocks a channel for Headrace")
    blocks = parser.parse_args().blocks
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    console = Console(width=110)
    warm_up()
    console.print(
        describe("numpy", "numba", "bytewax") + f", one core, load {os.getloadavg()[0]:.1f}"
    )
    found = {channels: samples(channels, blocks) for channels in (1, 4, 8)}
    logs = {channels: log(part) for channels, part in found.items()}
    few = found[4][: max(blocks // 10, 4)]
    check_same(logs[4][:22], found[4][:20])

    peers: dict[str, tuple[int, Callable[[], float]]] = {
        "Headrace, 4 channels": (found[4].size, lambda: headrace(logs[4])),
        "plain numpy, 4 channels": (found[4].size, lambda: plain_numpy(logs[4])),
        "Headrace, 1 channel": (found[1].size, lambda: headrace(logs[1])),
        "Headrace, 8 channels": (found[8].size, lambda: headrace(logs[8])),
        "Bytewax fold_window": (few.size, lambda: bytewax_windows(few)),
    }
    python = pathway_python()
    missing = python if isinstance(python, str) else ""
    if isinstance(python, Path):
        interpreter = python
        peers["Pathway windowby"] = (few.size, lambda: pathway_windows(interpreter, few))
    rates: dict[str, list[float]] = {name: [] for name in peers}
    headrace(logs[4])
    for _ in range(TURNS):
        for name, (size, run) in peers.items():
            try:
                rates[name].append(size / run())
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                missing = str(error)
    ours = median(rates["Headrace, 4 channels"])
    table = Table("flow", "samples", "samples/s", "Headrace is faster by", title="one core")
    for name, (size, _) in peers.items():
        if rates[name]:
            rate = median(rates[name])
            table.add_row(name, f"{size:,}", f"{rate:,.0f}", f"{ours / rate:.2f}")
    console.print(table)
    if missing:
        console.print(f"Pathway: not measured: {missing}")
    shares: Shares = {}
    headrace(logs[4], shares)
    parts = Table("part", "µs a frame", "share", title="4 channels of 1,024, timed apart")
    for name, seconds in shares.items():
        share = seconds / sum(shares.values())
        parts.add_row(name, f"{seconds / blocks * 1e6:.1f}", f"{share:.0%}")
    console.print(parts)
    verdict = "met" if ours >= TARGET else f"missed by {TARGET / ours:.1f} times"
    console.print(f"target {TARGET / 1e6:.0f} M samples/s: {verdict}")


if __name__ == "__main__":
    main()
