"""A real agent and a real host on a real broker, with a tap on the wire between them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.v1 import report_pb2
from edge_agent.v1 import sparkplug_b_pb2 as pb
from headrace.broker import Broker

HERE = Path(__file__).parent
SITE, NODE = "riverside", "gw-1"
HOST = "control-room"
PATIENCE_S = 60.0

GATEWAY = """
site = "riverside"
edge_node = "gw-1"
health_interval_s = 0.5

[sparkplug]
qos = 0
primary_host_id = "{primary}"

[[drivers]]
kind = "plugin"
factory = "scripted_driver:create"
options = {{ machines = ["M-1", "M-2"], period_s = 0.02 }}

[[writes]]
device = "M-1"
name = "Speed"
minimum = 0
maximum = 3000
max_step = 1000

[[writes]]
device = "M-1"
name = "Recipe"
kind = "text"
allowed = ["plain", "spoilt"]
confirm = true

[[writes]]
device = "M-2"
name = "Link"
kind = "boolean"
"""


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


mqtt_wire = _load("mqtt_wire")


@dataclass(frozen=True)
class Said:
    """A Sparkplug message."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    connection: int = 0

    @property
    def levels(self) -> list[str]:
        return self.topic.split("/")

    @property
    def kind(self) -> str:
        return self.levels[2] if len(self.levels) > 3 else self.levels[1]

    @property
    def device(self) -> str:
        return self.levels[4] if len(self.levels) > 4 else ""

    @property
    def message(self) -> pb.Payload:
        return pb.Payload.FromString(self.payload)

    @property
    def json(self) -> Any:
        return json.loads(self.payload)

    def metric(self, name: str) -> pb.Metric:
        return next(m for m in self.message.metrics if m.name == name)


@dataclass
class Observer:
    """A client of its own that hears everything, also what the broker says for the dead."""

    broker: Broker
    heard: list[Said] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        ready = threading.Event()
        self.client = client = paho.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(self.broker.user, self.broker.password)
        client.on_message = self._take
        client.on_subscribe = lambda *_: ready.set()
        client.connect(self.broker.host, self.broker.mqtt_port)
        client.subscribe([("spBv1.0/#", 1), ("headrace/#", 1)])
        client.loop_start()
        assert ready.wait(PATIENCE_S)

    def _take(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        with self.changed:
            self.heard.append(Said(message.topic, message.payload, message.qos, message.retain))
            self.changed.notify_all()

    def until(self, enough: Callable[[], object]) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: bool(enough()), PATIENCE_S):
                raise AssertionError(f"did not come; the last were {self.heard[-5:]}")

    def of(self, kind: str) -> list[Said]:
        return [s for s in list(self.heard) if s.topic.startswith("spBv1.0/") and s.kind == kind]

    def outcomes(self) -> list[report_pb2.CommandOutcome]:
        return [
            report_pb2.CommandOutcome.FromString(s.payload)
            for s in list(self.heard)
            if s.topic == f"headrace/outcome/{SITE}/{NODE}"
        ]

    def say(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(PATIENCE_S)

    def command(
        self, device: str = "", id: str = "", timestamp: int | None = None, **values: Any
    ) -> None:
        """Publish an NCMD or DCMD; underscores in names are spaces."""
        now = time.time_ns() // 1_000_000 if timestamp is None else timestamp
        payload = pb.Payload(timestamp=now)
        if id:
            values |= {"Headrace/Command Id": id}
        for name, value in values.items():
            metric = payload.metrics.add(name=name.replace("_", " "), timestamp=now)
            match value:
                case bool():
                    metric.datatype, metric.boolean_value = pb.DATA_TYPE_BOOLEAN, value
                case int() | float():
                    metric.datatype, metric.double_value = pb.DATA_TYPE_DOUBLE, value
                case str():
                    metric.datatype, metric.string_value = pb.DATA_TYPE_STRING, value
        where = f"DCMD/{NODE}/{device}" if device else f"NCMD/{NODE}"
        self.say(f"spBv1.0/{SITE}/{where}", payload.SerializeToString())

    def state(self, online: bool, timestamp: int, host: str = HOST) -> None:
        said = json.dumps({"online": online, "timestamp": timestamp}).encode()
        self.say(f"spBv1.0/STATE/{host}", said, qos=1, retain=True)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@dataclass
class Plant:
    """A broker, a tap before it, an observer behind it, and agents on one data directory."""

    folder: Path
    primary: str = ""
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.broker = Broker(self.folder / "broker")
        self.broker.start()
        self.tap = mqtt_wire.Tap(self.broker.mqtt_port)
        self.observer = Observer(self.broker)

    def start(self) -> subprocess.Popen[bytes]:
        file = self.folder / "gateway.toml"
        file.write_text(GATEWAY.format(primary=self.primary), encoding="utf-8")
        with self.log.open("ab") as output:
            agent = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", str(file)],
                stdout=output,
                stderr=output,
                env={
                    **os.environ,
                    **self.broker.environment,
                    "HEADRACE_MQTT_PORT": str(self.tap.port),
                    "HEADRACE_DATA_DIR": str(self.folder / "data"),
                    "HEADRACE_LOG_FORMAT": "json",
                    "PYTHONPATH": str(HERE),
                },
            )
        self.agents.append(agent)
        return agent

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"

    def audit(self) -> list[dict[str, Any]]:
        """Return the audit records of the agents' log."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [r for r in map(json.loads, lines) if r.get("audit")]

    @property
    def wire(self) -> list[Said]:
        """What the agents published of Sparkplug, as it went over the wire."""
        return [
            Said(p.topic, p.payload, p.qos, p.retain, p.connection)
            for p in list(self.tap.packets)
            if p.kind == "PUBLISH" and p.from_client and p.topic.startswith("spBv1.0/")
        ]

    def of(self, *kinds: str) -> list[Said]:
        return [s for s in self.wire if s.kind in kinds]

    def packets(self, kind: str) -> list[Any]:
        return [p for p in list(self.tap.packets) if p.kind == kind and p.from_client]

    def until(self, enough: Callable[[], object]) -> None:
        self.tap.until(enough, PATIENCE_S)

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()
            agent.wait()
        self.observer.close()
        self.tap.close()
        self.broker.stop()


@pytest.fixture(scope="session")
def host_id() -> str:
    return HOST


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Plant]]:
    """Make plants; all are gone after the module."""
    made: list[Plant] = []

    def make(**options: Any) -> Plant:
        made.append(Plant(tmp_path_factory.mktemp("plant"), **options))
        return made[-1]

    yield make
    for plant in made:
        plant.close()
