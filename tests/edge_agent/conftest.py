"""An agent in a process of its own, and a cloud that hears and acknowledges it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import pytest

from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload
from headrace import gateway
from headrace.broker import Broker

HERE = Path(__file__).parent
SITE, NODE = "riverside", "gw-1"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Heard:
    """A message as the cloud got it."""

    kind: str
    device: str
    payload: Payload

    def metric(self, name: str) -> Metric:
        return next(m for m in self.payload.metrics if m.name == name)

    def value(self, name: str) -> int:
        return self.metric(name).long_value

    @property
    def key(self) -> tuple[int, int]:
        return self.value("Headrace/Boot Epoch"), self.value("Headrace/Batch")

    @property
    def historical(self) -> bool:
        marks = {m.is_historical for m in self.payload.metrics}
        assert len(marks) == 1
        return marks.pop()


@dataclass
class Cloud:
    """Hears all of a site; with `acknowledging` says what it has without a gap."""

    broker: Broker
    acknowledging: bool = False
    heard: list[Heard] = field(default_factory=list)
    numbers: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    said: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    client: aiomqtt.Client | None = None

    async def run(self) -> None:
        """Listen, and connect again whenever the broker went away, in a session that it keeps."""
        while True:
            try:
                async with aiomqtt.Client(
                    self.broker.host,
                    self.broker.mqtt_port,
                    username=self.broker.user,
                    password=self.broker.password,
                    identifier="cloud",
                    clean_session=False,
                ) as client:
                    await client.subscribe(f"spBv1.0/{SITE}/#", qos=1)
                    await self._become(client)
                    async for message in client.messages:
                        await self._take(str(message.topic), bytes(message.payload))
            except aiomqtt.MqttError:
                await self._become(None)
                await asyncio.sleep(0.1)

    async def _become(self, client: aiomqtt.Client | None) -> None:
        async with self.changed:
            self.client = client
            self.changed.notify_all()

    async def _take(self, topic: str, payload: bytes) -> None:
        _, _, kind, _, *device = topic.split("/")
        if kind == "NCMD":
            return
        message = Heard(kind, device[0] if device else "", Payload.FromString(payload))
        async with self.changed:
            self.heard.append(message)
            if kind in ("NDATA", "DDATA"):
                epoch, number = message.key
                self.numbers[epoch].add(number)
                if self.acknowledging:
                    await self.acknowledge_contiguous(epoch)
            self.changed.notify_all()

    async def acknowledge_contiguous(self, epoch: int) -> None:
        top = self.said[epoch]
        while top + 1 in self.numbers[epoch]:
            top += 1
        if top > self.said[epoch]:
            self.said[epoch] = top
            await self.acknowledge(epoch, top)

    async def acknowledge(self, epoch: int, number: int) -> None:
        await self.say(
            f"headrace/ack/{SITE}/{NODE}",
            Acknowledgement(boot_epoch=epoch, sequence=number).SerializeToString(),
            retain=True,
        )

    async def command(self, metric: Metric) -> None:
        await self.say(f"spBv1.0/{SITE}/NCMD/{NODE}", Payload(metrics=[metric]).SerializeToString())

    async def rebirth(self) -> None:
        await self.command(
            Metric(
                name="Node Control/Rebirth",
                datatype=DataType.DATA_TYPE_BOOLEAN,
                boolean_value=True,
            )
        )

    async def resend(self, epoch: int, first: int, last: int) -> None:
        await self.command(
            Metric(
                name="Node Control/Resend",
                datatype=DataType.DATA_TYPE_UINT64_ARRAY,
                bytes_value=np.array([epoch, first, last], "<u8").tobytes(),
            )
        )

    async def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        assert self.client is not None
        with contextlib.suppress(aiomqtt.MqttError):  # lost with the broker: said again later
            await self.client.publish(topic, payload, qos=1, retain=retain)

    async def until(self, enough: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: bool(enough()))

    def of(self, kind: str) -> list[Heard]:
        return [h for h in self.heard if h.kind == kind]

    def data(self, epoch: int | None = None) -> list[Heard]:
        return [h for h in self.of("DDATA") if epoch is None or h.key[0] == epoch]


@pytest.fixture
async def cloud(broker: Broker) -> AsyncIterator[Cloud]:
    """A cloud that listens already."""
    cloud = Cloud(broker)
    task = asyncio.create_task(cloud.run())
    await cloud.until(lambda: cloud.client)
    yield cloud
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@dataclass
class Agent:
    """An agent's process."""

    process: subprocess.Popen[str]
    log: Path

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.to_thread(self.process.wait, PATIENCE_S)

    async def kill(self) -> None:
        self.process.kill()
        await self.wait()

    def output(self) -> str:
        """Return what it printed, once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.read()


@dataclass
class Agents:
    """Starts agents of one node on one data directory."""

    folder: Path
    broker: Broker
    running: list[Agent] = field(default_factory=list)

    def start(
        self,
        *arguments: str,
        pace_hz: float = 0.0,
        lines: str = "",
        tables: str = "",
        factory: str = "counting_driver:create",
        **options: Any,
    ) -> Agent:
        file = gateway.write(
            self.folder / "gateway.toml",
            SITE,
            NODE,
            "plugin",
            options,
            factory=factory,
            pace_hz=pace_hz,
        )
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{lines}\n{text}\n{tables}", encoding="utf-8")
        log = self.folder / f"agent-{len(self.running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", str(file), *arguments],
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={
                    **os.environ,
                    **self.broker.environment,
                    "HEADRACE_DATA_DIR": str(self.folder / "data"),
                    "HEADRACE_LOG_FORMAT": "json",
                    "PYTHONPATH": str(HERE),
                },
            )
        self.running.append(Agent(process, log))
        return self.running[-1]

    @property
    def spool(self) -> Path:
        return self.folder / "data" / "edge" / SITE / f"{NODE}.spool"


@pytest.fixture
def agents(tmp_path: Path, broker: Broker) -> Iterator[Agents]:
    """A place to start agents in; all are gone after the test."""
    agents = Agents(tmp_path, broker)
    yield agents
    for agent in agents.running:
        agent.process.kill()
        agent.process.wait()
        if agent.process.stdout is not None:
            agent.process.stdout.close()
