"""An agent, a maintenance service and a processor that tests of the flow can ask for."""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload
from erp_modules.maintenance.v1 import maintenance_pb2_grpc
from erp_modules.maintenance.v1.maintenance_pb2 import (
    ReportAdvisoryRequest,
    ReportAdvisoryResponse,
)
from headrace.broker import Broker, free_port

STAND_IN = Path(__file__).with_name("stand_in.py")
ROOT = Path(__file__).parents[2]
SITE, NODE, EQUIPMENT = "riverside", "gateway-1", "P-101"
TOKEN = "a token of the tests"
ALIASES = {"Vibration": 1, "Edge/Score": 2, "Temperature": 3}


class Payloads:
    """What an agent would send, built field by field."""

    @staticmethod
    def node_birth(boot_epoch: int = 1, first_batch: int = 1) -> bytes:
        payload = Payload(timestamp=now_ms(), seq=0)
        long = DataType.DATA_TYPE_UINT64
        payload.metrics.add(name="bdSeq", datatype=long, long_value=boot_epoch)
        payload.metrics.add(
            name="Node Control/Rebirth",
            datatype=DataType.DATA_TYPE_BOOLEAN,
            boolean_value=False,
        )
        payload.metrics.add(name="Headrace/Boot Epoch", datatype=long, long_value=boot_epoch)
        payload.metrics.add(name="Headrace/First Batch", datatype=long, long_value=first_batch)
        return payload.SerializeToString()

    @staticmethod
    def device_birth(clock: str = "live", aliases: dict[str, int] = ALIASES) -> bytes:
        payload = Payload(timestamp=now_ms())
        vibration = payload.metrics.add(
            name="Vibration",
            alias=aliases["Vibration"],
            datatype=DataType.DATA_TYPE_FLOAT_ARRAY,
        )
        for key, value in (("engUnit", "m/s2"), ("quantity", "acceleration")):
            vibration.properties.keys.append(key)
            vibration.properties.values.add(type=12, string_value=value)
        vibration.properties.keys.append("sampleRate")
        vibration.properties.values.add(type=10, double_value=3200.0)
        payload.metrics.add(
            name="Temperature",
            alias=aliases["Temperature"],
            datatype=DataType.DATA_TYPE_DOUBLE_ARRAY,
        )
        payload.metrics.add(
            name="Edge/Score",
            alias=aliases["Edge/Score"],
            datatype=DataType.DATA_TYPE_FLOAT,
            is_null=True,
        )
        for name, text in (("Class", "centrifugal_pump"), ("Path", "a/b/c"), ("Clock", clock)):
            payload.metrics.add(
                name=f"Equipment/{name}", datatype=DataType.DATA_TYPE_STRING, string_value=text
            )
        payload.metrics.add(
            name="Equipment/Vane Count", datatype=DataType.DATA_TYPE_INT32, int_value=6
        )
        return payload.SerializeToString()

    @staticmethod
    def block(
        batch: int | None,
        samples: Sequence[float] = (1.0, 2.0, 3.0),
        boot_epoch: int = 1,
        start_ms: int | None = None,
        sent_ms: int | None = None,
        historical: bool = False,
        metrics: Sequence[Metric] = (),
    ) -> bytes:
        sent = now_ms() if sent_ms is None else sent_ms
        payload = Payload(timestamp=sent)
        payload.metrics.add(
            alias=ALIASES["Vibration"],
            timestamp=sent if start_ms is None else start_ms,
            datatype=DataType.DATA_TYPE_FLOAT_ARRAY,
            bytes_value=np.asarray(samples, dtype="<f4").tobytes(),
        )
        payload.metrics.extend(metrics)
        if batch is not None:
            Payloads.number(payload, boot_epoch, batch)
        for metric in payload.metrics:
            if historical:
                metric.is_historical = True
        return payload.SerializeToString()

    @staticmethod
    def number(payload: Payload, boot_epoch: int, batch: int) -> None:
        long = DataType.DATA_TYPE_UINT64
        payload.metrics.add(name="Headrace/Boot Epoch", datatype=long, long_value=boot_epoch)
        payload.metrics.add(name="Headrace/Batch", datatype=long, long_value=batch)

    @staticmethod
    def health(batch: int, boot_epoch: int = 1) -> bytes:
        payload = Payload(timestamp=now_ms())
        payload.metrics.add(
            name="Spool/Depth", datatype=DataType.DATA_TYPE_UINT64, long_value=batch
        )
        Payloads.number(payload, boot_epoch, batch)
        return payload.SerializeToString()


