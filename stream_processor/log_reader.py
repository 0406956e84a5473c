"""Read one partition of the telemetry log in a thread, in order, from a position on."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from stream_processor.messages import Message
from stream_processor.replays import replay_of
from stream_processor.rulebook import before_the_log
from stream_processor.settings import Settings
from stream_processor.streams import ROOT, RULES, TELEMETRY, partition_of

# What may lie between the log and the flow: back-pressure for the reader.
CAPACITY = 256
PULL_EXPIRES_S = 30
HEARTBEAT_S = 2
SILENCE_S = 5.0
ROOM_POLL_S = 0.005
RETRY_S = 0.5
LAG_INTERVAL_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log: every message up to `sequence` of the stream made at `created`."""

    created: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Lag:
    """What of the log the flow has not taken: messages, and for how long the first has waited."""

    messages: int
    seconds: float


class OrderLostError(RuntimeError):
    """The server left something out; the reader starts again after the last message it has."""


def partition_filters(partition: int) -> list[str]:
    """Return the subjects a partition reads: its machines, every edge node's own, and rules."""
    return [f"tele.{partition}.>", f"{ROOT}.*.*.*", f"{RULES}.*"]


def delivery(message: Msg) -> tuple[int, int, int, int]:
    """Return what a consumer says of a message.

    Its place in the log, its place among the consumer's, when the log stored it in milliseconds
    since the epoch, and how many more there are.
    """
    # $JS.ACK.{stream}.{consumer}.{times}.{stream seq}.{consumer seq}.{time}.{pending}, or the
    # same with a domain and an account's hash before the stream.
    tokens = message.reply.split(".")
    log_sequence, consumer_sequence, nanoseconds, pending = (
        int(t) for t in (tokens[5:9] if len(tokens) <= 9 else tokens[7:11])
    )
    return log_sequence, consumer_sequence, nanoseconds // 1_000_000, pending


