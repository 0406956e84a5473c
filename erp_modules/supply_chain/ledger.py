"""What happens to stock: movements are posted, reservations made, filled, consumed and released.

After each of these the part is in balance: nothing is reserved that does not lie on hand, and
nothing lies free while a reservation waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from erp_modules.kernel.context import Context
from erp_modules.kernel.ids import derived_id
from erp_modules.supply_chain import events, reservations, stock
from erp_modules.supply_chain.errors import NothingReserved, ReservationIsSettled, StockTooLow
from erp_modules.supply_chain.mapping import part_name
from erp_modules.supply_chain.models import PartRow, ReservationRow, StockMovementRow
from erp_modules.supply_chain.repository import (
    PartRepository,
    ReservationRepository,
    StockMovementRepository,
)
from erp_modules.supply_chain.reservations import ACTIVE_STATES, Claim, ReservationState, state_of
from erp_modules.supply_chain.stock import ZERO, MovementType


@dataclass(frozen=True, slots=True)
class Movement:
    """A movement to post; `quantity` is signed, `reference` names what caused it."""

    type: MovementType
    quantity: Decimal
    bin_id: str
    reference: str = ""
    note: str = ""
    cost_currency: str = ""
    unit_cost: Decimal | None = None


def post(ctx: Context, id: str, part: PartRow, movement: Movement) -> StockMovementRow:
    """Append a line to the ledger; the caller then calls `balance`.

    Raises:
        StockTooLow: the bin does not hold what is taken out, or an issue would take reserved stock.
    """
    ledger = StockMovementRepository(ctx)
    if movement.quantity < ZERO:
        there = ledger.balances(part).get(movement.bin_id, ZERO)
        if there + movement.quantity < ZERO:
            raise StockTooLow(
                part_name(part.id), -movement.quantity, there, f"in bins/{movement.bin_id}"
            )
    return ledger.add(
        StockMovementRow(
            id=id,
            site=part.site,
            part_id=part.id,
            bin_id=movement.bin_id,
            type=movement.type,
            quantity=movement.quantity,
            cost_currency=movement.cost_currency,
            unit_cost=movement.unit_cost,
            reference=movement.reference,
            note=movement.note,
            actor=ctx.principal.id,
        )
    )


def issue(ctx: Context, id: str, part: PartRow, movement: Movement) -> StockMovementRow:
    """Append an issue of stock that nobody has reserved.

    Raises:
        StockTooLow: less than that is available.
    """
    available = PartRepository(ctx).level(part).available
    if available + movement.quantity < ZERO:
        raise StockTooLow(part_name(part.id), -movement.quantity, available, "available")
    return post(ctx, id, part, movement)


def transfer(
    ctx: Context, id: str, part: PartRow, from_bin: str, arriving: Movement
) -> StockMovementRow:
    """Append the two lines of a transfer and return the one that arrives.

    Raises:
        StockTooLow: the bin it comes from does not hold so much.
    """
    post(
        ctx,
        derived_id("mov", id, "out"),
        part,
        Movement(
            MovementType.TRANSFER,
            -arriving.quantity,
            from_bin,
            reference=f"bins/{arriving.bin_id}",
            note=arriving.note,
        ),
    )
    return post(ctx, id, part, arriving)


def balance(ctx: Context, part: PartRow) -> None:
    """Bring the reservations of a part in line with what lies on hand.

    What is free fills those that wait, oldest first; when a count found less, the newest lose
    first.
    """
    repository = ReservationRepository(ctx)
    waiting = {row.id: row for row in repository.active_of_part(part.id)}
    claims = [Claim(row.id, row.quantity, row.reserved_quantity) for row in waiting.values()]
    level = PartRepository(ctx).level(part)
    if level.available < ZERO:
        changed = reservations.shorten(level.on_hand, claims)
    else:
        changed = reservations.fill(level.available, claims)
    for id, reserved in changed.items():
        row = waiting[id]
        row.reserved_quantity = reserved
        row.state = state_of(row.quantity, reserved)
        repository.flush()
        events.announce_reservation(ctx, row, events.RESERVATION_CHANGED)


def reserve(
    ctx: Context,
    id: str,
    part: PartRow,
    quantity: Decimal,
    *,
    ticket: str,
    equipment: str,
    sent_time: datetime | None = None,
) -> ReservationRow:
    """Keep `quantity` for a ticket, or as much as there is: then it is short of the rest."""
    reserved = min(PartRepository(ctx).level(part).available, quantity)
    row = ReservationRepository(ctx).add(
        ReservationRow(
            id=id,
            site=part.site,
            ticket=ticket,
            equipment=equipment,
            part_id=part.id,
            quantity=quantity,
            reserved_quantity=reserved,
            state=state_of(quantity, reserved),
            causing_sent_time=sent_time,
        )
    )
    events.announce_reservation(ctx, row, events.RESERVATION_CREATED, (id,))
    return row


def consume(ctx: Context, row: ReservationRow) -> ReservationRow:
    """Take what is reserved out of stock.

    Raises:
        ReservationIsSettled: it was released.
        NothingReserved: it waits for all that it asks for.
    """
    if row.state == ReservationState.CONSUMED:
        return row
    _check_active(row)
    if row.reserved_quantity == ZERO:
        raise NothingReserved(f"reservations/{row.id}")
    part = PartRepository(ctx).get(row.part_id)
    bins = StockMovementRepository(ctx).balances(part)
    taken = stock.draw(bins, row.reserved_quantity, part.default_bin)
    row.state = ReservationState.CONSUMED
    ReservationRepository(ctx).flush()
    for bin_id, quantity in taken:
        post(
            ctx,
            derived_id("mov", row.id, bin_id),
            part,
            Movement(
                MovementType.ISSUE,
                -quantity,
                bin_id,
                reference=f"reservations/{row.id}",
                cost_currency=part.price_currency,
                unit_cost=part.price,
            ),
        )
    events.announce_reservation(ctx, row, events.RESERVATION_CONSUMED)
    return row


def release(ctx: Context, row: ReservationRow) -> ReservationRow:
    """Give back what is reserved; those that wait for the part get it.

    Raises:
        ReservationIsSettled: it was consumed.
    """
    if row.state == ReservationState.RELEASED:
        return row
    _check_active(row)
    row.state = ReservationState.RELEASED
    row.reserved_quantity = ZERO
    ReservationRepository(ctx).flush()
    events.announce_reservation(ctx, row, events.RESERVATION_RELEASED)
    balance(ctx, PartRepository(ctx).get(row.part_id))
    return row


def settle(ctx: Context, rows: Sequence[ReservationRow], *, consumed: bool) -> None:
    """Consume every one of `rows` that holds something, or release all."""
    for row in rows:
        if consumed and row.reserved_quantity > ZERO:
            consume(ctx, row)
        else:
            release(ctx, row)


def _check_active(row: ReservationRow) -> None:
    if row.state not in ACTIVE_STATES:
        raise ReservationIsSettled(f"reservations/{row.id}", row.state)
