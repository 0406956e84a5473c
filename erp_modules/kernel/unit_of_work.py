"""The unit of work: only it commits, and rows, events and audit records go together."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import StaleDataError

from erp_modules.kernel.clock import Clock, SystemClock
from erp_modules.kernel.errors import Aborted, Unavailable, UnseenDuplicate
from erp_modules.kernel.events import Event
from erp_modules.kernel.models import AuditRecord, OutboxRow
from erp_modules.kernel.scoping import Scope, ScopedSession, sessions

T = TypeVar("T")
log = structlog.get_logger(__name__)

ATTEMPTS = 8
_BUSY_SECONDS = 10.0
_BUSY_PAUSE_S = 0.02
_READ_ONLY = "headrace_read_only"
# PostgreSQL: serialization failure, deadlock detected, and a unique violation that nobody turned
# into an answer: the row was looked for and not there, so someone else added it meanwhile.
_RETRIED_STATES = {"40001", "40P01", "23505"}


class UnitOfWork:
    """One transaction: its session, and what is committed together with its rows."""

    def __init__(self, session: ScopedSession, scope: Scope, clock: Clock) -> None:
        self.session = session
        self.scope = scope
        self.clock = clock
        self.emitted = 0

    def emit(self, happened: Event) -> None:
        """Keep `happened` in the outbox; it is published after the commit, or never."""
        self.emitted += 1
        self.session.add(
            OutboxRow(
                organisation=happened.organisation,
                site=happened.site,
                event_id=happened.id,
                type=str(happened.type),
                body=happened.to_json(),
                create_time=self.clock.now(),
            )
        )

    def record(
        self, *, principal: str, action: str, resource: str, site: str, detail: str, trace_id: str
    ) -> None:
        """Keep who did what."""
        self.session.add(
            AuditRecord(
                organisation=self.scope.organisation,
                site=site,
                principal=principal,
                action=action,
                resource=resource,
                detail=detail,
                trace_id=trace_id,
                create_time=self.clock.now(),
            )
        )


class Database:
    """The engine, and the one way to run something in a transaction on it."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._write = sessions(self.engine)
        self._read = sessions(
            self.engine.execution_options(**{_READ_ONLY: True})
            if self.is_sqlite
            else self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        )
        # SQLite has one writer. Waiting here is fair and wakes at once; its busy handler polls.
        self._writer: AbstractContextManager[Any] = (
            threading.Lock() if self.is_sqlite else nullcontext()
        )
        self._listeners: list[Callable[[], object]] = []

    def on_emitted(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener`, in the thread that committed, after every commit with events.

        Returns what ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def run(self, scope: Scope, work: Callable[[UnitOfWork], T], *, read_only: bool = False) -> T:
        """Run `work` in one transaction, again when the database asks for it.

        `work` is called again after a serialization failure, so it changes nothing but the session.

        Raises:
            Aborted: it was in someone's way `ATTEMPTS` times, or a row changed under it.
            Unavailable: the database does not answer.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._attempt(scope, read_only) as unit:
                    result = work(unit)
                for listener in tuple(self._listeners) if unit.emitted else ():
                    listener()
                return result
            except UnseenDuplicate:
                # On SQLite nobody else writes meanwhile: what it met is a duplicate to stay.
                if self.is_sqlite or attempt == ATTEMPTS:
                    raise
                log.info("transaction_retried", attempt=attempt, reason="unseen duplicate")
            except StaleDataError as error:
                raise Aborted("it was changed by someone else: read it and try again") from error
            except DBAPIError as error:
                if not _is_conflict(error):
                    if error.connection_invalidated or _is_connection(error):
                        raise Unavailable("the database does not answer") from error
                    raise
                log.info("transaction_retried", attempt=attempt, reason=str(error.orig))
                if attempt == ATTEMPTS:
                    raise Aborted("too many changes at the same time: try again") from error
            time.sleep(random.uniform(0.0, 0.002) * 2**attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def _attempt(self, scope: Scope, read_only: bool) -> Iterator[UnitOfWork]:
        lock: AbstractContextManager[Any] = nullcontext() if read_only else self._writer
        with lock, (self._read if read_only else self._write)() as session:
            session.bind_scope(scope, self.clock, read_only=read_only)
            unit = UnitOfWork(session, scope, self.clock)
            yield unit
            if not read_only:  # closing is enough, and leaves what was read usable
                session.commit()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _is_conflict(error: DBAPIError) -> bool:
    original = error.orig
    if original is None:
        return False
    detail = original.args[0] if original.args else ""
    if isinstance(detail, dict):  # pg8000: the fields of the server's error, C is the SQLSTATE
        return detail.get("C") in _RETRIED_STATES
    return _is_locked(detail)


def _is_locked(detail: object) -> bool:
    """Say whether SQLite's message tells that another connection has the lock."""
    return "database is locked" in str(detail) or "database table is locked" in str(detail)


def _is_connection(error: DBAPIError) -> bool:
    return "InterfaceError" in type(error).__name__ or isinstance(error.orig, OSError)


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+pg8000")
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("SQLite in memory has one database a thread: give a file")
        engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        parsed, isolation_level="SERIALIZABLE", pool_pre_ping=True, pool_size=10, max_overflow=10
    )


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # We begin transactions ourselves: the driver would begin too late, and deferred.
    connection.isolation_level = None
    cursor = connection.cursor()
    _begin_log(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_log(cursor: sqlite3.Cursor) -> None:
    """Let the file have a write-ahead log, if it has none yet.

    For this SQLite does not wait for the locks of processes that start at the same time.
    """
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or time.monotonic() > end:
                raise
            time.sleep(_BUSY_PAUSE_S)


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that wants to write later may fail in the middle; this one waits here.
    read_only = connection.get_execution_options().get(_READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
