"""From the log to the historian."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import numpy as np
import pytest
from nats.js import JetStreamContext

from cloud_api.historian import Historian, HistorianError, SeriesBlock, WaveformRecord
from cloud_api.historian.duckdb import DuckDBHistorian
from cloud_api.points_consumer import PointsConsumer
from cloud_api.streams import ensure_streams
from headrace.broker import Broker
from stream_processor.v1.dead_letter_pb2 import DEAD_LETTER_REASON_UNDECODABLE, DeadLetter
from stream_processor.v1.points_pb2 import Points, PointsBatch

START = 1_767_225_600_000


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[DuckDBHistorian]:
    store = DuckDBHistorian(tmp_path / "historian.duckdb")
    yield store
    store.close()


@pytest.fixture
async def jetstream(broker: Broker) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    context = client.jetstream()
    await ensure_streams(context)
    yield context
    await client.close()


def message(second: int, value: float) -> bytes:
    points = Points(site="plant", equipment="P-101")
    points.series.add(name="health", unit="1", time_ms=[START + 1000 * second], value=[value])
    return points.SerializeToString()


@asynccontextmanager
async def running(consumer: PointsConsumer) -> AsyncIterator[None]:
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)


async def drained(jetstream: JetStreamContext) -> None:
    """Wait until every message is acknowledged."""
    async with asyncio.timeout(30):
        while True:
            info = await jetstream.consumer_info("POINTS", "historian")
            if info.num_pending == 0 and info.num_ack_pending == 0:
                return
            await asyncio.sleep(0.02)


def health(historian: Historian) -> list[float]:
    return historian.query("plant", "P-101", "health", START, START + 10**7, 9999).value.tolist()


async def test_every_point_is_kept_over_restarts(
    jetstream: JetStreamContext, historian: DuckDBHistorian
) -> None:
    kept = 0
    for part in range(3):
        for second in range(part * 40, part * 40 + 40):
            await jetstream.publish("points.plant.P-101", message(second, float(second)))
        async with running(PointsConsumer(jetstream, historian)):
            kept += 40
            await until(lambda kept=kept: len(health(historian)) == kept)  # type: ignore[misc]
            await drained(jetstream)
    assert health(historian) == [float(second) for second in range(120)]


async def test_all_of_a_message_is_kept(
    jetstream: JetStreamContext, historian: DuckDBHistorian
) -> None:
    samples = np.arange(100, dtype="<f4")
    points = Points(site="plant", equipment="P-101")
    points.aggregates.add(
        channel="Vibration",
        unit="m/s2",
        time_ms=[START, START + 1000],
        mean=[0.0, float("nan")],
        minimum=[-2.0, float("nan")],
        maximum=[3.0, float("nan")],
        count=[3200, 0],
        coverage=[0.5, 0.0],
        interval_ms=1000,
    )
    points.waveforms.add(
        waveform_id="w1",
        channel="Vibration",
        unit="m/s2",
        start_time_ms=START,
        sample_rate_hz=3200,
        samples=samples.tobytes(),
    )
    await jetstream.publish("points.plant.P-101", points.SerializeToString())
    async with running(PointsConsumer(jetstream, historian)):
        await until(lambda: historian.waveform("w1") is not None)
    trend = historian.query("plant", "P-101", "Vibration", START, START + 9999, 10)
    assert (trend.minimum.tolist(), trend.maximum.tolist()) == ([-2.0], [3.0])
    assert trend.coverage.tolist() == [0.5]
    kept = historian.waveform("w1")
    assert kept is not None
    assert kept.samples.tolist() == samples.tolist()


class Refusing:
    """A historian whose disk is full until it is emptied."""

    def __init__(self, inner: DuckDBHistorian) -> None:
        self.inner = inner
        self.full = True
        self.refused = 0

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        if self.full:
            self.refused += 1
            raise HistorianError("the disk is full")
        self.inner.write(blocks, waveforms)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


class Recording:
    """A historian that remembers how much came at once."""

    def __init__(self, inner: DuckDBHistorian) -> None:
        self.inner = inner
        self.sizes: list[int] = []

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        self.sizes.append(len(blocks))
        self.inner.write(blocks, waveforms)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


async def test_what_waits_is_kept_in_batches_of_a_bounded_size(
    jetstream: JetStreamContext, historian: DuckDBHistorian
) -> None:
    for second in range(600):
        await jetstream.publish("points.plant.P-101", message(second, float(second)))
    recording = Recording(historian)
    async with running(PointsConsumer(jetstream, recording)):  # type: ignore[arg-type]
        await until(lambda: len(health(historian)) == 600)
        await drained(jetstream)
    assert max(recording.sizes) <= 512
    assert len(recording.sizes) < 600


async def test_nothing_is_acknowledged_before_it_is_durable(
    jetstream: JetStreamContext, historian: DuckDBHistorian
) -> None:
    await jetstream.publish("points.plant.P-101", message(1, 0.5))
    refusing = Refusing(historian)
    async with running(PointsConsumer(jetstream, refusing)):  # type: ignore[arg-type]
        await until(lambda: refusing.refused > 0)
        info = await jetstream.consumer_info("POINTS", "historian")
        assert info.num_ack_pending == 1
        refusing.full = False
        await until(lambda: health(historian) == [0.5])
        await drained(jetstream)


async def test_what_cannot_be_read_is_set_aside_and_stops_nothing(
    jetstream: JetStreamContext, historian: DuckDBHistorian
) -> None:
    uneven = Points(site="plant", equipment="P-101")
    uneven.series.add(name="health", time_ms=[1, 2], value=[1.0])
    for data in (b"\xff\xff not points", uneven.SerializeToString(), message(1, 0.5)):
        await jetstream.publish("points.plant.P-101", data)
    async with running(PointsConsumer(jetstream, historian)):
        await until(lambda: health(historian) == [0.5])
        await drained(jetstream)
    assert (await jetstream.stream_info("DEADLETTER")).state.messages == 2
    letter = DeadLetter.FromString((await jetstream.get_msg("DEADLETTER", 1)).data or b"")
    assert letter.reason == DEAD_LETTER_REASON_UNDECODABLE
    assert letter.payload == b"\xff\xff not points"
    assert letter.topic == "points.plant.P-101"
    letter = DeadLetter.FromString((await jetstream.get_msg("DEADLETTER", 2)).data or b"")
    assert "'health'" in letter.detail


async def test_points_that_came_together_are_kept_each_by_itself(
    jetstream: JetStreamContext, historian: DuckDBHistorian
) -> None:
    uneven = Points(site="plant", equipment="F-201")
    uneven.series.add(name="health", time_ms=[1, 2], value=[1.0])
    good = [Points.FromString(message(second, second / 10)) for second in (1, 2)]
    batch = PointsBatch(points=[good[0], uneven, good[1]])
    await jetstream.publish("points.plant", batch.SerializeToString())
    async with running(PointsConsumer(jetstream, historian)):
        await until(lambda: health(historian) == [0.1, 0.2])
        await drained(jetstream)
    assert (await jetstream.stream_info("DEADLETTER")).state.messages == 1
    letter = DeadLetter.FromString((await jetstream.get_msg("DEADLETTER", 1)).data or b"")
    assert letter.topic == "points.plant.F-201"
    assert Points.FromString(letter.payload) == uneven


async def test_a_broker_that_went_away_is_waited_for(
    jetstream: JetStreamContext, historian: DuckDBHistorian, broker: Broker
) -> None:
    async with running(PointsConsumer(jetstream, historian)):
        await jetstream.publish("points.plant.P-101", message(1, 0.5))
        await until(lambda: health(historian) == [0.5])
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        async with asyncio.timeout(30):
            while True:
                try:
                    await jetstream.publish("points.plant.P-101", message(2, 0.4), timeout=1)
                    break
                except (nats.errors.Error, OSError):
                    await asyncio.sleep(0.1)
        await until(lambda: health(historian) == [0.5, 0.4])
