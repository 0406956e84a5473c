"""Messages the flow set aside, read from the log."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import nats.errors
from google.protobuf.message import DecodeError
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from cloud_api.streams import DEAD_LETTERS
from cloud_api.v1 import historian_pb2 as pb
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import Unavailable
from erp_modules.kernel.paging import page_size
from erp_modules.kernel.service import Service
from stream_processor.v1.dead_letter_pb2 import DeadLetter, DeadLetterReason

T = TypeVar("T")

AT_ONCE = 64
# A page of one site looks at this many letters and may be short; its token goes on from there.
MAX_SCANNED = 4096
ANSWER_SECONDS = 10.0


class DeadLetterLog:
    """Reads the stream DEADLETTER backwards, from threads; the broker's client lives on `loop`."""

    def __init__(self, jetstream: JetStreamContext, loop: asyncio.AbstractEventLoop) -> None:
        self._jetstream = jetstream
        self._loop = loop

    def count(self, sites: frozenset[str] | None) -> int:
        """Return how many letters there are of `sites`, None for all.

        Raises:
            Unavailable: the broker does not answer.
        """
        return self._wait(self._count(sites))

    def before(
        self, sequence: int | None, sites: frozenset[str] | None, size: int
    ) -> tuple[list[DeadLetter], int]:
        """Return letters older than `sequence` (None: the newest) and where the next page starts.

        At most `size`, newest first; the start of the next page is 0 when nothing is left.

        Raises:
            Unavailable: the broker does not answer.
        """
        return self._wait(self._before(sequence, sites, size))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(ANSWER_SECONDS)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            future.cancel()
            raise Unavailable("the log of dead letters does not answer: try again") from error

    async def _count(self, sites: frozenset[str] | None) -> int:
        if sites is None:
            return int((await self._jetstream.stream_info(DEAD_LETTERS)).state.messages)
        total = 0
        for site in sorted(sites):
            info = await self._jetstream.stream_info(
                DEAD_LETTERS, subjects_filter=f"deadletter.*.{site.lower()}.>"
            )
            total += sum((info.state.subjects or {}).values())
        return total

    async def _before(
        self, sequence: int | None, sites: frozenset[str] | None, size: int
    ) -> tuple[list[DeadLetter], int]:
        state = (await self._jetstream.stream_info(DEAD_LETTERS)).state
        oldest = max(state.first_seq, 1)
        position = state.last_seq + 1 if sequence is None else min(sequence, state.last_seq + 1)
        end = max(oldest, position - MAX_SCANNED)
        letters: list[DeadLetter] = []
        while position > end and len(letters) < size:
            wanted = range(position - 1, max(end, position - AT_ONCE) - 1, -1)
            for message in await asyncio.gather(*map(self._message, wanted)):
                position -= 1
                letter = None if message is None else _letter(message, sites)
                if letter is not None:
                    letters.append(letter)
                    if len(letters) == size:
                        break
        return letters, position if position > oldest else 0

    async def _message(self, sequence: int) -> RawStreamMsg | None:
        try:
            return await self._jetstream.get_msg(DEAD_LETTERS, sequence)
        except NotFoundError:
            return None


def _letter(message: RawStreamMsg, sites: frozenset[str] | None) -> DeadLetter | None:
    """Return the letter when it is of `sites`; one that cannot be read is shown as it is.

    The subject has the site in lower case (docs/contracts.md).
    """
    words = (message.subject or "").split(".")
    if sites is not None and (len(words) < 3 or words[2] not in {s.lower() for s in sites}):
        return None
    data = message.data or b""
    try:
        return DeadLetter.FromString(data)
    except DecodeError:
        return DeadLetter(
            dead_letter_id=f"log-{message.seq}", detail="not a dead letter", payload=data
        )


class DeadLetterService(Service):
    """Lists what the flow set aside."""

    contract = pb.DESCRIPTOR.services_by_name["DeadLetterService"]

    def __init__(self, log: DeadLetterLog) -> None:
        self._log = log

    def list_dead_letters(
        self, ctx: Context, request: pb.ListDeadLettersRequest
    ) -> pb.ListDeadLettersResponse:
        """List, newest first."""
        sites = ctx.sites
        if request.site:
            ctx.require_site(request.site)
            sites = frozenset({request.site})
        query = f"dead letters of {sorted(sites) if sites is not None else 'every site'}"
        start = (
            int(ctx.page_tokens.read(query, request.page_token)[0]) if request.page_token else None
        )
        letters, rest = self._log.before(start, sites, page_size(request.page_size))
        return pb.ListDeadLettersResponse(
            dead_letters=[_set_aside(letter) for letter in letters],
            next_page_token=ctx.page_tokens.make(query, [rest]) if rest else "",
            total_size=self._log.count(sites),
        )


def _set_aside(letter: DeadLetter) -> pb.SetAsideMessage:
    reason = (
        DeadLetterReason.Name(letter.reason).removeprefix("DEAD_LETTER_REASON_")
        if letter.reason in DeadLetterReason.values()
        else str(letter.reason)
    )
    return pb.SetAsideMessage(
        name=f"deadLetters/{letter.dead_letter_id}",
        reason=reason,
        detail=letter.detail,
        topic=letter.topic,
        payload=letter.payload,
        receive_time=letter.receive_time if letter.HasField("receive_time") else None,
    )
