"""From the log to the historian: in batches, acknowledged when they are durable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import nats.errors
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from cloud_api import points
from cloud_api.counters import (
    HISTORIAN_BATCH_MESSAGES,
    HISTORIAN_FAILURES,
    HISTORIAN_WRITE_SECONDS,
    POINTS_MESSAGES,
    POINTS_REJECTED,
)
from cloud_api.historian import Historian, HistorianError, SeriesBlock, WaveformRecord
from cloud_api.historian_usage import show
from cloud_api.streams import POINTS
from stream_processor.v1.dead_letter_pb2 import DEAD_LETTER_REASON_UNDECODABLE, DeadLetter

DURABLE = "historian"
# A batch is full by any of these: one commit is one fsync, memory is bounded (points as arrays take
# about twenty times their bytes), and who looks at a trend does not wait longer than this (the live
# view does not wait at all).
BATCH_MESSAGES = 512
BATCH_BYTES = 1024**2
BATCH_SECONDS = 0.5
# Asked for at once: what comes past the bytes of a batch is at most these.
FETCH_MESSAGES = 16
TEND_SECONDS = 60.0
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
# After this long the log gives what a killed server took to the next one.
ACK_SECONDS = 15.0

log = structlog.get_logger(__name__)


async def _gather(subscription: JetStreamContext.PullSubscription) -> list[Msg]:
    """Return the messages of the next batch; none when none came in its time."""
    messages: list[Msg] = []
    size = 0
    loop = asyncio.get_running_loop()
    end = loop.time() + BATCH_SECONDS
    while len(messages) < BATCH_MESSAGES and size < BATCH_BYTES and (left := end - loop.time()) > 0:
        try:
            found = await subscription.fetch(
                min(FETCH_MESSAGES, BATCH_MESSAGES - len(messages)), timeout=left
            )
        except TimeoutError:
            break
        messages += found
        size += sum(len(message.data) for message in found)
    return messages


@dataclass(frozen=True, slots=True)
class Rejected:
    """A part of a message, or all of it, that cannot be read, and why."""

    message: Msg
    subject: str
    content: bytes
    detail: str


class PointsConsumer:
    """Reads the stream POINTS once, over restarts, and writes every message to the historian."""

    def __init__(self, jetstream: JetStreamContext, historian: Historian) -> None:
        self._jetstream = jetstream
        self._historian = historian
        self.running = False

    async def run(self) -> None:
        """Consume, and tend the historian, until cancelled; a broker that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tend())
            group.create_task(self._read())

    async def _read(self) -> None:
        while True:
            try:
                await self._consume()
            except (nats.errors.Error, OSError) as error:
                self.running = False
                log.warning("points_consumer_waits_for_the_broker", error=repr(error))
                await asyncio.sleep(1.0)

    async def _consume(self) -> None:
        subscription = await self._jetstream.pull_subscribe(
            "points.>",
            durable=DURABLE,
            stream=POINTS,
            config=ConsumerConfig(
                # Not ALL: that would acknowledge what a killed server took and did not keep.
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=4 * BATCH_MESSAGES,
            ),
        )
        self.running = True
        try:
            while True:
                messages = await _gather(subscription)
                if messages:
                    await self._keep(messages)
        finally:
            self.running = False
            # What is asked for after this goes to the next subscription at once.
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _tend(self) -> None:
        """Let the historian roll up and let go, and show what it keeps, once in a while."""
        while True:
            try:
                show(await asyncio.to_thread(self._historian.tend))
            except HistorianError as error:
                HISTORIAN_FAILURES.inc()
                log.error("historian_not_tended", error=str(error), retry_seconds=TEND_SECONDS)
            await asyncio.sleep(TEND_SECONDS)

    async def _keep(self, messages: Sequence[Msg]) -> None:
        """Make a batch durable, then acknowledge it."""
        attempt = 0
        while True:
            try:
                with HISTORIAN_WRITE_SECONDS.time():
                    rejected = await asyncio.to_thread(self._write, messages)
                break
            except HistorianError as error:
                HISTORIAN_FAILURES.inc()
                wait = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                log.error("historian_refused", error=str(error), retry_seconds=wait)
                await asyncio.sleep(wait)
                attempt += 1
                for message in messages:
                    await message.in_progress()
        for found in rejected:
            await self._set_aside(found)
        for message in messages:
            await message.ack()
        HISTORIAN_BATCH_MESSAGES.observe(len(messages))
        POINTS_MESSAGES.inc(len(messages) - len({id(found.message) for found in rejected}))

    def _write(self, messages: Sequence[Msg]) -> list[Rejected]:
        """Write what can be read, in a thread, and return what cannot, with the reason."""
        blocks: list[SeriesBlock] = []
        waveforms: list[WaveformRecord] = []
        rejected: list[Rejected] = []
        for message in messages:
            try:
                parts = points.unpack(message.subject, message.data)
            except points.PointsError as error:
                rejected.append(Rejected(message, message.subject, message.data, str(error)))
                continue
            for part in parts:
                try:
                    points.check(part)
                except points.PointsError as error:
                    subject = f"points.{part.site}.{part.equipment}"
                    content = part.SerializeToString()
                    rejected.append(Rejected(message, subject, content, str(error)))
                    continue
                blocks += points.blocks(part)
                waveforms += points.waveforms(part)
        self._historian.write(blocks, waveforms)
        return rejected

    async def _set_aside(self, rejected: Rejected) -> None:
        """Keep what cannot be read as a dead letter, so that it is findable and stops nothing."""
        POINTS_REJECTED.inc()
        message = rejected.message
        identity = f"points-{hashlib.sha256(rejected.content).hexdigest()[:16]}"
        received = Timestamp()
        received.FromDatetime(message.metadata.timestamp)
        letter = DeadLetter(
            dead_letter_id=identity,
            reason=DEAD_LETTER_REASON_UNDECODABLE,
            detail=rejected.detail,
            topic=rejected.subject,
            payload=rejected.content,
            log_sequence=message.metadata.sequence.stream,
            receive_time=received,
        )
        site = message.subject.split(".")[1].lower()
        await self._jetstream.publish(
            f"deadletter.undecodable.{site}.stream_processor",
            letter.SerializeToString(),
            headers={"Nats-Msg-Id": identity},
        )
        log.warning("points_rejected", subject=rejected.subject, detail=rejected.detail)
