"""Write to the log: in order, pipelined, each message confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from stream_processor.bridge.errors import SessionError, text_of
from stream_processor.bridge.settings import Settings
from stream_processor.dead_letter_message import dead_letter_message
from stream_processor.messages import SetAside
from stream_processor.streams import ROOT

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 10.0
# A disk that is busy may take its time; a cluster without a majority never answers.
CONFIRM_TIMEOUT_S = 30.0
# What must be kept by a stream before anything of the plant is taken, and who makes it.
NEEDED = {
    f"{ROOT}.>": "the processor",
    "deadletter.>": "the processor",
    "headrace.report.>": "the server",
    "headrace.outcome.>": "the server",
}

log = structlog.get_logger(__name__)


class LogWriter:
    """One connection to the log; when it fails once, it is done."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=REQUEST_TIMEOUT_S)
        # Ends with the connection.
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def max_payload(self) -> int:
        """The largest message that the log takes, in bytes."""
        return int(self._client.max_payload)

    @property
    def jetstream(self) -> Any:
        """The connection's JetStream."""
        return self._jetstream

    async def publish(self, subject: str, payload: bytes, message_id: str) -> asyncio.Future[Any]:
        """Send a message, after those sent before; return the future of its confirmation.

        Raises:
            SessionError: the connection is gone.
        """
        headers = {"Nats-Msg-Id": message_id} if message_id else None
        try:
            sent: asyncio.Future[Any] = await self._jetstream.publish_async(
                subject, payload, headers=headers
            )
        except (OSError, nats.errors.Error, JetStreamError) as error:
            raise SessionError(f"the log: {text_of(error)}") from error
        # Whoever waits for it may be gone by the time that it fails.
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        return sent

    async def set_aside(self, aside: SetAside) -> asyncio.Future[Any]:
        """Send a dead letter.

        Raises:
            SessionError: the connection is gone.
        """
        message = dead_letter_message(aside)
        return await self.publish(message.subject, message.payload, message.message_id)

    async def confirmed(self, sent: asyncio.Future[Any]) -> bool:
        """Wait until the log has a message; return whether it had it before.

        Raises:
            SessionError: it was not stored in time, or refused.
        """
        if not sent.done():
            await asyncio.wait(
                {sent, self.lost}, timeout=CONFIRM_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
            )
        if not sent.done():
            why = "the connection was lost" if self.lost.done() else "no confirmation in time"
            raise SessionError(f"the log: {why}")
        error = sent.exception()
        if error is not None:
            raise SessionError(f"the log did not take a message: {text_of(error)}") from error
        return bool(sent.result().duplicate)

    async def check_streams(self) -> None:
        """Check that what will be written is kept.

        Raises:
            SessionError: a stream is missing; nothing must be acknowledged then.
        """
        for subject, maker in NEEDED.items():
            try:
                await self._jetstream.find_stream_name_by_subject(subject)
            except NotFoundError:
                raise SessionError(
                    f"no stream keeps {subject}: start {maker} once, which makes it"
                ) from None
            except (OSError, nats.errors.Error, JetStreamError) as error:
                raise SessionError(f"the log: {text_of(error)}") from error


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[LogWriter]:
    """Connect to the log.

    Raises:
        SessionError: it does not answer, or lacks a stream.
    """
    writer: LogWriter | None = None

    async def closed() -> None:
        if writer is not None and not writer.lost.done():
            writer.lost.set_result(None)

    try:
        client = await nats.connect(
            settings.nats_url,
            user=settings.broker_user or None,
            password=settings.broker_password or None,
            name=f"headrace bridge {settings.title}",
            # After a break everything that was not confirmed goes again, in order, from the plant.
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            ping_interval=5,
            max_outstanding_pings=2,
            closed_cb=closed,
            error_cb=_report,
        )
    except (OSError, nats.errors.Error) as error:
        raise SessionError(f"the log at {settings.nats_url}: {text_of(error)}") from error
    try:
        writer = LogWriter(client)
        await writer.check_streams()
        yield writer
    finally:
        await client.close()


async def _report(error: Exception) -> None:
    log.warning("connection to the log", why=text_of(error))
