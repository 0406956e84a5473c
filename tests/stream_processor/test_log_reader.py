from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from headrace.broker import Broker
from stream_processor.log_reader import LogReader, Position
from stream_processor.messages import Message
from stream_processor.settings import Settings
from stream_processor.streams import TELEMETRY, ensure, partition_of

PARTITIONS = 5


@pytest.fixture
def settings(broker: Broker, tmp_path: Path) -> Settings:
    return Settings.from_environment(
        {
            **broker.environment,
            "HEADRACE_DATA_DIR": str(tmp_path),
            "HEADRACE_PARTITIONS": str(PARTITIONS),
        }
    )


class Log:
    """Write to the log as an agent would, seen from NATS."""

    def __init__(self, broker: Broker, settings: Settings) -> None:
        self.broker, self.settings = broker, settings

    def do(self, what: Any) -> Any:
        async def run() -> Any:
            connection = await nats.connect(
                self.broker.nats_url, user=self.broker.user, password=self.broker.password
            )
            try:
                return await what(connection.jetstream())
            finally:
                await connection.close()

        return asyncio.run(run())

    def ensure(self) -> None:
        self.do(lambda jetstream: ensure(jetstream, self.settings))

    def write(self, *messages: tuple[str, bytes]) -> None:
        async def run(jetstream: Any) -> None:
            for subject, payload in messages:
                await jetstream.publish(subject, payload)

        self.do(run)


@pytest.fixture
def log(broker: Broker, settings: Settings) -> Log:
    made = Log(broker, settings)
    made.ensure()
    return made


@pytest.fixture
def readers(settings: Settings) -> Iterator[Any]:
    started: list[LogReader] = []

    def start(partition: int, position: Position | None = None) -> LogReader:
        started.append(LogReader(settings, partition, position))
        return started[-1]

    yield start
    for reader in started:
        reader.stop()


def take(reader: LogReader, count: int, wait_until: Any) -> tuple[list[Message], Position]:
    found: list[Message] = []
    last: list[Position] = []

    def look() -> bool:
        messages, position = reader.take(7)
        found.extend(messages)
        if position is not None:
            last.append(position)
        return len(found) >= count

    wait_until(look, 30)
    return found, last[-1]


def test_every_message_of_a_node_is_read_once_in_order_by_one_partition(
    log: Log, readers: Any, wait_until: Any
) -> None:
    nodes = [f"gateway-{i}" for i in range(12)]
    for node in nodes:
        log.write(
            (f"spBv1//0.north.NBIRTH.{node}", b"1"),
            (f"spBv1//0.north.DBIRTH.{node}.P-1", b"2"),
            (f"spBv1//0.north.DDATA.{node}.P-1", b"3"),
            (f"spBv1//0.north.NDATA.{node}", b"4"),
        )
    read = []
    for partition in range(PARTITIONS):
        mine = [n for n in nodes if partition_of("north", n, PARTITIONS) == partition]
        if mine:
            messages, _ = take(readers(partition), 4 * len(mine), wait_until)
            assert {m.levels[2] for m in messages} == set(mine)
            read += messages
    for node in nodes:
        of_node = [m for m in read if m.levels[2] == node]
        assert b"".join(m.payload for m in of_node) == b"1234"
    assert {m.topic for m in read if m.levels[2] == "gateway-3"} == {
        "spBv1.0/north/NBIRTH/gateway-3",
        "spBv1.0/north/DBIRTH/gateway-3/P-1",
        "spBv1.0/north/DDATA/gateway-3/P-1",
        "spBv1.0/north/NDATA/gateway-3",
    }


def test_reading_goes_on_at_the_position_and_over_a_kill_of_the_broker(
    log: Log, broker: Broker, readers: Any, wait_until: Any
) -> None:
    partition = partition_of("s", "n", PARTITIONS)
    subject = "spBv1//0.s.DDATA.n.e"
    log.write(*((subject, b"%d" % i) for i in range(600)))
    reader = readers(partition)
    messages, position = take(reader, 600, wait_until)
    assert [m.payload for m in messages] == [b"%d" % i for i in range(600)]
    broker.kill()
    broker.start()
    log.write(*((subject, b"%d" % i) for i in range(600, 610)))
    more, _ = take(reader, 10, wait_until)
    assert [m.payload for m in more] == [b"%d" % i for i in range(600, 610)]
    again, _ = take(readers(partition, position), 10, wait_until)
    assert [m.payload for m in again] == [m.payload for m in more]


def test_a_log_that_was_made_anew_is_read_from_its_start(
    log: Log, readers: Any, wait_until: Any
) -> None:
    partition = partition_of("s", "n", PARTITIONS)
    subject = "spBv1//0.s.DDATA.n.e"
    log.write((subject, b"old"), (subject, b"older"))
    _, position = take(readers(partition), 2, wait_until)
    assert position.sequence == 2
    log.do(lambda jetstream: jetstream.delete_stream(TELEMETRY))
    log.ensure()
    log.write((subject, b"new"))
    messages, _ = take(readers(partition, position), 1, wait_until)
    assert [m.payload for m in messages] == [b"new"]


def test_streams_are_made_once_and_keep_what_they_hold(log: Log) -> None:
    log.write(("spBv1//0.s.DDATA.n.e", b"x"))
    log.ensure()
    info = log.do(lambda jetstream: jetstream.stream_info(TELEMETRY))
    assert info.state.messages == 1
    assert info.config.max_age == 168 * 3600
