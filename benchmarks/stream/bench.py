"""A broker, processors and a maintenance module that only remembers: what the parts measure."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.stream import log
from benchmarks.stream.processes import cpu_s
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from erp_modules.maintenance.v1 import maintenance_pb2_grpc
from erp_modules.maintenance.v1.maintenance_pb2 import (
    ReportAdvisoryRequest,
    ReportAdvisoryResponse,
)
from headrace.broker import Broker, free_port
from stream_processor.settings import Settings

PATIENCE_S = 300.0
POLL_S = 0.01


def until(condition: Callable[[], Any], what: Callable[[], str] = lambda: "") -> float:
    """Wait for a condition; return the time at which it was seen to hold.

    Raises:
        SystemExit: it did not within five minutes.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"given up after {PATIENCE_S:.0f} s: {what()}")
        time.sleep(POLL_S)
    return time.monotonic()


class Maintenance(maintenance_pb2_grpc.AlarmServiceServicer):
    """Takes advisories and remembers when each came first."""

    def __init__(self) -> None:
        self.port = free_port()
        # By id: the wall clock in seconds, and the sent time of the batch that decided.
        self.came: dict[str, tuple[float, float]] = {}
        self._server = grpc.server(ThreadPoolExecutor(2))
        maintenance_pb2_grpc.add_AlarmServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def ReportAdvisory(  # noqa: N802 (the contract's name)
        self, request: ReportAdvisoryRequest, context: grpc.ServicerContext
    ) -> ReportAdvisoryResponse:
        """Take an advisory."""
        advisory = request.advisory
        sent = advisory.sent_time.ToNanoseconds() / 1e9
        self.came.setdefault(advisory.advisory_id, (time.time(), sent))
        return ReportAdvisoryResponse(applied=True)

    def stop(self) -> None:
        """Close the door."""
        self._server.stop(None).wait()


class Acknowledgements:
    """Hears what is acknowledged to whom, as the gateways would."""

    def __init__(self, broker: Broker) -> None:
        self._changed = threading.Lock()
        # By edge node, the highest batch, and when each was heard: wall clock in seconds, batch.
        self.highest: dict[str, int] = {}
        self.heard: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(broker.user, broker.password)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe(
            f"headrace/ack/{log.SITE}/+", qos=1
        )
        self._client.connect(broker.host, broker.mqtt_port)
        self._client.loop_start()

    def _take(self, client: paho.Client, _: object, heard: paho.MQTTMessage) -> None:
        now = time.time()
        node = heard.topic.rpartition("/")[2]
        batch = Acknowledgement.FromString(bytes(heard.payload)).sequence
        with self._changed:
            self.highest[node] = batch
            self.heard[node].append((now, batch))

    def all_of(self, fleet: log.Fleet) -> bool:
        """Return whether every batch of every node is acknowledged."""
        with self._changed:
            return all(self.highest.get(node.name, 0) >= node.batch for node in fleet.nodes)

    def batches(self) -> int:
        """Return how many batches are acknowledged."""
        with self._changed:
            return sum(self.highest.values())

    def stop(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class Processor:
    """A processor's process, on one core."""

    environment: dict[str, str]
    output: Path
    core: int | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it; `ready` says when it reads."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream_processor"],
                env={**self.environment, "HEADRACE_METRICS_PORT": str(self.port)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if self.core is not None:
            os.sched_setaffinity(self.process.pid, {self.core})

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def get(self, path: str) -> str:
        """Return what its door answers; empty while it does not.

        Raises:
            SystemExit: it ended.
        """
        if self.process.poll() is not None:
            tail = self.output.read_text(errors="replace")[-2000:]
            raise SystemExit(f"the processor ended with {self.process.returncode}:\n{tail}")
        try:
            url = f"http://127.0.0.1:{self.port}/{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def counters(self) -> dict[str, Any]:
        """Return its counters; empty while it does not answer."""
        text = self.get("counters")
        return json.loads(text) if text else {}

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Bench:
    """The parts that are there for the whole of a benchmark."""

    folder: Path
    broker: Broker
    maintenance: Maintenance
    acknowledgements: Acknowledgements
    partitions: int
    started: list[Processor] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a processor is told."""
        return {
            **os.environ,
            **self.broker.environment,
            "HEADRACE_DATA_DIR": str(self.folder / "data"),
            "HEADRACE_GRPC_PORT": str(self.maintenance.port),
            "HEADRACE_API_TOKEN": "bench",
            "HEADRACE_LOG_FORMAT": "json",
            "HEADRACE_PARTITIONS": str(self.partitions),
        }

    @property
    def broker_pid(self) -> int:
        """The broker's process."""
        assert self.broker.process is not None
        return self.broker.process.pid

    def processors(self, processes: int, pinned: bool = True) -> list[Processor]:
        """Start so many processors, each on a core of its own, and wait until they read."""
        cores = sorted(os.sched_getaffinity(0))
        made = []
        for process in range(processes):
            environment = {
                **self.environment,
                "HEADRACE_PROCESSES": str(processes),
                "HEADRACE_PROCESS": str(process),
            }
            output = self.folder / f"processor-{process}.log"
            core = cores[process % len(cores)] if pinned else None
            made.append(Processor(environment, output, core))
        for processor in made:
            processor.start()
            self.started.append(processor)
        for processor in made:
            until(processor.counters, lambda: "a processor did not start")
        return made

    def fill(self, messages: Iterator[log.Message]) -> int:
        """Store messages in the log; return its last sequence."""
        return asyncio.run(log.fill(self.broker, messages))

    def cpu_s(self, processors: list[Processor]) -> tuple[float, float]:
        """Return the processor time of the processors, and of the broker."""
        return sum(cpu_s(p.pid) for p in processors), cpu_s(self.broker_pid)


@contextmanager
def bench(folder: Path, partitions: int = 4) -> Iterator[Bench]:
    """Start a broker with empty streams and what hears of effects; stop all after."""
    broker = Broker(folder / "broker")
    broker.start()
    maintenance = Maintenance()
    acknowledgements = Acknowledgements(broker)
    made = Bench(folder, broker, maintenance, acknowledgements, partitions)
    try:
        asyncio.run(log.make_streams(broker, Settings.from_environment(made.environment)))
        yield made
    finally:
        for processor in made.started:
            processor.end()
        acknowledgements.stop()
        maintenance.stop()
        broker.stop()
