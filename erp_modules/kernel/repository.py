"""The base of every repository: all SQL of a module stands in subclasses of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, case, false, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from erp_modules.kernel import paging
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import (
    Aborted,
    AlreadyExists,
    InvalidArgument,
    NotFound,
    UnseenDuplicate,
)
from erp_modules.kernel.models import Resource

R = TypeVar("R", bound=Resource)
Order = list[tuple[InstrumentedAttribute[Any], bool]]


class Repository(Generic[R]):
    """Rows of one table, always of the context's organisation and sites.

    A subclass sets `model`, the `collection` of its resource names (`tickets`) and the fields a
    caller may order by, contract name → column. The session adds the filter by organisation and
    site to every statement; a subclass builds its own with `self.select()`.
    """

    model: ClassVar[type[Any]]
    collection: ClassVar[str]
    order_fields: ClassVar[Mapping[str, InstrumentedAttribute[Any]]] = {}
    default_order: ClassVar[str] = "create_time desc"

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.session = ctx.session

    # names ---------------------------------------------------------------------------------

    @classmethod
    def name_of(cls, id: str) -> str:
        """Return the resource name of an id: `tickets/{id}`."""
        return f"{cls.collection}/{id}"

    @classmethod
    def id_of(cls, name: str, field: str = "name") -> str:
        """Return the id in a resource name.

        Raises:
            InvalidArgument: `name` is no name of this collection; the error names `field`.
        """
        collection, _, id = name.partition("/")
        if collection != cls.collection or not id or "/" in id:
            raise InvalidArgument.field(field, f"{name!r} is not {cls.collection}/{{id}}")
        return id

    # reading -------------------------------------------------------------------------------

    def select(self, *where: ColumnElement[bool]) -> Select[R]:
        """Return a statement for rows that fulfil every condition."""
        return select(self.model).where(*where)

    def find(self, id: str) -> R | None:
        """Return the row, or None."""
        return self.first(self.model.id == id)

    def get(self, id: str) -> R:
        """Return the row.

        Raises:
            NotFound: it is not there, or not for the caller's eyes.
        """
        row = self.find(id)
        if row is None:
            raise NotFound(f"{self.name_of(id)} does not exist")
        return row

    def get_by_name(self, name: str, field: str = "name", etag: str = "") -> R:
        """Return the row of a resource name; with `etag`, only in that version.

        Raises:
            InvalidArgument: `name` is no name of this collection; the error names `field`.
            NotFound: it is not there, or not for the caller's eyes.
            Aborted: `etag` is out of date.
        """
        row = self.get(self.id_of(name, field))
        self.check_etag(row, etag)
        return row

    def first(self, *where: ColumnElement[bool]) -> R | None:
        """Return a row that fulfils every condition, or None."""
        row: R | None = self.session.scalars(self.select(*where).limit(1)).first()
        return row

    def all(self, *where: ColumnElement[bool], order_by: Any = None) -> Sequence[R]:
        """Return every row that fulfils every condition; by id or by `order_by`, one or several."""
        order = order_by if isinstance(order_by, tuple) else (order_by,)
        statement = self.select(*where).order_by(*((self.model.id,) if order_by is None else order))
        return self.session.scalars(statement).all()

    def count_up(self, counters: type[Any], site: str, name: str) -> int:
        """Return the next value of a counter of `site`, from 1, without gaps.

        `counters` is the module's table of counters: rows with `site`, `name` and `value`. The row
        stays locked to the end of the transaction, so that a number is given once.
        """
        counter = self.session.scalars(
            select(counters).where(counters.site == site, counters.name == name).with_for_update()
        ).first()
        if counter is None:
            counter = counters(site=site, name=name, value=0)
            self.session.add(counter)
        counter.value += 1
        self.session.flush()
        return int(counter.value)

    def count(self, *where: ColumnElement[bool]) -> int:
        """Return how many rows fulfil every condition."""
        statement = select(func.count()).select_from(self.model).where(*where)
        return int(self.session.scalar(statement) or 0)

    def page(
        self,
        *where: ColumnElement[bool],
        size: int = 0,
        token: str = "",
        order_by: str = "",
    ) -> paging.Page[R]:
        """Return one page of the rows that fulfil every condition, as AIP-158 and AIP-132 say.

        Raises:
            InvalidArgument: a negative size, a token of another list, a field not to order by.
        """
        size = paging.page_size(size)
        order = self._order(order_by or self.default_order)
        query = self._fingerprint(where, order_by)
        statement = self.select(*where)
        if token:
            statement = statement.where(_after(order, self.ctx.page_tokens.read(query, token)))
        for column, descending in order:
            if column.nullable:  # PostgreSQL and SQLite disagree on where NULL goes
                statement = statement.order_by(case((column.is_(None), 1), else_=0))
            statement = statement.order_by(column.desc() if descending else column.asc())
        rows: list[R] = list(self.session.scalars(statement.limit(size + 1)).all())
        more = len(rows) > size
        rows = rows[:size]
        next_token = (
            self.ctx.page_tokens.make(query, [getattr(rows[-1], c.key) for c, _ in order])
            if more
            else ""
        )
        return paging.Page(rows, next_token, self.count(*where))

    # writing -------------------------------------------------------------------------------

    def add(self, row: R) -> R:
        """Add a row at once; the organisation and the times are set here.

        Raises:
            AlreadyExists: there is one with the same id, or the same value of a unique column.
            PermissionDenied: its site is none of the caller's.
        """
        try:
            with self.session.begin_nested():
                self.session.add(row)
                self.session.flush()
        except IntegrityError as error:
            if not _is_duplicate(error):
                raise
            kind = AlreadyExists if self.find(row.id) is not None else UnseenDuplicate
            raise kind(f"{self.name_of(row.id)} exists already") from error
        return row

    def delete(self, row: R) -> None:
        """Delete a row."""
        self.session.delete(row)
        self.session.flush()

    def flush(self) -> None:
        """Write what was changed, so that version, etag and times are the new ones."""
        self.session.flush()

    def check_etag(self, row: R, etag: str) -> None:
        """Let pass an empty `etag`, or the row's own.

        Raises:
            Aborted: it is out of date.
        """
        if etag and etag != row.etag:
            raise Aborted(f"{self.name_of(row.id)}: the etag {etag} is out of date, read it again")

    # order ---------------------------------------------------------------------------------

    def _order(self, order_by: str) -> Order:
        columns = {"create_time": self.model.create_time, **self.order_fields}
        order: Order = []
        for part in order_by.split(","):
            words = part.split()
            direction = words[1] if len(words) == 2 else "asc"
            if not words or len(words) > 2 or direction not in ("asc", "desc"):
                raise InvalidArgument.field(
                    "order_by", f"{order_by!r}: write fields with commas, each with or without desc"
                )
            if words[0] not in columns:
                raise InvalidArgument.field(
                    "order_by", f"{words[0]!r} is not one of {', '.join(sorted(columns))}"
                )
            order.append((columns[words[0]], direction == "desc"))
        order.append((self.model.id, order[0][1]))
        return order

    def _fingerprint(self, where: Sequence[ColumnElement[bool]], order_by: str) -> str:
        compiled = and_(*where).compile() if where else None
        text = "" if compiled is None else f"{compiled}{sorted(compiled.params.items())!r}"
        scope = (self.ctx.organisation, self.collection, order_by or self.default_order)
        return hashlib.sha256(repr((scope, text)).encode()).hexdigest()


def _after(order: Order, values: Sequence[Any]) -> ColumnElement[bool]:
    """Return the condition for rows that stand behind the one with the sort values `values`."""
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for (column, descending), value in zip(order, values, strict=True):
        if value is None:
            behind: ColumnElement[bool] = false()
        else:
            behind = column < value if descending else column > value
            if column.nullable:
                behind = or_(behind, column.is_(None))
        alternatives.append(and_(*equal, behind))
        equal.append(column.is_(None) if value is None else column == value)
    return or_(*alternatives)


def _is_duplicate(error: IntegrityError) -> bool:
    detail = error.orig.args[0] if error.orig is not None and error.orig.args else ""
    if isinstance(detail, dict):
        return detail.get("C") == "23505"
    return "UNIQUE constraint failed" in str(detail)
