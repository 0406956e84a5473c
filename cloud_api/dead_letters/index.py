"""From the stream DEADLETTER to the index: each letter, and what became of replays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from cloud_api.dead_letters.log import DURABLE, DeadLetterLog, letter_of, levels_of
from cloud_api.dead_letters.models import LetterRow
from cloud_api.dead_letters.repository import LetterRepository, StepRepository
from cloud_api.dead_letters.treatment import set_aside_again, taken
from cloud_api.streams import DEAD_LETTERS
from erp_modules.kernel.application import Application
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import Aborted, ServiceError, Unavailable
from stream_processor.v1.alert_pb2 import Advisory
from stream_processor.v1.dead_letter_pb2 import (
    DEAD_LETTER_REASON_REJECTED,
    DEAD_LETTER_REASON_REPLAYED,
    DeadLetter,
    DeadLetterReason,
)

BATCH_MESSAGES = 256
BATCH_SECONDS = 0.5
ACK_SECONDS = 15.0
RETRY_SECONDS = 1.0
FORGET_SECONDS = 600.0
MAX_SITE = 64
# A place in the log that no database could hold is no place in the log.
MAX_SEQUENCE = (1 << 63) - 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Read:
    """A letter, the subject it came on and its place in the stream."""

    letter: DeadLetter
    subject: str
    sequence: int


class DeadLetterIndex:
    """Reads the stream DEADLETTER once, over restarts."""

    def __init__(
        self, jetstream: JetStreamContext, application: Application, letters: DeadLetterLog
    ) -> None:
        self._jetstream, self._application, self._letters = jetstream, application, letters
        # The broker is one organisation's.
        self._principal = application.system(application.organisations[0], "stream")
        self.running = False

    async def run(self) -> None:
        """Consume until cancelled; a broker or a database that is away is waited for."""
        while True:
            try:
                await self._consume()
            except (nats.errors.Error, ServiceError, OSError) as error:
                self.running = False
                log.warning("dead_letter_index_waits", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _consume(self) -> None:
        subscription = await self._jetstream.pull_subscribe(
            "",
            durable=DURABLE,
            stream=DEAD_LETTERS,
            config=ConsumerConfig(
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=4 * BATCH_MESSAGES,
            ),
        )
        self.running = True
        forgotten = 0.0
        loop = asyncio.get_running_loop()
        try:
            while True:
                if loop.time() - forgotten > FORGET_SECONDS:
                    forgotten = loop.time()
                    first = await self._letters.first()
                    await self._application.in_thread(self._forget, first)
                try:
                    messages = await subscription.fetch(BATCH_MESSAGES, timeout=BATCH_SECONDS)
                except TimeoutError:
                    continue
                read = [_read(message) for message in messages]
                await self._application.in_thread(self._keep, read)
                for message in messages:
                    await message.ack()
        finally:
            self.running = False
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    def _forget(self, first: int) -> None:
        def work(ctx: Context) -> None:
            LetterRepository(ctx).forget_before(first)
            StepRepository(ctx).forget_orphans()

        self._application.run(self._principal, work)

    def _keep(self, read: Sequence[Read]) -> None:
        """Keep a batch in one transaction; one that cannot be kept does not hold up the others."""
        try:
            self._application.run(self._principal, lambda ctx: keep(ctx, read))
        except (Unavailable, Aborted):
            raise
        except ServiceError as error:
            if len(read) == 1:
                log.warning("dead_letter_not_indexed", sequence=read[0].sequence, error=str(error))
                return
            for one in read:
                self._keep([one])


def keep(ctx: Context, read: Sequence[Read]) -> None:
    """Put letters into the index, and receipts to the replays they are of."""
    letters = LetterRepository(ctx)
    known = letters.of({one.letter.dead_letter_id for one in read})
    for one in read:
        letter = one.letter
        if letter.reason == DEAD_LETTER_REASON_REPLAYED:
            taken(ctx, letter.dead_letter_id, letter.detail)
            continue
        row = known.get(letter.dead_letter_id)
        if row is None:
            row = known[letter.dead_letter_id] = letters.add(row_of(one))
        else:
            _again(row, one)
        if letter.replay_of or StepRepository(ctx).replayed_at(row.log_sequence):
            set_aside_again(ctx, row)


def _again(row: LetterRow, one: Read) -> None:
    """Take a letter with an id that is known: said again, or of a log that was made anew."""
    new = row_of(one)
    if row.receive_time != new.receive_time and new.topic:
        row.state, row.outcome = "OPEN", ""
    for name in ("stream_sequence", "reason", "detail", "topic", "edge_node", "equipment"):
        setattr(row, name, getattr(new, name))
    row.receive_time, row.size_bytes = new.receive_time, new.size_bytes


def row_of(one: Read) -> LetterRow:
    """Return a letter's row in the index."""
    letter = one.letter
    site, edge_node, equipment = _whose(letter, one.subject)
    return LetterRow(
        id=letter.dead_letter_id,
        site=site[:MAX_SITE] or "_",
        stream_sequence=one.sequence,
        reason=reason_of(letter),
        detail=letter.detail.replace("\0", ""),
        topic=letter.topic.replace("\0", ""),
        edge_node=edge_node,
        equipment=equipment,
        log_sequence=min(letter.log_sequence, MAX_SEQUENCE),
        trace_id=letter.trace_id,
        receive_time=_received(letter),
        size_bytes=len(letter.payload),
        state="OPEN",
        outcome="",
        replay_of=letter.replay_of[:128],
    )


def reason_of(letter: DeadLetter) -> str:
    """Return the reason without its prefix; of one that is newer than this server its number."""
    known = letter.reason in DeadLetterReason.values()
    text = DeadLetterReason.Name(letter.reason) if known else str(letter.reason)
    return text.removeprefix("DEAD_LETTER_REASON_")


def _whose(letter: DeadLetter, subject: str) -> tuple[str, str, str]:
    """Return site, edge node and equipment.

    The subject has the first two in lower case; it is all there is of what has no topic.
    """
    site, _, edge_node, equipment = levels_of(letter.topic)
    if site:
        return site, edge_node, equipment
    if letter.reason == DEAD_LETTER_REASON_REJECTED:
        with suppress(DecodeError):
            advisory = Advisory.FromString(letter.payload)
            return advisory.site, advisory.edge_node, advisory.equipment
    if letter.topic.startswith("points."):
        # Points that could not be read; their subject has no edge node.
        site, _, equipment = letter.topic.removeprefix("points.").partition(".")
        return site, "", equipment
    words = subject.split(".")
    return (words[2], words[3], "") if len(words) > 3 else ("", "", "")


def _received(letter: DeadLetter) -> datetime | None:
    if not letter.HasField("receive_time"):
        return None
    try:
        return letter.receive_time.ToDatetime(tzinfo=UTC)
    except ValueError:
        return None


def _read(message: Msg) -> Read:
    sequence = message.metadata.sequence.stream
    return Read(letter_of(message.data, sequence), message.subject, sequence)
