"""Tables: equipment, alarms, tickets with comments and history, and their counters."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from erp_modules.kernel.columns import ProtoMessage, UtcDateTime
from erp_modules.kernel.models import Base, Resource, Scoped
from stream_processor.v1.alert_pb2 import Advisory


class EquipmentRow(Resource, Base):
    """A machine; its id is `{site}~{tag}`, because two sites may use one tag."""

    __tablename__ = "maintenance_equipment"
    __table_args__ = (UniqueConstraint("organisation", "site", "tag"),)

    tag: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str] = mapped_column(Text)
    equipment_class: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(512))
    criticality: Mapped[int] = mapped_column(Integer)
    discovered: Mapped[bool] = mapped_column(Boolean)
    health: Mapped[float] = mapped_column(Float)
    # Event time of the advisory that `health` is from: an older one does not overwrite it.
    health_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AlarmRow(Resource, Base):
    """An alarm, with the facts its state follows from (see `alarm_states`)."""

    __tablename__ = "maintenance_alarms"
    __table_args__ = (
        Index("ix_maintenance_alarms_equipment_state", "site", "equipment", "state"),
        Index("ix_maintenance_alarms_shelving", "state", "shelve_expire_time"),
    )

    advisory_id: Mapped[str] = mapped_column(String(192))
    revision: Mapped[int] = mapped_column(BigInteger)
    equipment: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(32))
    active: Mapped[bool] = mapped_column(Boolean)
    acknowledged: Mapped[bool] = mapped_column(Boolean)
    out_of_service: Mapped[bool] = mapped_column(Boolean)
    severity: Mapped[int] = mapped_column(Integer)
    failure_mode: Mapped[str] = mapped_column(String(32))
    summary: Mapped[str] = mapped_column(Text)
    # Empty while no ticket belongs to it.
    ticket_id: Mapped[str] = mapped_column(String(128))
    # It asked for a ticket while it was shelved.
    ticket_withheld: Mapped[bool] = mapped_column(Boolean)
    advisory: Mapped[Advisory] = mapped_column(ProtoMessage(Advisory))
    raise_time: Mapped[datetime] = mapped_column(UtcDateTime)
    clear_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledge_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str] = mapped_column(String(128))
    shelve_reason: Mapped[str] = mapped_column(Text)
    shelve_expire_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    causing_sent_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TicketRow(Resource, Base):
    """A work order."""

    __tablename__ = "maintenance_tickets"
    __table_args__ = (
        UniqueConstraint("organisation", "site", "number"),
        Index("ix_maintenance_tickets_equipment_state", "site", "equipment", "state"),
    )

    number: Mapped[str] = mapped_column(String(32))
    equipment: Mapped[str] = mapped_column(String(64))
    equipment_class: Mapped[str] = mapped_column(String(64))
    # Empty when a person opened it.
    alarm_id: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(32), index=True)
    priority: Mapped[int] = mapped_column(Integer)
    severity: Mapped[int] = mapped_column(Integer)
    failure_mode: Mapped[str] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    suggested_steps: Mapped[list[str]] = mapped_column(JSON)
    assignee: Mapped[str] = mapped_column(String(128), index=True)
    hold_reason: Mapped[str] = mapped_column(Text)
    resolution: Mapped[str] = mapped_column(Text)
    # Empty until it was found.
    found_failure_mode: Mapped[str] = mapped_column(String(32))
    scheduled_start_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    start_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    complete_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Also of a cancelled or rejected one.
    close_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Start of the present hold, and the length of those that ended.
    hold_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    held_ms: Mapped[int] = mapped_column(BigInteger)
    advisory: Mapped[Advisory | None] = mapped_column(ProtoMessage(Advisory))
    advisory_count: Mapped[int] = mapped_column(Integer)
    # Lines of history so far: numbers the next one.
    history_count: Mapped[int] = mapped_column(Integer)
    causing_sent_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TicketCommentRow(Resource, Base):
    """What someone said about a ticket."""

    __tablename__ = "maintenance_ticket_comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organisation", "ticket_id"],
            ["maintenance_tickets.organisation", "maintenance_tickets.id"],
        ),
        Index("ix_maintenance_ticket_comments_ticket", "organisation", "ticket_id", "create_time"),
    )

    ticket_id: Mapped[str] = mapped_column(String(128))
    author: Mapped[str] = mapped_column(String(128))
    text: Mapped[str] = mapped_column(Text)


class TicketEventRow(Resource, Base):
    """A line of a ticket's history: who, what, from which state to which; never changed."""

    __tablename__ = "maintenance_ticket_events"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organisation", "ticket_id"],
            ["maintenance_tickets.organisation", "maintenance_tickets.id"],
        ),
        UniqueConstraint("organisation", "ticket_id", "sequence"),
    )

    ticket_id: Mapped[str] = mapped_column(String(128))
    sequence: Mapped[int] = mapped_column(Integer)
    actor: Mapped[str] = mapped_column(String(128))
    type: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    from_state: Mapped[str] = mapped_column(String(32))
    to_state: Mapped[str] = mapped_column(String(32))


class CounterRow(Scoped, Base):
    """The last readable number given at a site; numbers have no gaps because it rolls back too."""

    __tablename__ = "maintenance_counters"

    site: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
