"""All or nothing, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import OperationalError

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import Aborted, Unavailable
from erp_modules.kernel.manifest import Manifest
from erp_modules.kernel.models import AuditRecord, OutboxRow
from erp_modules.kernel.repository import Repository
from erp_modules.kernel.scoping import Scope
from erp_modules.kernel.unit_of_work import ATTEMPTS, Database
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from headrace.broker import free_port

AddVendor = Callable[..., pb.Vendor]


@pytest.fixture
def vendors(trial: Manifest) -> type[Repository[Any]]:
    return trial.services[0].repository  # type: ignore[attr-defined,no-any-return]


def test_an_error_leaves_no_row_no_event_and_no_record(
    app: Application,
    admin: Principal,
    trial: Manifest,
    vendors: type[Repository[Any]],
) -> None:
    def work(ctx: Context) -> None:
        vendors(ctx).add(vendors.model(id="a", site="n", display_name="a", email="a"))
        ctx.emit(trial.emits[0], subject="vendors/a", site="n", data={})
        ctx.record("trial.added", "vendors/a", site="n")
        ctx.session.flush()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        app.run(admin, work)

    def left(ctx: Context) -> int:
        tables = (vendors.model, OutboxRow, AuditRecord)
        return sum(ctx.session.scalar(select(func.count()).select_from(t)) or 0 for t in tables)

    assert app.run(admin, left) == 0


def test_threads_that_change_one_row_lose_no_change(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    made = add_vendor("v")
    threads_count, rounds = 4, 10
    together = threading.Barrier(threads_count)

    def add_one(ctx: Context) -> None:
        row = vendors(ctx).get_by_name(made.name)
        row.rating = (row.rating or 0) + 1

    done: list[int] = []

    def worker() -> None:
        together.wait()
        for _ in range(rounds):
            while True:  # as a caller does who is told to try again
                try:
                    app.run(admin, add_one)
                    done.append(1)
                    break
                except Aborted:
                    continue

    threads = [threading.Thread(target=worker) for _ in range(threads_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rating = app.run(admin, lambda ctx: vendors(ctx).get_by_name(made.name).rating)
    assert rating == len(done) == threads_count * rounds


def test_what_was_read_first_and_written_later_is_checked(
    app: Application, admin: Principal, vendors: type[Repository[Any]]
) -> None:
    """Two who each see an empty table and add the only row: one of them sees the other's."""
    together = threading.Barrier(2)
    first_try = threading.local()

    def add_if_empty(ctx: Context, id_: str) -> bool:
        empty = vendors(ctx).count() == 0
        if not getattr(first_try, "over", False):
            first_try.over = True
            if not app.database.is_sqlite:  # there, the second waits before it reads
                together.wait(10)
        if empty:
            vendors(ctx).add(vendors.model(id=id_, site="n", display_name=id_, email=id_))
        return empty

    added: list[bool] = []

    def worker(id_: str) -> None:
        added.append(app.run(admin, lambda ctx: add_if_empty(ctx, id_)))

    threads = [threading.Thread(target=worker, args=(id_,)) for id_ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [False, True]
    assert app.run(admin, lambda ctx: vendors(ctx).count()) == 1


def test_a_read_only_unit_of_work_writes_nothing(
    app: Application, admin: Principal, vendors: type[Repository[Any]]
) -> None:
    def write(ctx: Context) -> None:
        ctx.session.add(vendors.model(id="a", site="n", display_name="a", email="a"))

    app.run(admin, write, read_only=True)

    def write_at_once(ctx: Context) -> None:
        write(ctx)
        ctx.session.flush()

    with pytest.raises(RuntimeError, match="reads only"):
        app.run(admin, write_at_once, read_only=True)
    with pytest.raises(RuntimeError, match="reads only"):
        app.run(admin, lambda ctx: ctx.session.execute(delete(vendors.model)), read_only=True)
    assert app.run(admin, lambda ctx: vendors(ctx).count()) == 0


def test_the_audit_trail_is_never_changed(
    app: Application, admin: Principal, add_vendor: AddVendor
) -> None:
    add_vendor("a")

    def change(ctx: Context) -> None:
        ctx.session.scalars(select(AuditRecord)).one().principal = "nobody"
        ctx.session.flush()

    def remove(ctx: Context) -> None:
        ctx.session.delete(ctx.session.scalars(select(AuditRecord)).one())
        ctx.session.flush()

    def change_all(ctx: Context) -> None:
        ctx.session.execute(update(AuditRecord).values(principal="nobody"))

    def remove_all(ctx: Context) -> None:
        ctx.session.execute(delete(AuditRecord))

    for attempt in (change, remove, change_all, remove_all):
        with pytest.raises(RuntimeError, match="append-only"):
            app.run(admin, attempt)


def test_readers_do_not_wait_for_a_writer(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    add_vendor("first")

    def write(ctx: Context) -> int:
        vendors(ctx).add(vendors.model(id="b", site="n", display_name="b", email="b"))
        return app.run(admin, lambda inner: vendors(inner).count(), read_only=True)

    assert app.run(admin, write) == 1


def test_a_listener_is_told_after_the_commit_and_only_of_events(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    counts: list[int] = []

    def listen() -> None:
        counts.append(app.run(admin, lambda ctx: vendors(ctx).count(), read_only=True))

    forget = app.database.on_emitted(listen)
    add_vendor("a")
    app.run(admin, lambda ctx: ctx.record("nothing.else", "x", site=""))
    forget()
    add_vendor("b")
    assert counts == [1]


def test_a_database_that_is_away_is_unavailable() -> None:
    away = Database(f"postgresql+pg8000://nobody:nothing@127.0.0.1:{free_port()}/none")
    with pytest.raises(Unavailable):
        away.run(Scope("default"), lambda unit: unit.session.scalar(select(AuditRecord)))
    away.close()


def test_sqlite_is_durable_and_checks_references(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()
    assert pragmas == ["wal", 2, 1]


def test_sqlite_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="file"):
        Database("sqlite://")


def test_there_is_an_end_to_trying(app: Application, admin: Principal) -> None:
    calls: list[int] = []

    def locked(ctx: Context) -> None:
        calls.append(1)
        detail: Any = "database is locked" if app.database.is_sqlite else {"C": "40001"}
        raise OperationalError("", None, Exception(detail))

    with pytest.raises(Aborted, match="try again"):
        app.run(admin, locked)
    assert len(calls) == ATTEMPTS
