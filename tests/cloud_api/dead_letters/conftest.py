"""Dead letters as the processor leaves them, and looks at what came of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pytest
from nats.js.errors import NotFoundError

from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from headrace.broker import Broker, free_port
from stream_processor.settings import Settings
from stream_processor.streams import configurations
from stream_processor.v1 import dead_letter_pb2 as dl
from stream_processor.v1.points_pb2 import Points, PointsBatch


def now_ms() -> int:
    return int(time.time() * 1000)


class Log:
    """The broker's log, written to and read as other processes do."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def _with(self, work: Callable[[Any], Any]) -> Any:
        async def connected() -> Any:
            client = await nats.connect(
                self._broker.nats_url, user=self._broker.user, password=self._broker.password
            )
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(connected())

    def make(self) -> None:
        """Make the streams as the processor would."""

        async def work(jetstream: Any) -> None:
            for configuration in configurations(Settings.from_environment({})):
                try:
                    await jetstream.stream_info(configuration.name)
                except NotFoundError:
                    await jetstream.add_stream(configuration)

        self._with(work)

    def set_aside(self, *letters: dl.DeadLetter) -> None:
        """Put dead letters where the processor puts them, and wait until the server knows them."""

        async def work(jetstream: Any) -> None:
            for letter in letters:
                _, site, _, node, *_ = f"{letter.topic}////".split("/")
                reason = dl.DeadLetterReason.Name(letter.reason)
                words = (reason.removeprefix("DEAD_LETTER_REASON_"), site or "_", node or "_")
                await jetstream.publish(
                    f"deadletter.{'.'.join(words)}".lower(), letter.SerializeToString()
                )
            deadline = time.monotonic() + 90
            while True:
                index = await jetstream.consumer_info("DEADLETTER", "dead_letters")
                if not index.num_pending and not index.num_ack_pending:
                    return
                assert time.monotonic() < deadline, index
                await asyncio.sleep(0.01)

        self._with(work)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish what a gateway would."""
        subject = ".".join(level.replace(".", "//") for level in topic.split("/"))
        self._with(lambda jetstream: jetstream.publish(subject, payload))

    def messages(self, stream: str, subject: str = ">") -> list[Any]:
        """Return what a stream holds on a subject, in order."""

        async def work(jetstream: Any) -> list[Any]:
            found = []
            info = await jetstream.stream_info(stream)
            for sequence in range(info.state.first_seq or 1, info.state.last_seq + 1):
                try:
                    message = await jetstream.get_msg(stream, sequence)
                except NotFoundError:
                    continue
                if subject == ">" or subject in message.subject:
                    found.append(message)
            return found

        return list(self._with(work))

    def replayed(self, letter: str) -> list[Any]:
        """Return the messages of the telemetry log that were a dead letter."""
        return [
            message
            for message in self.messages("TELEMETRY")
            if (message.headers or {}).get("Headrace-Replay") == letter
        ]

    def points(self, site: str) -> list[Points]:
        """Return the points of a site."""
        batches = [PointsBatch.FromString(m.data) for m in self.messages("POINTS")]
        return [p for batch in batches for p in batch.points if p.site == site]


@pytest.fixture(scope="session")
def log_of() -> Callable[[Broker], Log]:
    return Log


@pytest.fixture(scope="session")
def telemetry(server: Any) -> Log:
    """The log of the shared server, with the processor's streams."""
    log = Log(server.broker)
    log.make()
    return log


class Said:
    """What a pump's gateway says."""

    @staticmethod
    def node_birth() -> bytes:
        payload = Payload(timestamp=now_ms(), seq=0)
        payload.metrics.add(name="bdSeq", datatype=DataType.DATA_TYPE_INT64, long_value=0)
        payload.metrics.add(name="Headrace/Boot Epoch", datatype=8, long_value=1)
        payload.metrics.add(name="Headrace/First Batch", datatype=8, long_value=1)
        return payload.SerializeToString()

    @staticmethod
    def device_birth() -> bytes:
        payload = Payload(timestamp=now_ms())
        for name, alias, rate in (("Temperature", 4, 1.0), ("Pressure", 5, 1.0)):
            metric = payload.metrics.add(
                name=name, alias=alias, datatype=DataType.DATA_TYPE_DOUBLE_ARRAY
            )
            metric.properties.keys.append("sampleRate")
            metric.properties.values.add(type=10, double_value=rate)
        payload.metrics.add(
            name="Equipment/Class",
            datatype=DataType.DATA_TYPE_STRING,
            string_value="centrifugal_pump",
        )
        return payload.SerializeToString()

    @staticmethod
    def block(batch: int, samples: Sequence[float], start_ms: int) -> bytes:
        payload = Payload(timestamp=start_ms)
        payload.metrics.add(
            alias=4,
            timestamp=start_ms,
            bytes_value=np.asarray(samples, dtype="<f8").tobytes(),
        )
        payload.metrics.add(name="Headrace/Boot Epoch", datatype=8, long_value=1)
        payload.metrics.add(name="Headrace/Batch", datatype=8, long_value=batch)
        return payload.SerializeToString()


@pytest.fixture(scope="session")
def said() -> type[Said]:
    return Said


@pytest.fixture
def until() -> Callable[..., Any]:
    """Return what a look finds once it is true."""

    def wait(look: Callable[[], Any], seconds: float = 90.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, f"still {found!r} after {seconds:.0f} s"
            time.sleep(0.05)
        return found

    return wait


class Processor:
    """The stream processor beside a server."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.port = free_port()
        self._environment = {
            **os.environ,
            **server.broker.environment,
            "HEADRACE_DATA_DIR": str(directory),
            "HEADRACE_GRPC_PORT": str(server.grpc_port),
            "HEADRACE_API_TOKEN": server.token,
            "HEADRACE_METRICS_PORT": str(self.port),
            "HEADRACE_PARTITIONS": "1",
            "HEADRACE_LOG_FORMAT": "json",
        }
        self._log = directory / "processor.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream_processor"],
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + 120
        while True:
            assert self.process.poll() is None, self.tail()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counters", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < deadline, self.tail()
                time.sleep(0.05)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


@pytest.fixture
def processor_of(tmp_path: Path) -> Iterator[Callable[[Any], Processor]]:
    """Start a processor beside a server; it is gone after the test."""
    made: list[Processor] = []

    def start(server: Any) -> Processor:
        folder = tmp_path / "processor"
        folder.mkdir(exist_ok=True)
        made.append(Processor(server, folder))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.kill()
