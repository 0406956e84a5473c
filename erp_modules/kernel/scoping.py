"""Every read sees its own organisation and the sites of its caller; every write stays there.

The filter hangs on the session, not on the repository: a statement that forgets it does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import String, event, inspect
from sqlalchemy.orm import (
    ORMExecuteState,
    Session,
    UOWTransaction,
    sessionmaker,
    with_loader_criteria,
)

from erp_modules.kernel.clock import Clock
from erp_modules.kernel.errors import InvalidArgument, PermissionDenied
from erp_modules.kernel.models import AppendOnly, Resource, Scoped

_SCOPE = "headrace_scope"
_CLOCK = "headrace_clock"
_READ_ONLY = "headrace_read_only"


@dataclass(frozen=True)
class Scope:
    """What a unit of work may see: an organisation, and some or (None) all of its sites."""

    organisation: str
    sites: frozenset[str] | None = None

    def holds(self, site: str) -> bool:
        """Say whether `site` is among them; the empty site is the organisation as a whole."""
        return self.sites is None or site == "" or site in self.sites


class ScopedSession(Session):
    """A session that is bound to one scope."""

    def bind_scope(self, scope: Scope, clock: Clock, *, read_only: bool = False) -> None:
        """Bind it; before that it reads and writes no scoped row."""
        self.info[_SCOPE] = scope
        self.info[_CLOCK] = clock
        self.info[_READ_ONLY] = read_only


def sessions(engine: Any) -> sessionmaker[ScopedSession]:
    """Return a factory of sessions on `engine`."""
    return sessionmaker(engine, class_=ScopedSession, expire_on_commit=False)


def _scope_of(session: Session) -> Scope:
    scope = session.info.get(_SCOPE)
    if not isinstance(scope, Scope):
        raise RuntimeError("a session without a scope: open it through the unit of work")
    return scope


@event.listens_for(ScopedSession, "do_orm_execute")
def _filter(state: ORMExecuteState) -> None:
    if state.is_insert:
        raise RuntimeError("rows are added with repository.add, never by an insert statement")
    if not (state.is_select or state.is_update or state.is_delete) or state.is_column_load:
        return
    if not state.is_select:
        _check_writable(state.session)
        mapper = state.bind_mapper
        if mapper is not None and issubclass(mapper.class_, AppendOnly):
            raise RuntimeError(f"{mapper.class_.__name__} is append-only")
    scope = _scope_of(state.session)
    organisation = scope.organisation
    options = [
        with_loader_criteria(
            Scoped, lambda table: table.organisation == organisation, include_aliases=True
        )
    ]
    if scope.sites is not None:
        sites = [*sorted(scope.sites), ""]
        options.append(
            with_loader_criteria(Scoped, lambda table: table.site.in_(sites), include_aliases=True)
        )
    state.statement = state.statement.options(*options)


@event.listens_for(ScopedSession, "before_flush")
def _stamp(session: Session, context: UOWTransaction, instances: Any) -> None:
    scope = _scope_of(session)
    _check_writable(session)
    for row in (*session.deleted, *filter(session.is_modified, session.dirty)):
        if isinstance(row, AppendOnly):
            raise RuntimeError(f"{type(row).__name__} is append-only")
    now = session.info[_CLOCK].now()
    for row in _scoped(session.new):
        if row.organisation is None:
            row.organisation = scope.organisation
        _check(row, scope)
        if isinstance(row, Resource):
            row.create_time = row.create_time or now
            row.update_time = now
    for row in _scoped(session.dirty):
        if session.is_modified(row):
            _check(row, scope)
            if isinstance(row, Resource):
                row.update_time = now


def _check_writable(session: Session) -> None:
    if session.info[_READ_ONLY]:
        raise RuntimeError("this reads only: an RPC that writes has a scope that says so")


def _scoped(rows: Iterable[object]) -> list[Scoped]:
    return [row for row in rows if isinstance(row, Scoped)]


def _check(row: Scoped, scope: Scope) -> None:
    if row.organisation != scope.organisation:
        raise PermissionDenied(f"organisation {row.organisation} is not the caller's")
    if row.site is None:
        raise RuntimeError(f"{type(row).__name__} without a site")
    if not scope.holds(row.site):
        raise PermissionDenied(f"site {row.site}: not among the caller's sites")
    for name, longest in _limits(type(row)).items():  # type: ignore[arg-type]
        value = getattr(row, name)
        if value is not None and len(value) > longest:
            raise InvalidArgument.field(name, f"is longer than {longest} characters")


@cache
def _limits(row: type[Scoped]) -> Mapping[str, int]:
    """Return how long the texts of a row may be; SQLite would keep longer ones."""
    return {
        attribute.key: kind.length
        for attribute in inspect(row).column_attrs
        if isinstance(kind := attribute.columns[0].type, String) and kind.length
    }
