"""The events this module emits; `handlers` has what it does about others'."""

from __future__ import annotations

from datetime import datetime

from erp_modules.kernel.context import Context
from erp_modules.kernel.events import EventType
from erp_modules.supply_chain.mapping import part_name, text_of
from erp_modules.supply_chain.models import RequisitionRow, ReservationRow

RESERVATION_CREATED = EventType("supply_chain.reservation.created")
RESERVATION_CHANGED = EventType("supply_chain.reservation.changed")
RESERVATION_CONSUMED = EventType("supply_chain.reservation.consumed")
RESERVATION_RELEASED = EventType("supply_chain.reservation.released")
REQUISITION_RAISED = EventType("supply_chain.requisition.raised")
REQUISITION_UPDATED = EventType("supply_chain.requisition.updated")
REQUISITION_APPROVED = EventType("supply_chain.requisition.approved")
REQUISITION_ORDERED = EventType("supply_chain.requisition.ordered")
REQUISITION_RECEIVED = EventType("supply_chain.requisition.received")
REQUISITION_CANCELLED = EventType("supply_chain.requisition.cancelled")

EMITTED = (
    RESERVATION_CREATED,
    RESERVATION_CHANGED,
    RESERVATION_CONSUMED,
    RESERVATION_RELEASED,
    REQUISITION_RAISED,
    REQUISITION_UPDATED,
    REQUISITION_APPROVED,
    REQUISITION_ORDERED,
    REQUISITION_RECEIVED,
    REQUISITION_CANCELLED,
)


def announce_reservation(
    ctx: Context, row: ReservationRow, type: EventType, causes: tuple[str, ...] = ()
) -> None:
    """Emit an event about a reservation as it now is."""
    ctx.emit(
        type,
        subject=f"reservations/{row.id}",
        site=row.site,
        data={
            "reservation": f"reservations/{row.id}",
            "site": row.site,
            "ticket": row.ticket,
            "equipment": row.equipment,
            "part": part_name(row.part_id),
            "quantity": text_of(row.quantity),
            "reservedQuantity": text_of(row.reserved_quantity),
            "state": f"RESERVATION_STATE_{row.state}",
            "sentTime": _json_time(row.causing_sent_time),
        },
        causes=causes,
    )


def announce_requisition(
    ctx: Context, row: RequisitionRow, type: EventType, causes: tuple[str, ...] = ()
) -> None:
    """Emit an event about a requisition as it now is."""
    ctx.emit(
        type,
        subject=f"requisitions/{row.id}",
        site=row.site,
        data={
            "requisition": f"requisitions/{row.id}",
            "number": row.number,
            "site": row.site,
            "part": part_name(row.part_id),
            "quantity": text_of(row.quantity),
            "state": f"REQUISITION_STATE_{row.state}",
            "reason": row.reason,
            "reference": row.reference,
            "sentTime": _json_time(row.causing_sent_time),
        },
        causes=causes,
    )


def _json_time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")
