"""Carry out what was decided: put replays into the log, and go through runs.

What is to be done is in the database, and a replay's id is a pure function of its content: a
server that is killed does after its start what is left, and nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.js.errors import BadRequestError
from nats.js.errors import Error as JetStreamError

from cloud_api.dead_letters.decoding import NO_BIRTH, Birth
from cloud_api.dead_letters.log import DeadLetterLog
from cloud_api.dead_letters.models import LetterRow, RunRow, StepRow
from cloud_api.dead_letters.repository import LetterRepository, RunRepository, StepRepository
from cloud_api.dead_letters.treatment import discard, fix_of, refused, replay, sent, taken
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import Aborted, ServiceError, Unavailable
from erp_modules.maintenance.v1.maintenance_pb2 import ReportAdvisoryRequest
from stream_processor.v1.alert_pb2 import Advisory
from stream_processor.v1.dead_letter_pb2 import DeadLetter

POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
AT_ONCE = 64
REPORT = "erp_modules.maintenance.v1.AlarmService.ReportAdvisory"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """A replay to be sent; `payload` is None of what goes as it came."""

    step: str
    letter: str
    stream_sequence: int
    reason: str
    topic: str
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Share:
    """What a run takes next, and who decided it."""

    run: str
    principal: Principal
    letters: tuple[tuple[str, int, str], ...]


class ReplayRunner:
    """Sends replays and goes through runs, over restarts."""

    def __init__(self, application: Application, letters: DeadLetterLog) -> None:
        self._application, self._letters = application, letters
        organisation = application.organisations[0]
        self._principal = application.system(organisation, "stream")
        # Advisories are the processor's, whoever hands them in again.
        self._processor = application.system(organisation, "maintenance")
        self._credit: dict[str, float] = {}

    async def run(self) -> None:
        """Work until cancelled; a broker or a database that is away is waited for."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            try:
                now = loop.time()
                busy = await self._advance(now - before)
                before = now
                busy = await self._send() or busy
                if not busy:
                    await asyncio.sleep(POLL_SECONDS)
            except (nats.errors.Error, JetStreamError, ServiceError, OSError) as error:
                log.warning("replays_wait", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    # sending -----------------------------------------------------------------------------------

    async def _send(self) -> bool:
        orders = await self._application.in_thread(self._orders)
        places = await asyncio.gather(*map(self._place, orders), return_exceptions=True)
        failed: BaseException | None = None
        for order, place in zip(orders, places, strict=True):
            if isinstance(place, int):
                await self._note(partial(sent, step_id=order.step, log_sequence=place))
            elif isinstance(place, str):
                await self._note(partial(refused, step_id=order.step, detail=place))
            else:
                failed = failed or place
        if failed is not None:
            raise failed
        return len(orders) == AT_ONCE

    async def _note(self, work: Callable[[Context], None]) -> None:
        await self._application.in_thread(lambda: self._application.run(self._principal, work))

    def _orders(self) -> list[Order]:
        def work(ctx: Context) -> list[Order]:
            steps = StepRepository(ctx).unsent(AT_ONCE)
            rows = LetterRepository(ctx).of({step.letter_id for step in steps})
            return [_order(step, rows.get(step.letter_id)) for step in steps]

        return self._application.run(self._principal, work, read_only=True)

    async def _place(self, order: Order) -> int | str | None:
        """Return a replay's place in the log, or why there is none; None when that is noted."""
        payload = order.payload
        if payload is None:
            letter = await self._letters.read(order.stream_sequence, order.letter)
            if letter is None:
                return "its bytes are no longer in the log"
            payload = letter.payload
        if order.reason == "REJECTED":
            return await self._application.in_thread(self._report, order, payload)
        try:
            return await self._letters.replay(order.topic, payload, order.letter, order.step)
        except (nats.errors.BadSubjectError, nats.errors.MaxPayloadError, BadRequestError) as error:
            # Trying again would not help, and hold up the others.
            return f"the broker refused it: {error}"

    def _report(self, order: Order, payload: bytes) -> str | None:
        """Hand an advisory in again; return why it was refused."""
        try:
            advisory = Advisory.FromString(payload)
            self._application.call(
                REPORT, ReportAdvisoryRequest(advisory=advisory), self._processor
            )
        except DecodeError:
            return "it is no advisory"
        except (Unavailable, Aborted):
            raise
        except ServiceError as error:
            return error.message
        self._application.run(
            self._principal, lambda ctx: taken(ctx, order.step, "reported to maintenance")
        )
        return None

    # runs --------------------------------------------------------------------------------------

    async def _advance(self, seconds: float) -> bool:
        shares = await self._application.in_thread(self._shares, seconds)
        for share in shares:
            letters = await asyncio.gather(
                *(self._letters.read(sequence, id) for id, sequence, _ in share.letters)
            )
            topics = {topic for _, _, topic in share.letters if topic}
            births = dict(
                zip(
                    topics,
                    await asyncio.gather(*map(self._letters.read_birth, topics)),
                    strict=True,
                )
            )
            await self._application.in_thread(self._take, share, letters, births)
        return any(share.letters for share in shares)

    def _shares(self, seconds: float) -> list[Share]:
        def work(ctx: Context) -> list[Share]:
            runs = RunRepository(ctx).running()
            self._credit = {run.id: self._credit.get(run.id, 0.0) for run in runs}
            shares = []
            for run in runs:
                credit = min(self._credit[run.id] + run.rate * seconds, max(1.0, run.rate))
                self._credit[run.id] = credit
                size = min(int(credit), AT_ONCE)
                if size < 1:
                    continue
                rows = LetterRepository(ctx).next_open(run, size)
                shares.append(_share(run, rows))
            return shares

        return self._application.run(self._principal, work, read_only=True)

    def _take(
        self, share: Share, letters: Sequence[DeadLetter | None], births: dict[str, Birth]
    ) -> None:
        self._credit[share.run] = self._credit.get(share.run, 0.0) - len(share.letters)
        self._application.run(share.principal, lambda ctx: take(ctx, share, letters, births))


def take(
    ctx: Context, share: Share, letters: Sequence[DeadLetter | None], births: dict[str, Birth]
) -> None:
    """Deal with a run's share in one transaction, and note how far it is."""
    run = RunRepository(ctx).find(share.run)
    if run is None or run.state != "RUNNING":
        return
    if not share.letters:
        run.state = "DONE"
        return
    why = run.request.reason
    for (id, sequence, topic), letter in zip(share.letters, letters, strict=True):
        run.position = max(run.position, sequence)
        row = LetterRepository(ctx).find(id)
        try:
            if row is None or row.state != "OPEN":
                raise Aborted("it was dealt with meanwhile")
            if run.discard:
                discard(ctx, row, why, run=run.id)
            elif letter is None:
                raise Aborted("its bytes are no longer in the log")
            else:
                birth = births.get(topic, NO_BIRTH)
                made = fix_of(row, letter, run.request.fix, birth)
                replay(ctx, row, letter, made, why, run=run.id)
            run.done += 1
        except Unavailable:
            raise
        except ServiceError as error:
            run.skipped += 1
            run.skip_detail = f"deadLetters/{id}: {error.message}"


def _order(step: StepRow, row: LetterRow | None) -> Order:
    return Order(
        step.id,
        step.letter_id,
        row.stream_sequence if row else 0,
        row.reason if row else "",
        step.topic,
        step.payload,
    )


def _share(run: RunRow, rows: Sequence[LetterRow]) -> Share:
    who = Principal(
        id=run.principal,
        organisation=run.organisation,
        sites=frozenset({run.site}) if run.site else None,
    )
    return Share(run.id, who, tuple((row.id, row.stream_sequence, row.topic) for row in rows))
