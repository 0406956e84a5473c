"""What a partition without a snapshot begins with: rules older than what is left of the log."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import APIError, NotFoundError

from stream_processor.messages import Message
from stream_processor.streams import BOOK, RULEBOOK, RULES, TELEMETRY

# Of a record: the place of the rules in the log, and when that log was made.
SEQUENCE: Final = "Headrace-Log-Sequence"
CREATED: Final = "Headrace-Log-Created"
BATCH: Final = 100
TIMEOUT_S: Final = 10.0


async def before_the_log(connection: Client) -> list[Message]:
    """Return of each class the newest rules that were in force before the oldest message left.

    What is in the log itself is read there, in its place. Nothing when no rules were ever recorded.

    Raises:
        nats.errors.Error: the server does not answer.
    """
    jetstream = connection.jetstream()
    try:
        count = (await jetstream.stream_info(RULEBOOK)).state.messages
    except NotFoundError:
        return []
    answer = await connection.request(f"$JS.API.STREAM.INFO.{TELEMETRY}", b"", timeout=TIMEOUT_S)
    log = json.loads(answer.data)
    created, first = str(log["created"]), int(log["state"]["first_seq"])
    subscription = await jetstream.pull_subscribe(
        f"{BOOK}.*",
        stream=RULEBOOK,
        config=ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True, inactive_threshold=60.0),
    )
    name = (await subscription.consumer_info()).name
    found: dict[str, Message] = {}
    while count > 0:
        records = await subscription.fetch(min(count, BATCH), timeout=TIMEOUT_S)
        count -= len(records)
        for record in records:
            headers = record.headers or {}
            place = int(headers.get(SEQUENCE, 0))
            if headers.get(CREATED) == created and place >= first:
                continue
            kind = record.subject.removeprefix(f"{BOOK}.")
            stored_ms = round(record.metadata.timestamp.timestamp() * 1000)
            found[kind] = Message(f"{RULES}.{kind}", record.data, place, stored_ms)
    await subscription.unsubscribe()
    with suppress(nats.errors.Error, APIError):
        # Else the server forgets it by itself, after a while.
        await jetstream.delete_consumer(RULEBOOK, name)
    return [found[kind] for kind in sorted(found)]
