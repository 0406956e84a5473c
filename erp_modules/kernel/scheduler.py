"""Runs the modules' jobs when they are due, each once in the whole cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from erp_modules.kernel.application import Application
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import ServiceError
from erp_modules.kernel.jobs import Job
from erp_modules.kernel.models import Lease
from erp_modules.kernel.outbox import PURGE

log = structlog.get_logger(__name__)

_TICK_SECONDS = 1.0


class JobRunner:
    """Looks every second which jobs are due, by the application's clock."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._due: dict[tuple[str, str], datetime] = {}

    @property
    def jobs(self) -> Sequence[Job]:
        """The kernel's job and every module's."""
        return (PURGE, *self._app.jobs)

    async def run(self) -> None:
        """Run jobs until cancelled; one that fails is logged and due again after its interval."""
        while True:
            for organisation in self._app.organisations:
                for job in self.jobs:
                    # Others only ever move a due time on, so what is not due by ours is not due.
                    due = self._due.get((job.name, organisation))
                    if due is None or due <= self._app.clock.now():
                        await self._app.in_thread(self.run_if_due, job, organisation)
            await asyncio.sleep(_TICK_SECONDS)

    def run_if_due(self, job: Job, organisation: str) -> bool:
        """Run `job` unless it is not due or another replica runs it; say whether it ran well."""
        principal = self._app.system(organisation, job.module)
        try:
            ran, due = self._app.run(principal, lambda ctx: _run(ctx, job))
        except IntegrityError:  # another replica made the row at the same moment
            return False
        except Exception as error:
            log.error("job_failed", job=job.name, organisation=organisation, exc_info=error)
            reason = repr(error)
            try:
                self._due[job.name, organisation] = self._app.run(
                    principal, lambda ctx: _postpone(ctx, job, reason)
                )
            except ServiceError as second:
                log.error("job_not_postponed", job=job.name, reason=str(second))
            return False
        if due is not None:
            self._due[job.name, organisation] = due
        return ran


def _run(ctx: Context, job: Job) -> tuple[bool, datetime | None]:
    """Run the job in the transaction that holds its row, so that nobody else does."""
    now = ctx.now()
    lease = ctx.session.scalars(
        select(Lease).where(Lease.job == job.name).with_for_update(skip_locked=True)
    ).first()
    if lease is None:
        known = ctx.session.scalar(select(Lease.due_time).where(Lease.job == job.name))
        if known is not None:
            return False, None  # someone holds it just now
        lease = _new(ctx, job)
    elif lease.due_time > now:
        return False, lease.due_time
    lease.due_time = now + job.interval
    lease.run_count += 1
    lease.error = ""
    ctx.session.flush()
    job.run(ctx)
    return True, lease.due_time


def _postpone(ctx: Context, job: Job, reason: str) -> datetime:
    lease = ctx.session.scalars(select(Lease).where(Lease.job == job.name)).first()
    if lease is None:
        lease = _new(ctx, job)
    lease.due_time = ctx.now() + job.interval
    lease.error = reason
    return lease.due_time


def _new(ctx: Context, job: Job) -> Lease:
    lease = Lease(
        organisation=ctx.organisation,
        site="",
        job=job.name,
        due_time=ctx.now(),
        run_count=0,
        error="",
    )
    ctx.session.add(lease)
    return lease
