"""A log that tests write to as agents would, and the command that reads it again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pytest
from nats.js import JetStreamContext
from typer.testing import CliRunner, Result

from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from headrace.broker import Broker
from headrace.cli import app
from stream_processor.settings import Settings
from stream_processor.streams import TELEMETRY, ensure

START_MS = 1_767_571_200_000
LONG = DataType.DATA_TYPE_UINT64
RULES = """equipment_class = "test_rig"
version = {version}
{mode}
[channels.Heat]
unit = "degC"
[[rules]]
id = "hot"
kind = "threshold"
watch = "Heat"
above = {above}
clears_below = {below}
on_delay_s = 1
off_delay_s = 1
severity = "high"
summary = "it is hot"
"""


def rules(version: int = 1, above: float = 80.0, below: float = 70.0, mode: str = "") -> str:
    """Return a rule file for the class of the machines here."""
    return RULES.format(version=version, above=above, below=below, mode=mode)


def node_birth(boot_epoch: int, first_batch: int) -> bytes:
    payload = Payload(timestamp=START_MS, seq=0)
    payload.metrics.add(name="bdSeq", datatype=LONG, long_value=boot_epoch)
    payload.metrics.add(name="Headrace/Boot Epoch", datatype=LONG, long_value=boot_epoch)
    payload.metrics.add(name="Headrace/First Batch", datatype=LONG, long_value=first_batch)
    return payload.SerializeToString()


def device_birth(alias: int = 1) -> bytes:
    payload = Payload(timestamp=START_MS)
    heat = payload.metrics.add(name="Heat", alias=alias, datatype=DataType.DATA_TYPE_DOUBLE_ARRAY)
    for key, value in (("engUnit", "degC"), ("quantity", "temperature")):
        heat.properties.keys.append(key)
        heat.properties.values.add(type=12, string_value=value)
    heat.properties.keys.append("sampleRate")
    heat.properties.values.add(type=10, double_value=1.0)
    for name, said in (("Class", "test_rig"), ("Path", "a/b"), ("Clock", "simulated")):
        payload.metrics.add(name=f"Equipment/{name}", datatype=12, string_value=said)
    return payload.SerializeToString()


def reading(heat: float, boot_epoch: int, batch: int, second: int) -> bytes:
    time_ms = START_MS + second * 1000
    payload = Payload(timestamp=time_ms)
    payload.metrics.add(
        alias=1,
        timestamp=time_ms,
        datatype=DataType.DATA_TYPE_DOUBLE_ARRAY,
        bytes_value=np.array([heat], "<f8").tobytes(),
    )
    payload.metrics.add(name="Headrace/Boot Epoch", datatype=LONG, long_value=boot_epoch)
    payload.metrics.add(name="Headrace/Batch", datatype=LONG, long_value=batch)
    return payload.SerializeToString()


@dataclass
class Log:
    """The telemetry log; `send` writes what machines measured, a reading a second of event time."""

    broker: Broker
    batches: dict[str, int] = field(default_factory=dict)
    boot_epoch: int = 1

    def do(self, what: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            connection = await nats.connect(
                self.broker.nats_url, user=self.broker.user, password=self.broker.password
            )
            try:
                return await what(connection.jetstream())
            finally:
                await connection.close()

        return asyncio.run(run())

    def write(self, *messages: tuple[str, bytes]) -> None:
        async def run(jetstream: JetStreamContext) -> None:
            for subject, payload in messages:
                await jetstream.publish(subject, payload)

        self.do(run)

    def births(self, machine: str = "R-1", node: str = "gw-1", site: str = "riverside") -> None:
        first = self.batches.get(node, 0) + 1
        self.write(
            (f"spBv1//0.{site}.NBIRTH.{node}", node_birth(self.boot_epoch, first)),
            (f"spBv1//0.{site}.DBIRTH.{node}.{machine}", device_birth()),
        )

    def send(
        self, *heats: float, machine: str = "R-1", node: str = "gw-1", site: str = "riverside"
    ) -> None:
        messages = []
        for heat in heats:
            batch = self.batches[node] = self.batches.get(node, 0) + 1
            payload = reading(heat, self.boot_epoch, batch, batch)
            messages.append((f"spBv1//0.{site}.DDATA.{node}.{machine}", payload))
        self.write(*messages)

    def place(self) -> str:
        """Return a time between what was written and what will be."""

        async def last(jetstream: JetStreamContext) -> datetime:
            state = (await jetstream.stream_info(TELEMETRY)).state
            message = await jetstream.get_msg(TELEMETRY, state.last_seq)
            assert message.time is not None
            return message.time

        stored_ms = int(self.do(last).timestamp() * 1000)
        while time.time() * 1000 <= stored_ms + 2:
            time.sleep(0.001)
        return datetime.fromtimestamp((stored_ms + 1) / 1000, UTC).isoformat()

    def begin(self) -> str:
        """Return when the first message that is left was stored, to the millisecond."""

        async def first(jetstream: JetStreamContext) -> datetime:
            state = (await jetstream.stream_info(TELEMETRY)).state
            message = await jetstream.get_msg(TELEMETRY, state.first_seq)
            assert message.time is not None
            return message.time

        stored_ms = int(self.do(first).timestamp() * 1000)
        return datetime.fromtimestamp(stored_ms / 1000, UTC).isoformat()

    def forget(self, keep: int) -> None:
        """Let the log forget all but its last messages."""
        self.do(lambda jetstream: jetstream.purge_stream(TELEMETRY, keep=keep))


@pytest.fixture
def log(broker: Broker, tmp_path: Path) -> Log:
    made = Log(broker)
    settings = Settings.from_environment(broker.environment)
    made.do(lambda jetstream: ensure(jetstream, settings))
    return made


@dataclass
class Backfill:
    """The command `headrace stream backfill`; a text of rules is given as a file."""

    folder: Path

    def __call__(self, *options: str, text: str = "") -> Result:
        given = list(options)
        if text:
            path = self.folder / "tried.toml"
            path.write_text(text, encoding="utf-8")
            given += ["--rules", str(path)]
        return CliRunner().invoke(app, ["stream", "backfill", *given])

    def document(self, *options: str, text: str = "") -> dict[str, Any]:
        found = self(*options, "--json", text=text)
        assert found.exit_code == 0, found.output
        return dict(json.loads(found.stdout))


@pytest.fixture
def backfill(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backfill:
    for name, value in broker.environment.items():
        monkeypatch.setenv(name, value)
    return Backfill(tmp_path)


@pytest.fixture
def file() -> Callable[..., str]:
    return rules


@pytest.fixture
def births() -> Callable[..., tuple[bytes, bytes]]:
    """Return a node's birth and its machine's."""
    return lambda boot_epoch=1, first=1, alias=1: (
        node_birth(boot_epoch, first),
        device_birth(alias),
    )


@pytest.fixture
def measured() -> Callable[..., bytes]:
    """Return a reading's payload of heat, boot epoch, batch and second of event time."""
    return reading
