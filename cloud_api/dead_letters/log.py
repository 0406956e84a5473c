"""What the server asks of the broker about dead letters; safe to use from threads."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from cloud_api.dead_letters.decoding import NO_BIRTH, Birth, read_birth
from cloud_api.streams import DEAD_LETTERS
from erp_modules.kernel.errors import Unavailable
from stream_processor.v1.dead_letter_pb2 import DeadLetter

T = TypeVar("T")

TELEMETRY = "TELEMETRY"
DURABLE = "dead_letters"
ANSWER_SECONDS = 5.0
# How long a list waits for what was set aside a moment ago.
FRESH_SECONDS = 2.0
FRESH_POLL_SECONDS = 0.01

log = structlog.get_logger(__name__)


class DeadLetterLog:
    """Letters and births from the log; the broker's client lives on `loop`."""

    def __init__(self, jetstream: JetStreamContext, loop: asyncio.AbstractEventLoop) -> None:
        self._jetstream = jetstream
        self._loop = loop

    def catch_up(self) -> None:
        """Wait a little until the index has what the stream has; without a broker it has that."""
        try:
            self._wait(self._catch_up())
        except Unavailable:
            log.info("dead_letters_may_be_older", reason="the broker is away")

    def letter(self, sequence: int, id: str) -> DeadLetter | None:
        """Return a dead letter by its place in the stream, None when that holds it no more.

        Raises:
            Unavailable: the broker does not answer.
        """
        return self._wait(self.read(sequence, id))

    def birth(self, topic: str) -> Birth:
        """Return the last birth of the device, or the node, that a topic is of.

        Raises:
            Unavailable: the broker does not answer.
        """
        return self._wait(self.read_birth(topic))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(ANSWER_SECONDS)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            future.cancel()
            raise Unavailable("the log of dead letters does not answer: try again") from error

    async def _catch_up(self) -> None:
        end = self._loop.time() + FRESH_SECONDS
        while self._loop.time() < end:
            try:
                info = await self._jetstream.consumer_info(DEAD_LETTERS, DURABLE)
            except NotFoundError:
                pass
            else:
                if not info.num_pending and not info.num_ack_pending:
                    return
            await asyncio.sleep(FRESH_POLL_SECONDS)

    async def read(self, sequence: int, id: str) -> DeadLetter | None:
        """Return a dead letter by its place in the stream, None when that holds it no more."""
        message = await self._message(sequence)
        if message is None:
            return None
        found = letter_of(message.data or b"", sequence)
        return found if found.dead_letter_id == id else None

    async def read_birth(self, topic: str) -> Birth:
        """Return the last birth of the device, or the node, that a topic is of."""
        levels = topic.split("/")
        if levels[0] != "spBv1.0" or len(levels) not in (4, 5):
            return NO_BIRTH
        site, _, node, *device = (level.replace(".", "//") for level in levels[1:])
        subject = (
            f"tele.*.{site}.DBIRTH.{node}.{device[0]}"
            if device
            else f"spBv1//0.{site}.NBIRTH.{node}"
        )
        if any(c in subject.replace("tele.*.", "") for c in "*> \t\r\n"):
            return NO_BIRTH
        try:
            message = await self._jetstream.get_last_msg(TELEMETRY, subject)
        except NotFoundError:
            return NO_BIRTH
        stored_ms = int(message.time.timestamp() * 1000) if message.time else 1
        return read_birth(message.data or b"", stored_ms)

    async def first(self) -> int:
        """Return the place of the oldest dead letter that the stream holds."""
        return int((await self._jetstream.stream_info(DEAD_LETTERS)).state.first_seq)

    async def replay(self, topic: str, payload: bytes, letter_id: str, replay_id: str) -> int:
        """Put a payload into the telemetry log, once, and return its place there."""
        answer = await self._jetstream.publish(
            subject_of(topic),
            payload,
            timeout=ANSWER_SECONDS,
            stream=TELEMETRY,
            headers={"Nats-Msg-Id": replay_id, "Headrace-Replay": letter_id},
        )
        return int(answer.seq)

    async def _message(self, sequence: int) -> RawStreamMsg | None:
        try:
            return await self._jetstream.get_msg(DEAD_LETTERS, sequence)
        except NotFoundError:
            return None


def letter_of(data: bytes, sequence: int) -> DeadLetter:
    """Return the letter of a message; one that cannot be read is shown as it is."""
    try:
        found = DeadLetter.FromString(data)
    except DecodeError:
        found = DeadLetter(detail="not a dead letter", payload=data)
    if not found.dead_letter_id or len(found.dead_letter_id) > 128:
        found.dead_letter_id = f"log-{sequence}"
    return found


def subject_of(topic: str) -> str:
    """Return the subject by which the broker knows an MQTT topic.

    >>> subject_of("spBv1.0/riverside/DDATA/gw-1/P-101")
    'spBv1//0.riverside.DDATA.gw-1.P-101'
    """
    return ".".join(level.replace(".", "//") for level in topic.split("/"))


def levels_of(topic: str) -> Sequence[str]:
    """Return site, type, edge node and equipment of a topic; empty of one that has none."""
    levels = topic.split("/")
    if levels[0] != "spBv1.0" or not 4 <= len(levels) <= 5:
        return ("", "", "", "")
    return (*levels[1:], "")[:4]