class LogReader:
    """A thread that keeps a bounded queue filled; `take` never blocks."""

    def __init__(self, settings: Settings, partition: int, start: Position | None) -> None:
        self._settings = settings
        self._partition = partition
        self._position = start
        self._queue: deque[tuple[Message | None, Position]] = deque()
        self._stopping = threading.Event()
        # Messages that the server had not handed out when it was last heard of them.
        self._pending = 0
        self._taken_ms = 0
        self._failure: Exception | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"log-reader-{partition}", daemon=True
        )
        self._thread.start()

    def take(self, limit: int) -> tuple[list[Message], Position | None]:
        """Return up to `limit` messages, and the position after them if it moved.

        Raises:
            RuntimeError: the thread ended by an error that starting again does not mend.
        """
        if self._failure is not None:
            raise RuntimeError(f"partition {self._partition} is not read") from self._failure
        found: list[Message] = []
        position = None
        while self._queue and len(found) < limit:
            message, position = self._queue.popleft()
            if message is not None:
                found.append(message)
                self._taken_ms = message.received_ms
        return found, position

    def lag(self, now_ms: float) -> Lag:
        """Return what is still to be taken; its age is at least that of the last message taken."""
        messages = len(self._queue) + self._pending
        since_ms = self._taken_ms or now_ms
        return Lag(messages, max(now_ms - since_ms, 0.0) / 1000 if messages else 0.0)

    def stop(self) -> None:
        """Let the thread end."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        try:
            asyncio.run(self._read_for_ever())
        except Exception as error:
            log.exception("log reader ended", partition=self._partition)
            self._failure = error

    async def _read_for_ever(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._connect_and_read()
            except (OSError, nats.errors.Error, OrderLostError) as error:
                log.warning("log reader starts again", partition=self._partition, why=str(error))
                await asyncio.sleep(RETRY_S)

    async def _connect_and_read(self) -> None:
        connection = await nats.connect(
            self._settings.nats_servers,
            user=self._settings.broker_user or None,
            password=self._settings.broker_password or None,
            name=f"headrace stream_processor partition {self._partition}",
            allow_reconnect=False,
            connect_timeout=5,
        )
        try:
            await self._read(connection)
        finally:
            await connection.close()

    async def _read(self, connection: Client) -> None:
        jetstream = connection.jetstream()
        start = await self._start(connection)
        if start.sequence == 0:
            self._queue.extend((rules, start) for rules in await before_the_log(connection))
        inbox = connection.new_inbox()
        subscription = await connection.subscribe(
            inbox, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        consumer = await jetstream.add_consumer(
            TELEMETRY,
            ConsumerConfig(
                filter_subjects=partition_filters(self._partition),
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=start.sequence + 1,
                ack_policy=AckPolicy.NONE,
                mem_storage=True,
                inactive_threshold=60.0,
            ),
        )
        try:
            await self._pull(connection, subscription, consumer.name, inbox, start.created)
        finally:
            if connection.is_connected:
                await jetstream.delete_consumer(TELEMETRY, consumer.name)

    async def _start(self, connection: Client) -> Position:
        """Return the place to read on from; a log that was made anew is read from its start."""
        # The client's own StreamInfo keeps `created` without its fraction of a second.
        answer = await connection.request(f"$JS.API.STREAM.INFO.{TELEMETRY}", b"", timeout=5.0)
        info = json.loads(answer.data)
        if "error" in info:
            raise APIError(**info["error"])
        created, last = str(info["created"]), int(info["state"]["last_seq"])
        position = self._position
        if position is None or position.created != created:
            if position is not None:
                log.warning("the telemetry log was made anew", partition=self._partition)
            position = Position(created, 0)
        elif position.sequence > last:
            log.error(
                "the telemetry log lost its end",
                partition=self._partition,
                position=position.sequence,
                last=last,
            )
            position = Position(created, last)
        self._position = position
        return position

    async def _pull(
        self,
        connection: Client,
        subscription: Subscription,
        consumer: str,
        inbox: str,
        created: str,
    ) -> None:
        wanted = delivered = 0
        heard = asked = time.monotonic()
        while not self._stopping.is_set():
            if time.monotonic() - asked >= LAG_INTERVAL_S:
                asked = time.monotonic()
                await self._ask_lag(connection, consumer)
            room = CAPACITY - len(self._queue) - wanted
            if wanted < CAPACITY // 2 and room >= CAPACITY // 4:
                await self._ask(connection, consumer, inbox, room)
                wanted += room
            if wanted == 0:
                await asyncio.sleep(ROOM_POLL_S)
                heard = time.monotonic()
                continue
            try:
                message = await subscription.next_msg(timeout=0.5)
            except nats.errors.TimeoutError:
                if not connection.is_connected or time.monotonic() - heard > SILENCE_S:
                    raise OrderLostError("the server went silent") from None
                continue
            heard = time.monotonic()
            if message.headers and "Status" in message.headers:
                wanted = self._status(message, wanted)
                continue
            delivered += 1
            wanted = max(0, wanted - 1)
            self._put(message, delivered, created)

    async def _ask_lag(self, connection: Client, consumer: str) -> None:
        """Ask how many messages wait: while the flow takes none, none tells."""
        with suppress(nats.errors.TimeoutError):
            info = await connection.jetstream().consumer_info(TELEMETRY, consumer)
            self._pending = info.num_pending or 0

    @staticmethod
    async def _ask(connection: Client, consumer: str, inbox: str, batch: int) -> None:
        request = {
            "batch": batch,
            "expires": PULL_EXPIRES_S * 1_000_000_000,
            "idle_heartbeat": HEARTBEAT_S * 1_000_000_000,
        }
        await connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{TELEMETRY}.{consumer}",
            json.dumps(request).encode(),
            reply=inbox,
        )

    @staticmethod
    def _status(message: Msg, wanted: int) -> int:
        """Return how many messages are still to come after a status message.

        Raises:
            OrderLostError: the consumer is gone.
        """
        headers = message.headers or {}
        code, what = headers["Status"], headers.get("Description", "")
        if code == "100":
            return wanted
        if code == "408" or "Nats-Pending-Messages" in headers:
            return max(0, wanted - int(headers.get("Nats-Pending-Messages", wanted)))
        raise OrderLostError(f"{code} {what}")

    def _put(self, message: Msg, delivered: int, created: str) -> None:
        log_sequence, consumer_sequence, stored_ms, self._pending = delivery(message)
        if consumer_sequence != delivered:
            raise OrderLostError(f"message {consumer_sequence} came where {delivered} was due")
        self._position = position = Position(created, log_sequence)
        read = Message(
            message.subject,
            message.data,
            log_sequence,
            stored_ms,
            replay=replay_of(message.headers),
        )
        self._queue.append((read if self._is_mine(read) else None, position))

    def _is_mine(self, message: Message) -> bool:
        """Return whether the message is of this partition; the node's own reach all of them."""
        if not message.subject.startswith(f"{ROOT}."):
            return True
        site, _, edge_node = message.levels
        mine: bool = partition_of(site, edge_node, self._settings.partitions) == self._partition
        return mine
