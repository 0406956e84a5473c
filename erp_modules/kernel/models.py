"""The declarative base of every table, and the kernel's own tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from erp_modules.kernel.columns import UtcDateTime

# Constraints have names of their own, so that migrations can find them on every database.
NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every table; a table's name starts with its module's: `maintenance_tickets`."""

    metadata = MetaData(naming_convention=NAMING)


class Scoped:
    """Belongs to an organisation and a site; reads are filtered by both (see `scoping`)."""

    organisation: Mapped[str] = mapped_column(String(64), primary_key=True, sort_order=-3)
    site: Mapped[str] = mapped_column(String(64), sort_order=-2)


class Resource(Scoped):
    """A thing with a name: id, times and a version that becomes the etag.

    The primary key is `(organisation, id)`: foreign keys hold both columns. Times, organisation and
    version are set by the unit of work; a service sets `id`, `site` and what is its own.
    """

    site: Mapped[str] = mapped_column(String(64), sort_order=-2, index=True)
    id: Mapped[str] = mapped_column(String(128), primary_key=True, sort_order=-1)
    create_time: Mapped[datetime] = mapped_column(UtcDateTime, sort_order=1)
    update_time: Mapped[datetime] = mapped_column(UtcDateTime, sort_order=1)
    version: Mapped[int] = mapped_column(Integer, nullable=False, sort_order=1)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805
        return {"version_id_col": cls.version}

    @property
    def etag(self) -> str:
        """Changes whenever the row does."""
        return f"v{self.version}"


class AppendOnly:
    """Marks a table whose rows are never changed or deleted: a ledger, a trail.

    What was wrong is put right by a further row.
    """


class OutboxRow(Scoped, Base):
    """An event that was committed with the rows it tells of, published or not yet."""

    __tablename__ = "kernel_outbox"

    organisation: Mapped[str] = mapped_column(String(64), sort_order=-3)
    position: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    event_id: Mapped[str] = mapped_column(String(128), unique=True)
    type: Mapped[str] = mapped_column(String(128))
    body: Mapped[str] = mapped_column(Text)
    create_time: Mapped[datetime] = mapped_column(UtcDateTime)
    publish_time: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class HandledEvent(Scoped, Base):
    """That a handler has dealt with an event: done, or given up with the reason."""

    __tablename__ = "kernel_handled_events"

    handler: Mapped[str] = mapped_column(String(192), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), index=True)  # handled, dead
    attempts: Mapped[int] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    handle_time: Mapped[datetime] = mapped_column(UtcDateTime)


class AuditRecord(AppendOnly, Scoped, Base):
    """Who did what to which thing; never changed, never deleted."""

    __tablename__ = "kernel_audit"

    organisation: Mapped[str] = mapped_column(String(64), sort_order=-3, index=True)
    position: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    principal: Mapped[str] = mapped_column(String(128), index=True)
    action: Mapped[str] = mapped_column(String(192))
    resource: Mapped[str] = mapped_column(String(256), index=True)
    detail: Mapped[str] = mapped_column(Text)
    trace_id: Mapped[str] = mapped_column(String(64))
    create_time: Mapped[datetime] = mapped_column(UtcDateTime)


class RequestRecord(Scoped, Base):
    """What a call with a `request_id` answered, so that a second call answers the same."""

    __tablename__ = "kernel_request_ids"

    method: Mapped[str] = mapped_column(String(192), primary_key=True)
    principal: Mapped[str] = mapped_column(String(128), primary_key=True)
    request_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[bytes] = mapped_column(LargeBinary)
    create_time: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Lease(Scoped, Base):
    """When a scheduled job is due next; whoever holds the row runs it."""

    __tablename__ = "kernel_leases"

    job: Mapped[str] = mapped_column(String(192), primary_key=True)
    due_time: Mapped[datetime] = mapped_column(UtcDateTime)
    run_count: Mapped[int] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(Text)


class Secret(Scoped, Base):
    """A key that all replicas share, such as the one that signs page tokens."""

    __tablename__ = "kernel_secrets"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
