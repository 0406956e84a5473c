"""From the log to the historian: in batches, acknowledged when they are durable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress

import nats.errors
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from cloud_api import points
from cloud_api.counters import (
    HISTORIAN_FAILURES,
    HISTORIAN_WRITE_SECONDS,
    POINTS_MESSAGES,
    POINTS_REJECTED,
)
from cloud_api.historian import Historian, HistorianError, SeriesBlock, WaveformRecord
from cloud_api.streams import POINTS
from stream_processor.v1.dead_letter_pb2 import DEAD_LETTER_REASON_UNDECODABLE, DeadLetter

DURABLE = "historian"
BATCH_MESSAGES = 512
# How long a batch gathers: one commit is one fsync, and the live view does not wait for it.
BATCH_SECONDS = 0.5
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
# After this long the log gives what a killed server took to the next one.
ACK_SECONDS = 15.0

log = structlog.get_logger(__name__)


class PointsConsumer:
    """Reads the stream POINTS once, over restarts, and writes every message to the historian."""

    def __init__(self, jetstream: JetStreamContext, historian: Historian) -> None:
        self._jetstream = jetstream
        self._historian = historian
        self.running = False

    async def run(self) -> None:
        """Consume until cancelled; a broker that is away is waited for."""
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
                try:
                    messages = await subscription.fetch(BATCH_MESSAGES, timeout=BATCH_SECONDS)
                except TimeoutError:
                    continue
                if messages:
                    await self._keep(messages)
        finally:
            self.running = False
            # What is asked for after this goes to the next subscription at once.
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

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
        for message, detail in rejected:
            await self._set_aside(message, detail)
        for message in messages:
            await message.ack()
        POINTS_MESSAGES.inc(len(messages) - len(rejected))

    def _write(self, messages: Sequence[Msg]) -> list[tuple[Msg, str]]:
        """Write what can be read, in a thread, and return what cannot, with the reason."""
        blocks: list[SeriesBlock] = []
        waveforms: list[WaveformRecord] = []
        rejected: list[tuple[Msg, str]] = []
        for message in messages:
            try:
                decoded = points.decode(message.data)
            except points.PointsError as error:
                rejected.append((message, str(error)))
                continue
            blocks += points.blocks(decoded)
            waveforms += points.waveforms(decoded)
        self._historian.write(blocks, waveforms)
        return rejected

    async def _set_aside(self, message: Msg, detail: str) -> None:
        """Keep what cannot be read as a dead letter, so that it is findable and stops nothing."""
        POINTS_REJECTED.inc()
        identity = f"points-{hashlib.sha256(message.data).hexdigest()[:16]}"
        received = Timestamp()
        received.FromDatetime(message.metadata.timestamp)
        letter = DeadLetter(
            dead_letter_id=identity,
            reason=DEAD_LETTER_REASON_UNDECODABLE,
            detail=detail,
            topic=message.subject,
            payload=message.data,
            log_sequence=message.metadata.sequence.stream,
            receive_time=received,
        )
        site = message.subject.split(".")[1].lower()
        await self._jetstream.publish(
            f"deadletter.undecodable.{site}.stream_processor",
            letter.SerializeToString(),
            headers={"Nats-Msg-Id": identity},
        )
        log.warning("points_rejected", subject=message.subject, detail=detail)
