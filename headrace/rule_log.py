"""Put rule files in force through the telemetry log, and read which are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from stream_processor.rulebook import CREATED, SEQUENCE
from stream_processor.rules.comparison import compare
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import RuleFile, rule_file
from stream_processor.settings import Settings
from stream_processor.streams import BOOK, RULEBOOK, RULES, TELEMETRY


class RuleLogError(RuntimeError):
    """The log cannot be reached, or does not take the file."""


# How long a server may take to answer.
CONNECT_S = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule file that was put in force; `log_sequence` is its place in the log."""

    file: RuleFile
    time: datetime
    log_sequence: int


async def _unheard(_error: Exception) -> None:
    """Say nothing: what matters is raised where it is waited for."""


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Client]:
    """Yield a connection to the log.

    Raises:
        RuleLogError: there is none.
    """
    try:
        connection = await nats.connect(
            settings.nats_servers,
            user=settings.broker_user or None,
            password=settings.broker_password or None,
            name="headrace",
            connect_timeout=CONNECT_S,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=_unheard,
        )
    except (OSError, nats.errors.Error) as error:
        raise RuleLogError(
            f"HEADRACE_NATS_URL: no broker answers there: {str(error) or type(error).__name__}"
        ) from error
    try:
        yield connection
    except (NotFoundError, NoStreamResponseError) as error:
        raise RuleLogError(
            "the log is not there: a stream processor of this version makes it when it starts"
        ) from error
    except (APIError, nats.errors.Error) as error:
        raise RuleLogError(f"the log refused: {error}") from error
    finally:
        await connection.close()


async def in_force(settings: Settings) -> dict[str, Entry]:
    """Return the newest file of each class that came through the log.

    Raises:
        RuleLogError: the log cannot be read.
    """
    async with connected(settings) as connection:
        return await _newest(connection.jetstream())


async def _newest(jetstream: JetStreamContext) -> dict[str, Entry]:
    info = await jetstream.stream_info(RULEBOOK, subjects_filter=f"{BOOK}.*")
    found = {}
    for subject in sorted(info.state.subjects or {}):
        message = await jetstream.get_last_msg(RULEBOOK, subject)
        headers = message.headers or {}
        try:
            file = rule_file((message.data or b"").decode())
        except RuleFileError:
            # Of code that took other files: a processor leaves it to the starting file.
            continue
        time = message.time or datetime.fromtimestamp(0, UTC)
        found[file.equipment_class] = Entry(file, time, int(headers.get(SEQUENCE, 0)))
    return found


async def apply(settings: Settings, file: RuleFile, starting: RuleFile) -> Entry | None:
    """Put a file in force for whatever comes into the log after it; None when it is already.

    `starting` is what is in force when nothing came through the log. A version says one thing, so a
    file of a version that was in force differs from it in nothing but its modes.

    Raises:
        RuleLogError: the log does not take it, or the version is not a newer one.
    """
    async with connected(settings) as connection:
        jetstream = connection.jetstream()
        entries = await _newest(jetstream)
        entry = entries.get(file.equipment_class)
        now = entry.file if entry else starting
        if now.text == file.text:
            return None
        changes = compare(now, file)
        other = any(change.fields.keys() != {"mode"} for change in changes)
        if file.version < now.version or (file.version == now.version and other):
            raise RuleLogError(
                f"version {now.version} of {file.equipment_class} is in force and says something"
                f" else: give the file version {now.version + 1}"
            )
        payload = file.text.encode()
        placed = await jetstream.publish(
            f"{RULES}.{file.equipment_class}", payload, stream=TELEMETRY
        )
        answer = await connection.request(f"$JS.API.STREAM.INFO.{TELEMETRY}", b"", timeout=5.0)
        created = str(json.loads(answer.data)["created"])
        await jetstream.publish(
            f"{BOOK}.{file.equipment_class}",
            payload,
            stream=RULEBOOK,
            headers={SEQUENCE: str(placed.seq), CREATED: created},
        )
        return Entry(file, datetime.now(UTC), placed.seq)
