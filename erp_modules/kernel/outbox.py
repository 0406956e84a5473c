"""The relay: from the outbox to the stream `EVENTS`, in order, at least once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import nats.errors
import nats.js.errors
import structlog
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from sqlalchemy import delete, select, update

from erp_modules.kernel.application import Application
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import ServiceError
from erp_modules.kernel.events import Event
from erp_modules.kernel.jobs import Job
from erp_modules.kernel.models import HandledEvent, OutboxRow, RequestRecord
from erp_modules.kernel.scoping import Scope
from erp_modules.kernel.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

STREAM = "EVENTS"
_BATCH = 256
_POLL_SECONDS = 1.0
_BACKOFF_SECONDS = (0.1, 0.5, 2.0, 5.0)
# A handler must remember an event for longer than the stream can deliver it again.
_STREAM_AGE = timedelta(days=14)
_HANDLED_AGE = timedelta(days=30)
_OUTBOX_AGE = timedelta(days=7)
_REQUEST_AGE = timedelta(days=7)


async def ensure_stream(jetstream: JetStreamContext, replicas: int = 1) -> None:
    """Make the stream `EVENTS`, or bring it to what it should be."""
    wanted = StreamConfig(
        name=STREAM,
        subjects=["events.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=_STREAM_AGE.total_seconds(),
        duplicate_window=timedelta(minutes=10).total_seconds(),
        num_replicas=replicas,
    )
    try:
        found = await jetstream.stream_info(STREAM)
    except nats.js.errors.NotFoundError:
        await jetstream.add_stream(wanted)
    else:
        # How many copies there are is the operator's choice.
        wanted.num_replicas = found.config.num_replicas
        await jetstream.update_stream(wanted)


@dataclass(frozen=True)
class _Waiting:
    position: int
    event: Event


class OutboxRelay:
    """Publishes what was committed: at once after a commit here, after a second for one elsewhere.

    Several relays may run. Each publishes in the order of the outbox and waits for every
    acknowledgement, and the stream drops what it has by `Nats-Msg-Id`: the first of each event
    still come in order.
    """

    def __init__(self, app: Application, jetstream: JetStreamContext) -> None:
        self._app = app
        self._jetstream = jetstream
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Publish until cancelled; when broker or database do not answer, try again."""
        loop = asyncio.get_running_loop()
        forget = self._app.database.on_emitted(lambda: loop.call_soon_threadsafe(self._wake.set))
        failures = 0
        try:
            while True:
                self._wake.clear()
                try:
                    count = await self.publish()
                except (nats.errors.Error, ServiceError, OSError) as error:
                    wait = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                    failures += 1
                    log.warning("outbox_waits", seconds=wait, reason=repr(error))
                    await asyncio.sleep(wait)
                    continue
                failures = 0
                if count == 0:
                    await self._woken()
        finally:
            forget()

    async def publish(self) -> int:
        """Publish what waits, at most a batch an organisation; return how many events it was.

        Raises:
            nats.errors.Error: the broker did not acknowledge one; the rest waits.
            Unavailable: the database does not answer.
        """
        count = 0
        for organisation in self._app.organisations:
            waiting = await self._app.in_thread(self._read, organisation)
            done: list[int] = []
            try:
                for item in waiting:
                    await self._jetstream.publish(
                        item.event.nats_subject,
                        item.event.to_json().encode(),
                        stream=STREAM,
                        headers={"Nats-Msg-Id": item.event.id},
                    )
                    done.append(item.position)
            finally:
                if done:
                    await self._app.in_thread(self._mark, organisation, done)
            count += len(done)
        return count

    async def _woken(self) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    def _read(self, organisation: str) -> list[_Waiting]:
        statement = (
            select(OutboxRow.position, OutboxRow.body)
            .where(OutboxRow.publish_time.is_(None))
            .order_by(OutboxRow.position)
            .limit(_BATCH)
        )
        rows = self._app.database.run(
            Scope(organisation), lambda unit: unit.session.execute(statement).all(), read_only=True
        )
        return [_Waiting(row.position, Event.from_json(row.body)) for row in rows]

    def _mark(self, organisation: str, positions: list[int]) -> None:
        def work(unit: UnitOfWork) -> None:
            unit.session.execute(
                update(OutboxRow)
                .where(OutboxRow.position.in_(positions))
                .values(publish_time=unit.clock.now())
                .execution_options(synchronize_session=False)
            )

        self._app.database.run(Scope(organisation), work)


def purge(ctx: Context) -> None:
    """Forget what was published, handled and answered long ago; the audit trail stays."""
    now = ctx.now()
    for statement in (
        delete(OutboxRow).where(OutboxRow.publish_time < now - _OUTBOX_AGE),
        delete(HandledEvent).where(
            HandledEvent.state == "handled", HandledEvent.handle_time < now - _HANDLED_AGE
        ),
        delete(RequestRecord).where(RequestRecord.create_time < now - _REQUEST_AGE),
    ):
        ctx.session.execute(statement.execution_options(synchronize_session=False))


PURGE = Job("kernel.purge", timedelta(hours=1), purge)