def now_ms() -> int:
    return int(time.time() * 1000)


def eventually(
    look: Callable[[], Any], timeout: float = 60.0, what: Callable[[], object] = lambda: ""
) -> Any:
    """Return what `look` returns once it is true; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"still {found!r} after {timeout:.0f} s {what()}")
        time.sleep(0.02)


@dataclass
class Agent:
    """An MQTT client that publishes and hears commands and acknowledgements."""

    broker: Broker
    site: str = SITE
    edge_node: str = NODE
    equipment: str = EQUIPMENT
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(self.broker.user, self.broker.password)
        self.client.max_inflight_messages_set(200)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_message = lambda _, __, m: self.heard.append((m.topic, m.payload))
        self.client.on_connect = lambda client, *_: client.subscribe(
            [
                (f"headrace/ack/{self.site}/{self.edge_node}", 1),
                (f"spBv1.0/{self.site}/NCMD/{self.edge_node}", 1),
            ]
        )
        self.client.connect(self.broker.host, self.broker.mqtt_port)
        self.client.loop_start()

    def send(self, kind: str, payload: bytes, equipment: str = "") -> paho.MQTTMessageInfo:
        levels = ["spBv1.0", self.site, kind, self.edge_node, *([equipment] if equipment else [])]
        return self.client.publish("/".join(levels), payload, qos=1)

    def births(self, boot_epoch: int = 1, first_batch: int = 1, clock: str = "live") -> None:
        self.send("NBIRTH", Payloads.node_birth(boot_epoch, first_batch))
        self.send("DBIRTH", Payloads.device_birth(clock), self.equipment)

    def block(self, batch: int | None, **what: Any) -> paho.MQTTMessageInfo:
        return self.send("DDATA", Payloads.block(batch, **what), self.equipment)

    def commands(self, name: str) -> list[Metric]:
        """Return the commands heard by their metric's name."""
        found = []
        for topic, payload in list(self.heard):
            if "/NCMD/" in topic:
                found += [m for m in Payload.FromString(payload).metrics if m.name == name]
        return found

    def resends(self) -> list[tuple[int, ...]]:
        return [
            struct.unpack("<3Q", metric.bytes_value)
            for metric in self.commands("Node Control/Resend")
        ]

    def acknowledgements(self) -> list[tuple[int, int]]:
        """Return what was acknowledged, boot epoch and batch, as it was heard."""
        heard = [p for t, p in list(self.heard) if t.startswith("headrace/ack/")]
        said = [Acknowledgement.FromString(payload) for payload in heard]
        return [(a.boot_epoch, a.sequence) for a in said]

    def acknowledged(self) -> tuple[int, int] | None:
        """Return the last acknowledgement heard."""
        return (self.acknowledgements() or [None])[-1]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Maintenance(maintenance_pb2_grpc.AlarmServiceServicer):
    """The maintenance module's door: remembers what was reported, by id."""

    def __init__(self) -> None:
        self.port = free_port()
        self.reported: list[Any] = []
        self.tokens: set[str] = set()
        self.refuse: Callable[[Any], grpc.StatusCode | None] = lambda _: None
        self._server: grpc.Server | None = None
        self._lock = threading.Lock()

    def ReportAdvisory(
        self, request: ReportAdvisoryRequest, context: grpc.ServicerContext
    ) -> ReportAdvisoryResponse:
        with self._lock:
            self.tokens.add(dict(context.invocation_metadata()).get("authorization", ""))
            code = self.refuse(request.advisory)
            if code is not None:
                context.abort(code, "as the test said")
            self.reported.append(request.advisory)
        return ReportAdvisoryResponse(applied=True)

    @property
    def ids(self) -> set[str]:
        with self._lock:
            return {advisory.advisory_id for advisory in self.reported}

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4))
        maintenance_pb2_grpc.add_AlarmServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None


