"""An agent that can be killed, and a cloud that reads the real log and acknowledges what it has."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import nats
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from headrace import gateway
from headrace.broker import Broker
from stream_processor import sparkplug, streams
from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.log_reader import LogReader
from stream_processor.messages import Mark, Resend, SetAside
from stream_processor.settings import Settings

HERE = Path(__file__).parent
SITE, NODE = "riverside", "gw-1"
FULL = os.environ.get("HEADRACE_FAULTS") == "full"


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether the runs are to be as long as they are meant; `HEADRACE_FAULTS=full`."""
    return FULL


@dataclass
class Cloud:
    """The processor's acquisition over the log, with acknowledgements, resends and rebirths.

    What it makes of the log is as good as durable here: nothing of it is ever killed.
    """

    broker: Broker
    folder: Path
    # Equipment, boot epoch, batch, event time, first sample, time received, historical.
    frames: list[tuple[str, int, int, int, float, int, bool]] = field(default_factory=list)
    aside: Counter[str] = field(default_factory=Counter)
    asked: list[Resend] = field(default_factory=list)
    acquisition: Acquisition = field(default_factory=Acquisition)

    def __post_init__(self) -> None:
        self.settings = Settings.from_environment(
            {
                **self.broker.environment,
                "HEADRACE_DATA_DIR": str(self.folder),
                "HEADRACE_PARTITIONS": "1",
                "HEADRACE_API_TOKEN": "none",
            }
        )
        asyncio.run(self._make_streams())
        self._mqtt = paho.Client(CallbackAPIVersion.VERSION2)
        self._mqtt.username_pw_set(self.broker.user, self.broker.password)
        self._mqtt.reconnect_delay_set(1, 1)
        self._mqtt.connect(self.broker.host, self.broker.mqtt_port)
        self._mqtt.loop_start()
        self._reader = LogReader(self.settings, 0, None)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    async def _make_streams(self) -> None:
        connection = await nats.connect(
            self.broker.nats_url, user=self.broker.user, password=self.broker.password
        )
        try:
            await streams.ensure(connection.jetstream(), self.settings)
        finally:
            await connection.close()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(0.01):
                self._read()
        except BaseException as error:
            self._failure = error
            raise

    def _read(self) -> None:
        now = time.time()
        messages, _ = self._reader.take(512)
        found: list[Any] = []
        for message in messages:
            for item in self.acquisition.update(message, now):
                found.append(item)
                if isinstance(item, Frame):
                    first = float(next(iter(item.samples.values()))[0])
                    self.frames.append(
                        (
                            item.info.equipment,
                            item.boot_epoch,
                            item.batch,
                            item.start_time_ms,
                            first,
                            message.received_ms,
                            item.is_historical,
                        )
                    )
        found += self.acquisition.tick(now)
        for item in found:
            if isinstance(item, SetAside):
                self.aside[item.reason] += 1
            elif not isinstance(item, Frame):
                self._command(item)
        for mark in self.acquisition.marks():
            self._acknowledge(mark)

    def _command(self, item: Any) -> None:
        stamp = int(time.time() * 1000)
        if isinstance(item, Resend):
            self.asked.append(item)
            payload = sparkplug.resend_command(stamp, item.boot_epoch, item.first, item.last)
        else:
            payload = sparkplug.rebirth_command(stamp)
        self._mqtt.publish(f"spBv1.0/{SITE}/NCMD/{NODE}", payload, qos=1)

    def _acknowledge(self, mark: Mark) -> None:
        said = Acknowledgement(boot_epoch=mark.boot_epoch, sequence=mark.batch)
        topic = f"headrace/ack/{SITE}/{NODE}"
        self._mqtt.publish(topic, said.SerializeToString(), qos=1, retain=True)

    @property
    def counts(self) -> Counter[str]:
        return self.acquisition.counts

    def until(self, condition: Callable[[], Any], seconds: float = 120.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert self._failure is None, self._failure
            assert time.monotonic() < deadline, (dict(self.counts), self.aside)
            time.sleep(0.02)
        return found

    def check_order(self) -> int:
        """Check that every frame came once, in order and as it was made; return how many tags."""
        assert len({frame[:3] for frame in self.frames}) == len(self.frames), "a batch came twice"
        machines: dict[str, list[tuple[int, int, int, float]]] = defaultdict(list)
        for equipment, epoch, batch, start_ms, value, _, _ in self.frames:
            machines[equipment].append((epoch, batch, start_ms, value))
        for came in machines.values():
            assert all(a[:2] < b[:2] for a, b in pairwise(came)), "out of order"
            assert all(a[2] < b[2] for a, b in pairwise(came) if a[0] == b[0]), "time went back"
            assert all((start - 1_767_592_800_000) / 1000 == value for _, _, start, value in came)
        return len(machines)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._reader.stop()
        self._mqtt.disconnect()
        self._mqtt.loop_stop()


@pytest.fixture
def cloud(broker: Broker, tmp_path: Path) -> Iterator[Cloud]:
    running = Cloud(broker, tmp_path / "cloud")
    yield running
    running.stop()


@dataclass
class Gateway:
    """One edge node whose agent may be started any number of times on one data directory."""

    folder: Path
    broker: Broker
    data: Path
    process: subprocess.Popen[str] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    starts: int = 0

    def start(self, *arguments: str, lines: str = "", spool: str = "", **options: Any) -> None:
        file = gateway.write(
            self.folder / "gateway.toml",
            SITE,
            NODE,
            "plugin",
            options,
            factory="tags_driver:create",
        )
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{lines}\n{text}\n[spool]\n{spool}\n", encoding="utf-8")
        self.starts += 1
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "agent_under_test.py"), str(file), *arguments],
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={
                    **os.environ,
                    **self.broker.environment,
                    "HEADRACE_DATA_DIR": str(self.data),
                    "HEADRACE_LOG_FORMAT": "json",
                    "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
                    **self.environment,
                },
            )

    @property
    def log(self) -> Path:
        return self.folder / f"agent-{self.starts}.log"

    @property
    def spool(self) -> Path:
        return self.data / "edge" / SITE / f"{NODE}.spool"

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the log's entries of an event, of the running agent."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry.get("event") == event]

    def in_spool(self) -> dict[int, set[int]]:
        """Return the numbers of batches by boot epoch, as a power cut would leave them now."""
        copy = self.folder / "copy.spool"
        for suffix in ("", "-wal"):
            target = copy.with_name(copy.name + suffix)
            target.unlink(missing_ok=True)
            source = self.spool.with_name(self.spool.name + suffix)
            if source.exists():
                shutil.copy(source, target)
        database = sqlite3.connect(copy)
        try:
            found: dict[int, set[int]] = defaultdict(set)
            for epoch, number in database.execute(
                "SELECT boot_epoch, id & ((1 << 40) - 1) FROM batch JOIN boot ON id >> 40 = ordinal"
            ):
                found[epoch].add(number)
            return found
        finally:
            database.close()

    def wait(self, seconds: float = 240) -> dict[str, int]:
        """Wait until an agent started with `--until-drained` ended; return its counts."""
        assert self.process is not None
        assert self.process.wait(seconds) == 0, self.log.read_text()[-3000:]
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.read()))

    def peak_mib(self) -> float:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None


@pytest.fixture
def edge(broker: Broker, tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path, broker, tmp_path / "data")
    yield gateway
    gateway.kill()
