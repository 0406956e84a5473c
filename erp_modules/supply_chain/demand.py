"""What a ticket means for the store: its spares are reserved, consumed or given back.

Handlers of the maintenance module's events. Ids are derived from ticket and part, and how a ticket
ended is kept, so that each event counts once and an early end is not forgotten.
"""

from __future__ import annotations

from datetime import datetime

from erp_modules.kernel.context import Context
from erp_modules.kernel.events import Event
from erp_modules.kernel.ids import derived_id
from erp_modules.supply_chain import ledger, purchasing
from erp_modules.supply_chain.repository import (
    PartRepository,
    ReservationRepository,
    SettledTickets,
    SpareRepository,
)

# A ticket whose work is done needs no more parts, whatever is found out about it.
_DONE = frozenset({"TICKET_STATE_COMPLETED", "TICKET_STATE_VERIFIED"})


def reserve_spares(ctx: Context, event: Event) -> None:
    """Reserve what the bill of spares lists for the failure mode, and reorder what runs low.

    A part that the ticket has, or had, a reservation for is left alone: a person may have released
    it.
    """
    data = event.data
    ticket, site = str(data["ticket"]), str(data["site"])
    if data.get("state") in _DONE:
        return
    sent = data.get("sentTime")
    sent_time = datetime.fromisoformat(str(sent)) if sent else None
    reserved = ReservationRepository(ctx)
    equipment = str(data["equipment"])
    for line in SpareRepository(ctx).needed(
        site,
        equipment,
        str(data["equipmentClass"]),
        str(data["failureMode"]).removeprefix("FAILURE_MODE_"),
    ):
        id = reservation_id(ticket, line.part_id)
        if reserved.find(id) is not None:
            continue
        part = PartRepository(ctx).get(line.part_id)
        row = ledger.reserve(
            ctx,
            id,
            part,
            line.quantity,
            ticket=ticket,
            equipment=equipment,
            sent_time=sent_time,
        )
        purchasing.replenish(ctx, part, reference=f"reservations/{row.id}", sent_time=sent_time)
    ended = SettledTickets(reserved).find(ticket)
    if ended is not None:
        ledger.settle(ctx, reserved.active_of_ticket(ticket), consumed=ended.consumed)


def reservation_id(ticket: str, part_id: str) -> str:
    """Return the id of the reservation of a part for a ticket, a pure function of both."""
    return derived_id("rsv", ticket, part_id)


def consume_spares(ctx: Context, event: Event) -> None:
    """Take out of stock what was reserved for a ticket that was closed."""
    _end(ctx, event, consumed=True)


def release_spares(ctx: Context, event: Event) -> None:
    """Give back what was reserved for a ticket that was cancelled or rejected."""
    _end(ctx, event, consumed=False)


def _end(ctx: Context, event: Event, *, consumed: bool) -> None:
    ticket = str(event.data["ticket"])
    reserved = ReservationRepository(ctx)
    SettledTickets(reserved).add(ticket, event.site, consumed=consumed)
    ledger.settle(ctx, reserved.active_of_ticket(ticket), consumed=consumed)