@dataclass
class Processor:
    """A processor as a process that can be killed and started again."""

    broker: Broker
    maintenance: Maintenance
    directory: Path
    arguments: Sequence[str] = (str(STAND_IN),)
    process_number: int = 0
    processes: int = 1
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    patience_s: float = 120.0

    def start(self) -> None:
        environment = {
            **os.environ,
            **self.broker.environment,
            "HEADRACE_DATA_DIR": str(self.directory),
            "HEADRACE_GRPC_PORT": str(self.maintenance.port),
            "HEADRACE_METRICS_PORT": str(self.port),
            "HEADRACE_API_TOKEN": TOKEN,
            "HEADRACE_LOG_FORMAT": "json",
            "HEADRACE_PARTITIONS": "4",
            "HEADRACE_PROCESS": str(self.process_number),
            "HEADRACE_PROCESSES": str(self.processes),
            "PYTHONPATH": str(ROOT),
        }
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments], env=environment, stdout=output, stderr=output
            )
        eventually(self.counters, self.patience_s, self.tail)

    @property
    def log(self) -> Path:
        return self.directory / f"processor-{self.process_number}-of-{self.processes}.log"

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def counters(self) -> dict[str, Any]:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"the processor ended with {self.process.returncode}: {self.tail()}")
        try:
            url = f"http://127.0.0.1:{self.port}/counters"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return dict(json.loads(answer.read()))
        except OSError:
            return {}

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Return what Prometheus would read, by name without prefix and values of labels."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return {
                (
                    sample.name.removeprefix("headrace_stream_processor_"),
                    *sample.labels.values(),
                ): sample.value
                for family in families
                for sample in family.samples
            }

    def held(self) -> set[int]:
        """Return the partitions that this process works on."""
        return {
            int(key[1])
            for key, value in self.metrics().items()
            if key[0] == "partition_held" and value
        }

    def terminate(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture(scope="session")
def payloads() -> type[Payloads]:
    return Payloads


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def maintenance() -> Iterator[Maintenance]:
    service = Maintenance()
    service.start()
    yield service
    service.stop()


@pytest.fixture
def agent(broker: Broker) -> Iterator[Agent]:
    client = Agent(broker)
    yield client
    client.close()


@pytest.fixture
def agents(broker: Broker) -> Iterator[list[Agent]]:
    """Five agents, spread over the partitions of the log."""
    clients = [Agent(broker, SITE, f"gateway-{i}", f"P-{i}") for i in range(5)]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture
def processors(
    broker: Broker, maintenance: Maintenance, tmp_path: Path
) -> Iterator[Callable[[int], list[Processor]]]:
    """Start that many processors that share the partitions of the log."""
    started: list[Processor] = []

    def start(processes: int) -> list[Processor]:
        made = [
            Processor(broker, maintenance, tmp_path, process_number=i, processes=processes)
            for i in range(processes)
        ]
        for one in made:
            started.append(one)
            one.start()
        return made

    yield start
    for one in started:
        if one.process is not None and one.process.poll() is None:
            one.kill()


@pytest.fixture
def processor(broker: Broker, maintenance: Maintenance, tmp_path: Path) -> Iterator[Processor]:
    """A running processor whose one stage says an advisory a block."""
    running = Processor(broker, maintenance, tmp_path)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def real_processor(broker: Broker, maintenance: Maintenance, tmp_path: Path) -> Iterator[Processor]:
    """A running processor with the stages that it has in a plant."""
    running = Processor(broker, maintenance, tmp_path, ("-m", "stream_processor"))
    # The first one on a machine compiles its kernels.
    running.patience_s = 400.0
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()


STATES = Path(__file__).with_name("states")


def _unpacked(value: Any) -> Any:
    """Return what `states/README.md` says a JSON value stands for."""
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"tuple": items}:
            return tuple(_unpacked(items))
        case {"dict": items}:
            return {_unpacked(key): _unpacked(item) for key, item in items}
        case {"bytes": text}:
            return base64.b64decode(text)
        case {"array": [dtype, shape, text]}:
            raw = zlib.decompress(base64.b64decode(text))
            return np.frombuffer(raw, dtype).reshape(shape).copy()
        case {"pickled": item}:
            return pickle.dumps(_unpacked(item), pickle.HIGHEST_PROTOCOL)
    return {key: _unpacked(item) for key, item in value.items()}


@pytest.fixture
def earlier_state() -> Callable[[str], Any]:
    """Read what earlier code wrote, by the name of its file."""
    return lambda name: _unpacked(json.loads((STATES / f"{name}.json").read_text()))
