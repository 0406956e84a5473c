"""Read the telemetry log beside the live flow: a consumer of one's own that acknowledges nothing.

It pulls a few messages at a time and lies in the server's memory for as long as it is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from headrace.backfill.span import Held
from headrace.rule_log import RuleLogError, connected
from stream_processor.log_reader import delivery
from stream_processor.messages import PARTITIONED, Message
from stream_processor.replays import replay_of
from stream_processor.rulebook import before_the_log
from stream_processor.settings import Settings
from stream_processor.streams import ROOT, RULES, TELEMETRY

# Messages asked for at a time: what lies in memory, and after how many an interrupt is heard.
BATCH = 64
TIMEOUT_S = 10.0
# The server forgets the consumer when nobody asks for so long.
INACTIVE_S = 300.0
# A broker that goes away is waited for.
ATTEMPTS = 10
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of the log, and how many more there are."""

    message: Message
    pending: int


def subjects(site: str = "", edge_node: str = "") -> list[str]:
    """Return the subjects of all that the flow reads, of a site or an edge node when given."""
    where, who = _token(site), _token(edge_node)
    return [f"{PARTITIONED}.*.{where}.*.{who}.>", f"{ROOT}.{where}.*.{who}", f"{RULES}.*"]


def birth_subjects(site: str = "", edge_node: str = "") -> list[str]:
    """Return the subjects of births, deaths and rules."""
    where, who = _token(site), _token(edge_node)
    return [
        *(f"{PARTITIONED}.*.{where}.{kind}.{who}.*" for kind in ("DBIRTH", "DDEATH")),
        *(f"{ROOT}.{where}.{kind}.{who}" for kind in ("NBIRTH", "NDEATH")),
        f"{RULES}.*",
    ]


def _token(name: str) -> str:
    return name.replace(".", "//") or "*"


async def held(settings: Settings) -> tuple[Held, list[Message]]:
    """Return what the log holds, and the rules that were in force before that.

    Raises:
        RuleLogError: it cannot be read.
    """
    async with connected(settings) as connection:
        answer = await connection.request(f"$JS.API.STREAM.INFO.{TELEMETRY}", b"", timeout=5.0)
        info = json.loads(answer.data)
        if "error" in info:
            raise RuleLogError(
                "the log is not there: a stream processor makes it when it first starts"
            )
        state = info["state"]
        found = Held(
            state["messages"],
            state["first_seq"],
            state["last_seq"],
            _milliseconds(state["first_ts"]),
            _milliseconds(state["last_ts"]),
        )
        return found, await before_the_log(connection)


def _milliseconds(text: str) -> int:
    """Return a time of the server, with its nanoseconds, in milliseconds since the epoch."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 1000 + int(f"{fraction}000"[:3])


async def read(
    settings: Settings,
    filters: Sequence[str],
    start_ms: int | None,
    last_sequence: int,
    batch: int = BATCH,
) -> AsyncGenerator[Stored, None]:
    """Yield the messages stored since `start_ms`, or all, up to a place in the log, in order.

    Goes on where it was when the broker was away.

    Raises:
        RuleLogError: the broker does not come back, or refuses.
    """
    after, attempts = 0, 0
    while True:
        try:
            async with connected(settings) as connection:
                pulled = _pull(connection, filters, start_ms, after, batch)
                async with aclosing(pulled) as messages:
                    async for stored in messages:
                        if stored.message.log_sequence > last_sequence:
                            return
                        after, attempts = stored.message.log_sequence, 0
                        yield stored
                return
        except (RuleLogError, OSError) as error:
            attempts += 1
            if after == 0 or attempts == ATTEMPTS:
                raise RuleLogError(str(error)) from error
            await asyncio.sleep(RETRY_S)


async def _pull(
    connection: Client, filters: Sequence[str], start_ms: int | None, after: int, batch: int
) -> AsyncGenerator[Stored, None]:
    jetstream = connection.jetstream()
    config = ConsumerConfig(
        filter_subjects=list(filters),
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        inactive_threshold=INACTIVE_S,
    )
    if after:
        config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, after + 1
    elif start_ms is not None:
        config.deliver_policy = DeliverPolicy.BY_START_TIME
        config.opt_start_time = datetime.fromtimestamp(start_ms / 1000, UTC)
    consumer = await jetstream.add_consumer(TELEMETRY, config)
    try:
        fetched = _fetch(jetstream, consumer.name, consumer.num_pending or 0, batch)
        async with aclosing(fetched) as messages:
            async for stored in messages:
                yield stored
    finally:
        if connection.is_connected:
            with suppress(nats.errors.Error, APIError):
                # Else the server forgets it by itself, after a while.
                await jetstream.delete_consumer(TELEMETRY, consumer.name)


async def _fetch(
    jetstream: JetStreamContext, consumer: str, pending: int, batch: int
) -> AsyncGenerator[Stored, None]:
    subscription = await jetstream.pull_subscribe_bind(consumer, TELEMETRY)
    expected = 0
    while pending:
        try:
            messages = await subscription.fetch(min(pending, batch), timeout=TIMEOUT_S)
        except nats.errors.TimeoutError:
            # The log forgets while it is read.
            pending = (await jetstream.consumer_info(TELEMETRY, consumer)).num_pending or 0
            if pending:
                raise
            return
        for each in messages:
            sequence, place, stored_ms, pending = delivery(each)
            expected += 1
            if place != expected:
                raise nats.errors.Error(f"message {place} came where {expected} was due")
            replay = replay_of(each.headers)
            yield Stored(
                Message(each.subject, each.data, sequence, stored_ms, replay=replay), pending
            )
