"""Scheduled jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.context import Context
from erp_modules.kernel.jobs import Job
from erp_modules.kernel.models import AuditRecord, Lease
from erp_modules.kernel.scheduler import JobRunner

HOURLY = timedelta(hours=1)


def audit(ctx: Context) -> None:
    ctx.record("trial.ran", "jobs/trial", site="")


def runs(app: Application, admin: Principal) -> int:
    def count(ctx: Context) -> int:
        statement = select(AuditRecord).where(AuditRecord.action == "trial.ran")
        return len(ctx.session.scalars(statement).all())

    return app.run(admin, count)


def test_a_job_runs_each_interval_once(
    app: Application, admin: Principal, clock: ManualClock
) -> None:
    job = Job("trial.hourly", HOURLY, audit)
    one, other = JobRunner(app), JobRunner(app)
    assert [one.run_if_due(job, "default"), other.run_if_due(job, "default")] == [True, False]
    clock.advance(HOURLY)
    assert [other.run_if_due(job, "default"), one.run_if_due(job, "default")] == [True, False]
    assert runs(app, admin) == 2


def test_replicas_that_start_together_run_it_once(app: Application, admin: Principal) -> None:
    job = Job("trial.hourly", HOURLY, audit)
    together = threading.Barrier(4)
    ran: list[bool] = []

    def replica() -> None:
        runner = JobRunner(app)
        together.wait()
        ran.append(runner.run_if_due(job, "default"))

    threads = [threading.Thread(target=replica) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == [False, False, False, True]
    assert runs(app, admin) == 1


def test_one_that_fails_keeps_nothing_and_is_due_after_its_interval(
    app: Application, admin: Principal, clock: ManualClock
) -> None:
    def fail(ctx: Context) -> None:
        audit(ctx)
        raise RuntimeError("no oil")

    failing = Job("trial.hourly", HOURLY, fail)
    runner = JobRunner(app)
    assert not runner.run_if_due(failing, "default")
    assert runs(app, admin) == 0
    lease = app.run(admin, lambda ctx: ctx.session.scalars(select(Lease)).one())
    assert "no oil" in lease.error
    mended = Job("trial.hourly", HOURLY, audit)
    assert not runner.run_if_due(mended, "default")
    clock.advance(HOURLY)
    assert runner.run_if_due(mended, "default")


@pytest.mark.parametrize("make", [lambda app: JobRunner(app)])
def test_the_kernel_cleans_up_after_itself(
    app: Application, make: Callable[[Application], JobRunner]
) -> None:
    assert "kernel.purge" in [job.name for job in make(app).jobs]
