"""Publish to JetStream from the flow's thread: at once, confirmed later, never given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from stream_processor.settings import Settings
from stream_processor.streams import TELEMETRY, ensure

ACK_TIMEOUT_S = 5.0
RETRY_S = 0.2
MAX_RETRY_S = 5.0

log = structlog.get_logger(__name__)


class StoppedError(RuntimeError):
    """The process is ending and something was not confirmed; recovery will do it again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; the server drops another with the same `message_id`."""

    subject: str
    payload: bytes
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of the log and when it was stored."""

    payload: bytes
    time: datetime | None


class JetStreamPublisher:
    """One connection in a thread of its own, shared by the sinks of the process."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="jetstream-publisher", daemon=True
        )
        self._thread.start()

    def start(self) -> None:
        """Connect and make the streams; wait for the server as long as it takes.

        Raises:
            StoppedError: the process is ending.
        """
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    def publish(self, messages: Sequence[Outgoing]) -> Future[str | None]:
        """Send messages; the future ends when the server has confirmed all of them.

        The future raises StoppedError when the process ends before that.
        """
        return asyncio.run_coroutine_threadsafe(self._publish_all(messages), self._loop)

    def tell(self, subject: str, payload: bytes) -> Future[None]:
        """Send a message that no stream keeps; nothing happens while the broker is away."""
        return asyncio.run_coroutine_threadsafe(self._tell(subject, payload), self._loop)

    def telemetry(self, log_sequence: int) -> Future[Stored | None]:
        """Return a message of the telemetry log, None when it is gone."""
        return asyncio.run_coroutine_threadsafe(self._telemetry(log_sequence), self._loop)

    def stop(self) -> None:
        """Close the connection and end the thread."""
        if self._client is not None:
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(timeout=5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)

    async def _start(self) -> None:
        delay = RETRY_S
        while True:
            try:
                self._client = await nats.connect(
                    self._settings.nats_servers,
                    user=self._settings.broker_user or None,
                    password=self._settings.broker_password or None,
                    name="headrace stream_processor",
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RETRY_S,
                    error_cb=_report,
                )
                self._context = self._client.jetstream()
                await ensure(self._context, self._settings)
                return
            except (OSError, nats.errors.Error) as error:
                delay = await self._pause("the broker is not ready", error, delay)

    async def _pause(self, what: str, error: Exception, delay: float) -> float:
        log.warning(what, why=str(error) or type(error).__name__, again_s=delay)
        if self._stopping.is_set():
            raise StoppedError(f"{what}: {error}") from error
        await asyncio.sleep(delay)
        return min(2 * delay, MAX_RETRY_S)

    def _connected(self) -> Client:
        if self._client is None:
            raise RuntimeError("start the publisher before publishing")
        return self._client

    def _jetstream(self) -> JetStreamContext:
        if self._context is None:
            raise RuntimeError("start the publisher before publishing")
        return self._context

    async def _publish_all(self, messages: Sequence[Outgoing]) -> str | None:
        delay = RETRY_S
        while messages:
            messages, error = await self._publish_once(messages)
            if error is not None:
                subject = messages[0].subject
                delay = await self._pause(f"{subject} was not stored", error, delay)
        return None

    async def _publish_once(
        self, messages: Sequence[Outgoing]
    ) -> tuple[Sequence[Outgoing], Exception | None]:
        """Send messages one behind the other; return those that were not confirmed, and why."""
        confirmations: list[asyncio.Future[PubAck]] = []
        try:
            for message in messages:
                headers = {"Nats-Msg-Id": message.message_id} if message.message_id else None
                confirmations.append(
                    await self._jetstream().publish_async(
                        message.subject, message.payload, headers=headers
                    )
                )
        except (OSError, nats.errors.Error, JetStreamError) as error:
            _forget(confirmations)
            return messages, error
        await asyncio.wait(confirmations, timeout=ACK_TIMEOUT_S)
        _forget(confirmations)
        left, why = [], None
        for message, confirmation in zip(messages, confirmations, strict=True):
            error_of = (
                nats.errors.TimeoutError() if confirmation.cancelled() else confirmation.exception()
            )
            if isinstance(error_of, OSError | nats.errors.Error | JetStreamError):
                left.append(message)
                why = error_of
            elif error_of is not None:
                raise error_of
        return left, why

    async def _tell(self, subject: str, payload: bytes) -> None:
        client = self._connected()
        if not client.is_connected:
            return
        try:
            await client.publish(subject, payload)
        except nats.errors.Error as error:
            log.warning("not told", subject=subject, why=str(error) or type(error).__name__)

    async def _telemetry(self, log_sequence: int) -> Stored | None:
        delay = RETRY_S
        while True:
            try:
                found = await self._jetstream().get_msg(TELEMETRY, seq=log_sequence)
                return Stored(found.data or b"", found.time)
            except NotFoundError:
                return None
            except (OSError, nats.errors.Error, JetStreamError) as error:
                delay = await self._pause("the log was not read", error, delay)


def _forget(confirmations: Sequence[asyncio.Future[PubAck]]) -> None:
    """Wait no longer for what has not come."""
    for confirmation in confirmations:
        confirmation.cancel()


async def _report(error: Exception) -> None:
    log.warning("connection to the broker", why=str(error) or type(error).__name__)
