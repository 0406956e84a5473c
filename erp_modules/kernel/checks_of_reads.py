"""Watches what is sent to the database: does every read ask for organisation and site?"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from sqlalchemy import event, select

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal
from erp_modules.kernel.bootstrap import compose
from erp_modules.kernel.context import Context
from erp_modules.kernel.repository import Repository
from erp_modules.kernel.unit_of_work import Database

_NOBODY = Principal("checks", sites=frozenset({"a", "b"}))


def unscoped_reads(
    database: Database, rows: Sequence[type[Any]], repositories: ModuleType
) -> list[str]:
    """Return what reads without its filters: row classes and repository methods."""
    app = compose(database, [])
    reads = {row.__name__: partial(_read_all, row) for row in rows}
    for repository in _repositories(repositories):
        for name, call in _READS.items():
            reads[f"{repository.__name__}.{name}"] = partial(_read_by, repository, call)
    return [name for name, read in reads.items() if not _is_scoped(app, read)]


def _read_all(row: type[Any], ctx: Context) -> None:
    ctx.session.execute(select(row)).all()


def _read_by(
    repository: type[Repository[Any]], call: Callable[[Repository[Any]], Any], ctx: Context
) -> None:
    call(repository(ctx))


_READS: dict[str, Callable[[Repository[Any]], Any]] = {
    "find": lambda repository: repository.find("x"),
    "first": lambda repository: repository.first(),
    "all": lambda repository: repository.all(),
    "count": lambda repository: repository.count(),
    "page": lambda repository: repository.page(),
    "select": lambda repository: repository.session.execute(repository.select()).all(),
}


def _repositories(module: ModuleType) -> Iterator[type[Repository[Any]]]:
    for _, value in inspect.getmembers(module, inspect.isclass):
        if issubclass(value, Repository) and hasattr(value, "model"):
            yield value


def _is_scoped(app: Application, read: Callable[[Context], Any]) -> bool:
    with _watched(app.database) as statements:
        app.run(_NOBODY, read, read_only=True)
    # Each statement reads one table here, so one condition each is what there must be.
    return bool(statements) and all(
        re.search(r"\borganisation = \?", sql) and re.search(r"\bsite IN \(", sql)
        for sql in statements
    )


@contextmanager
def _watched(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
