"""Which of several instances bridges: a record in JetStream's key-value store.

The one that holds the lease writes the record every third of its duration. Another takes it over
when the record has not changed for the whole of it by its own clock, so that clocks need not agree.
The plant's broker is the second guard: the client identifier is the same, and it serves one.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import nats.errors
import structlog
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.errors import Error as JetStreamError

from stream_processor.bridge.errors import (
    InstanceTakenError,
    LeaseLostError,
    SessionError,
    text_of,
)
from stream_processor.bridge.log_writer import LogWriter

BUCKET = "HEADRACE_BRIDGE"
# How often an instance on standby looks.
LOOK_S = 1.0

log = structlog.get_logger(__name__)


async def bucket(writer: LogWriter) -> Any:
    """Return the bridges' bucket, making it the first time.

    Raises:
        SessionError: the log does not answer.
    """
    try:
        try:
            return await writer.jetstream.key_value(BUCKET)
        except BucketNotFoundError:
            return await writer.jetstream.create_key_value(
                bucket=BUCKET, history=1, description="Leases and sessions of bridges"
            )
    except (OSError, nats.errors.Error, JetStreamError) as error:
        raise SessionError(f"the log: {text_of(error)}") from error


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What must be known of a session when it is taken up again.

    `name` tells it from the one before; `filters` are what the broker is subscribed to in it.
    """

    name: str
    filters: tuple[str, ...]


class StoredSession:
    """The session at the plant's broker, in the bucket."""

    def __init__(self, store: Any, title: str) -> None:
        self._store, self._key = store, f"session.{title}"

    async def read(self) -> SessionRecord | None:
        """Return what was written last, None when nothing was.

        Raises:
            SessionError: the log does not answer.
        """
        try:
            found = json.loads((await self._store.get(self._key)).value)
        except KeyNotFoundError:
            return None
        except (OSError, nats.errors.Error, JetStreamError) as error:
            raise SessionError(f"the log: {text_of(error)}") from error
        return SessionRecord(str(found["name"]), tuple(found["filters"]))

    async def write(self, session: SessionRecord) -> None:
        """Remember the session.

        Raises:
            SessionError: the log does not answer.
        """
        try:
            value = json.dumps({"name": session.name, "filters": session.filters})
            await self._store.put(self._key, value.encode())
        except (OSError, nats.errors.Error, JetStreamError) as error:
            raise SessionError(f"the log: {text_of(error)}") from error


class Lease:
    """The right to bridge under a name."""

    def __init__(self, name: str, instance: str, duration_s: float) -> None:
        self._key, self._instance, self._duration_s = f"lease.{name}", instance, duration_s
        # Tells this process from another that was given the same instance by mistake.
        self._process = secrets.token_hex(8)
        self._revision = 0
        self._held = False

    async def acquire(self, store: Any) -> None:
        """Wait until the lease is ours.

        Raises:
            SessionError: the log does not answer.
        """
        try:
            await self._acquire(store)
        except (OSError, nats.errors.Error, JetStreamError) as error:
            raise SessionError(f"the lease: {text_of(error)}") from error

    async def _acquire(self, store: Any) -> None:
        seen, since, waiting = 0, time.monotonic(), False
        while True:
            revision, holder = await self._look(store)
            if revision != seen:
                seen, since = revision, time.monotonic()
            ours = holder.get("instance") == self._instance
            if ours and self._held and holder.get("process") != self._process:
                raise InstanceTakenError(
                    f"another process bridges as instance {self._instance}: give each its own"
                    " HEADRACE_BRIDGE_INSTANCE"
                )
            old = time.monotonic() - since >= self._duration_s
            # Our own, of before we ended or were cut off, need not be waited for.
            if not holder.get("instance") or ours or old:
                try:
                    self._revision = await self._write(store, revision, self._instance)
                except KeyWrongLastSequenceError:
                    continue
                self._held = True
                log.info("active", instance=self._instance, after=holder.get("instance", ""))
                return
            if not waiting:
                log.info("standing by", active=holder["instance"])
                waiting = True
            await asyncio.sleep(min(LOOK_S, self._duration_s / 10))

    async def keep(self, store: Any) -> None:
        """Renew the lease until cancelled.

        Raises:
            SessionError: it could not be renewed in time, or another instance has it.
        """
        while True:
            await asyncio.sleep(self._duration_s / 3)
            try:
                async with asyncio.timeout(self._duration_s / 3):
                    self._revision = await self._write(store, self._revision, self._instance)
            except KeyWrongLastSequenceError:
                raise LeaseLostError("another instance took the lease") from None
            except (OSError, nats.errors.Error, JetStreamError) as error:
                raise SessionError(f"the lease: {text_of(error)}") from error

    async def release(self, store: Any) -> None:
        """Let another instance take over at once."""
        try:
            await self._write(store, self._revision, "")
            self._held = False
        except (OSError, nats.errors.Error, JetStreamError) as error:
            log.warning("the lease was not given back", why=text_of(error))

    async def _look(self, store: Any) -> tuple[int, dict[str, str]]:
        try:
            entry = await store.get(self._key)
        except KeyNotFoundError:
            return 0, {}
        return int(entry.revision), dict(json.loads(entry.value))

    async def _write(self, store: Any, revision: int, instance: str) -> int:
        value = json.dumps({"instance": instance, "process": self._process}).encode()
        return int(await store.update(self._key, value, last=revision))
