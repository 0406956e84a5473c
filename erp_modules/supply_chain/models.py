"""Tables: parts, bills of spares, bins, the stock ledger, reservations, requisitions, vendors."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from erp_modules.kernel.columns import ExactDecimal, UtcDateTime
from erp_modules.kernel.models import Base, Resource, Scoped


def _of_part() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["organisation", "part_id"], ["supply_chain_parts.organisation", "supply_chain_parts.id"]
    )


class VendorRow(Resource, Base):
    """Who sells parts."""

    __tablename__ = "supply_chain_vendors"
    __table_args__ = (UniqueConstraint("organisation", "site", "display_name"),)

    display_name: Mapped[str] = mapped_column(String(256))
    email: Mapped[str] = mapped_column(Text)
    phone: Mapped[str] = mapped_column(Text)
    currency_code: Mapped[str] = mapped_column(String(3))
    lead_time_days: Mapped[int] = mapped_column(Integer)


class BinRow(Resource, Base):
    """A place in the store; its id is `{site}~{code}`."""

    __tablename__ = "supply_chain_bins"

    code: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str] = mapped_column(Text)


class PartRow(Resource, Base):
    """A spare part; its id is `{site}~{part number}`, because every site keeps its own stock."""

    __tablename__ = "supply_chain_parts"
    __table_args__ = (UniqueConstraint("organisation", "site", "part_number"),)

    part_number: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(String(32))
    reorder_point: Mapped[Decimal] = mapped_column(ExactDecimal)
    reorder_quantity: Mapped[Decimal] = mapped_column(ExactDecimal)
    # Both empty when the price is not known.
    price_currency: Mapped[str] = mapped_column(String(3))
    price: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    lead_time_days: Mapped[int] = mapped_column(Integer)
    # Ids; empty for none.
    preferred_vendor: Mapped[str] = mapped_column(String(128))
    default_bin: Mapped[str] = mapped_column(String(128))


class SpareRow(Resource, Base):
    """A line of a bill of spares: for one machine, or (equipment empty) for a class of them."""

    __tablename__ = "supply_chain_spares"
    __table_args__ = (
        _of_part(),
        Index("ix_supply_chain_spares_need", "site", "failure_mode", "equipment_class"),
    )

    equipment: Mapped[str] = mapped_column(String(64))
    equipment_class: Mapped[str] = mapped_column(String(64))
    failure_mode: Mapped[str] = mapped_column(String(32))
    part_id: Mapped[str] = mapped_column(String(128))
    quantity: Mapped[Decimal] = mapped_column(ExactDecimal)


class StockMovementRow(Resource, Base):
    """A line of the stock ledger; never changed, never deleted."""

    __tablename__ = "supply_chain_stock_movements"
    __table_args__ = (
        _of_part(),
        Index("ix_supply_chain_stock_movements_balance", "organisation", "part_id", "bin_id"),
    )

    part_id: Mapped[str] = mapped_column(String(128))
    bin_id: Mapped[str] = mapped_column(String(128))
    type: Mapped[str] = mapped_column(String(32))
    quantity: Mapped[Decimal] = mapped_column(ExactDecimal)
    cost_currency: Mapped[str] = mapped_column(String(3))
    unit_cost: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    reference: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(128))


class ReservationRow(Resource, Base):
    """Parts kept for a ticket."""

    __tablename__ = "supply_chain_reservations"
    __table_args__ = (
        _of_part(),
        Index("ix_supply_chain_reservations_part", "organisation", "part_id", "state"),
        Index("ix_supply_chain_reservations_ticket", "organisation", "ticket"),
    )

    # A resource name, `tickets/{id}`: the ticket lives in another module.
    ticket: Mapped[str] = mapped_column(String(160))
    equipment: Mapped[str] = mapped_column(String(64))
    part_id: Mapped[str] = mapped_column(String(128))
    quantity: Mapped[Decimal] = mapped_column(ExactDecimal)
    reserved_quantity: Mapped[Decimal] = mapped_column(ExactDecimal)
    state: Mapped[str] = mapped_column(String(32))
    causing_sent_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RequisitionRow(Resource, Base):
    """A request to buy."""

    __tablename__ = "supply_chain_requisitions"
    __table_args__ = (
        _of_part(),
        UniqueConstraint("organisation", "site", "number"),
        # One request a part: what is needed more enlarges it.
        Index(
            "uq_supply_chain_requisitions_requested",
            "organisation",
            "part_id",
            unique=True,
            sqlite_where=text("state = 'REQUESTED'"),
            postgresql_where=text("state = 'REQUESTED'"),
        ),
    )

    number: Mapped[str] = mapped_column(String(32))
    part_id: Mapped[str] = mapped_column(String(128))
    # Empty when nobody is preferred.
    vendor_id: Mapped[str] = mapped_column(String(128))
    quantity: Mapped[Decimal] = mapped_column(ExactDecimal)
    cost_currency: Mapped[str] = mapped_column(String(3))
    estimated_cost: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    state: Mapped[str] = mapped_column(String(32), index=True)
    reason: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text)
    order_number: Mapped[str] = mapped_column(Text)
    need_by_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    causing_sent_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SettledTicketRow(Scoped, Base):
    """That a ticket has ended, and how: an event about it that comes later reserves nothing."""

    __tablename__ = "supply_chain_settled_tickets"

    ticket: Mapped[str] = mapped_column(String(160), primary_key=True)
    # Whether its parts were used (closed), else given back (cancelled, rejected).
    consumed: Mapped[bool]


class CounterRow(Scoped, Base):
    """The last readable number given at a site; numbers have no gaps because it rolls back too."""

    __tablename__ = "supply_chain_counters"

    site: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
