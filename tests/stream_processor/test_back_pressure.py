"""A processor that is too slow: the log stays small, spools take the rest, memory does not grow."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pytest

from headrace import gateway
from headrace.broker import Broker
from stream_processor.streams import TELEMETRY

pytestmark = pytest.mark.slow

SITE = "riverside"
HERE = Path(__file__).parent
MIB = 1 << 20
WINDOW = 40


@dataclass
class Gateway:
    """A real agent with a machine that waits for nobody; its log tells how it is every 0.2 s."""

    folder: Path
    broker: Broker
    name: str
    process: subprocess.Popen[str] = field(init=False)

    def start(self, spool: str, **options: Any) -> None:
        file = gateway.write(
            self.folder / f"{self.name}.toml",
            SITE,
            self.name,
            "plugin",
            {"tag": self.tag, "enough": str(self.enough), **options},
            factory="pressing_driver:create",
        )
        text = file.read_text(encoding="utf-8")
        tables = f"[spool]\nmax_in_flight = {WINDOW}\n{spool}"
        file.write_text(f"health_interval_s = 0.2\n{text}\n{tables}\n", encoding="utf-8")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", str(file), "--until-drained"],
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={
                    **os.environ,
                    **self.broker.environment,
                    "HEADRACE_DATA_DIR": str(self.folder / "edge-data"),
                    "HEADRACE_LOG_FORMAT": "json",
                    "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
                },
            )

    @property
    def tag(self) -> str:
        return f"M-{self.name}"

    @property
    def enough(self) -> Path:
        return self.folder / f"{self.name}.enough"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        return [entry for entry in entries if entry.get("event") == event]

    def health(self) -> dict[str, Any]:
        """Return the newest report; depth and in flight 0 before the first."""
        return (self.said("health") or [{"depth": 0, "in_flight": 0}])[-1]

    def counts(self) -> dict[str, int]:
        """Return what it counted, once it was drained."""
        assert self.process.wait(240) == 0, self.log.read_text()[-3000:]
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.read()))

    def tail(self) -> str:
        return self.log.read_text()[-3000:]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def gateways(tmp_path: Path, broker: Broker) -> Iterator[list[Gateway]]:
    made = [Gateway(tmp_path, broker, f"gateway-{n}") for n in range(2)]
    yield made
    for one in made:
        if hasattr(one, "process"):
            one.stop()


def resident_bytes(pid: int, what: str = "VmRSS") -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) * 1024


def logged(broker: Broker, node: str) -> int:
    """Return how many messages with data of a node the telemetry log has."""

    async def ask() -> int:
        connection = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        try:
            jetstream = connection.jetstream()
            found = 0
            for subject in (f"tele.*.{SITE}.DDATA.{node}.>", f"spBv1//0.{SITE}.NDATA.{node}"):
                info = await jetstream.stream_info(TELEMETRY, subjects_filter=subject)
                found += sum((info.state.subjects or {}).values())
            return found
        finally:
            await connection.close()

    return asyncio.run(ask())


def batches(maintenance: Any, equipment: str) -> list[int]:
    """Return the batches of a machine in the order in which they took effect."""
    return [
        int(a.advisory_id.rpartition("-")[2])
        for a in maintenance.reported
        if a.equipment == equipment
    ]


def test_a_processor_that_stands_still_fills_spools_and_not_the_log(
    gateways: list[Gateway],
    processor: Any,
    maintenance: Any,
    broker: Broker,
    wait_until: Callable[..., Any],
) -> None:
    for one in gateways:
        one.start("", samples=10_000, rate_hz=50.0, alarm_every=1_000_000)
    for one in gateways:
        wait_until(lambda one=one: batches(maintenance, one.tag), what=one.tail)
    processor.process.send_signal(signal.SIGSTOP)
    for one in gateways:
        wait_until(lambda one=one: one.health()["in_flight"] == WINDOW, what=one.tail)
    full = {one.name: logged(broker, one.name) for one in gateways}
    before = {one.name: resident_bytes(one.process.pid) for one in gateways}
    for one in gateways:
        depth = one.health()["depth"]
        wait_until(lambda one=one, d=depth: one.health()["depth"] >= d + 300, 120, one.tail)
    for one in gateways:
        # Three hundred more batches of 40 kB are on the disk, none in the log or in memory.
        assert one.health()["in_flight"] == WINDOW
        assert logged(broker, one.name) == full[one.name]
        assert resident_bytes(one.process.pid) - before[one.name] < 8 * MIB
        assert one.process.poll() is None

    processor.process.send_signal(signal.SIGCONT)
    for one in gateways:
        one.enough.touch()
    sent = told = 0
    for one in gateways:
        counts = one.counts()
        assert (counts["dropped"], counts["depth"]) == (0, 0)
        found = batches(maintenance, one.tag)
        # A report may be told again when its answer was not heard in time, and nothing else is.
        assert all(b > a or b in found[:n] for n, (a, b) in enumerate(pairwise(found), 1))
        sent, told = sent + counts["sent"], told + len(set(found))
    said = processor.counters()
    assert (said["processed"], said["frames"], said["lost"]) == (sent, told, 0)


def test_alarms_and_what_is_newest_outlive_a_stall_that_a_spool_is_too_small_for(
    gateways: list[Gateway],
    processor: Any,
    maintenance: Any,
    wait_until: Callable[..., Any],
) -> None:
    one, every = gateways[0], 30
    one.start(f"max_bytes = {2 * MIB}", samples=3_000, rate_hz=60.0, alarm_every=every)
    wait_until(lambda: batches(maintenance, one.tag), what=one.tail)
    processor.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: sum(h["dropped_since"] for h in one.said("health")) > 200, 120, one.tail)
    one.enough.touch()
    wait_until(lambda: one.said("sources ended"), what=one.tail)
    processor.process.send_signal(signal.SIGCONT)
    counts = one.counts()

    found = sorted({block_of(advisory) for advisory in maintenance.reported})
    assert set(range(every, found[-1] + 1, every)) <= set(found), "an alarm was dropped"
    # Of the others the oldest went; the newest are there.
    assert found[-50:] == list(range(found[-1] - 49, found[-1] + 1))
    # Each batch took effect or was told as lost; those on their way did, dropped or not.
    said = processor.counters()
    assert said["processed"] + said["lost"] == counts["sent"]
    assert counts["dropped"] - WINDOW <= said["lost"] <= counts["dropped"]


def block_of(advisory: Any) -> int:
    """Return the number of a block, which is in its samples."""
    return round(advisory.evidence.features[0].value * 1000)


@pytest.fixture
def backlog(broker: Broker, payloads: Any) -> Callable[[int, int], None]:
    """Fill the log with that many blocks of so many samples, before any processor reads it."""

    async def fill(blocks: int, samples: int) -> None:
        connection = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        try:
            jetstream = connection.jetstream(publish_async_max_pending=1000)
            node, machine = f"{SITE}.NBIRTH.gateway-1", f"{SITE}.DBIRTH.gateway-1.P-101"
            await jetstream.publish(f"spBv1//0.{node}", payloads.node_birth())
            await jetstream.publish(f"spBv1//0.{machine}", payloads.device_birth("simulated"))
            shape = np.ones(samples)
            for batch in range(1, blocks + 1):
                payload = payloads.block(batch, shape, start_ms=1_767_592_800_000 + batch * 1000)
                subject = f"spBv1//0.{SITE}.DDATA.gateway-1.P-101"
                await jetstream.publish_async(subject, payload, wait_stall=60.0)
            await jetstream.publish_async_completed()
        finally:
            await connection.close()

    return lambda blocks, samples: asyncio.run(fill(blocks, samples))


def test_a_long_backlog_waits_in_the_log_and_not_in_memory(
    processor: Any,
    backlog: Callable[[int, int], None],
    wait_until: Callable[..., Any],
) -> None:
    blocks, samples = 50_000, 1_000
    usual = resident_bytes(processor.process.pid)
    processor.process.send_signal(signal.SIGSTOP)
    backlog(blocks, samples)
    processor.process.send_signal(signal.SIGCONT)
    wait_until(lambda: processor.counters().get("frames", 0) >= 2_000, 240, processor.tail)
    lag = sum(v for k, v in processor.metrics().items() if k[0] == "lag_messages")
    assert lag > 0
    # The backlog is 200 MB; what the reader holds is a megabyte, and the engine some batches.
    assert resident_bytes(processor.process.pid, "VmHWM") - usual < 60 * MIB
