"""What must be bought: requisitions raised, enlarged, approved, ordered, received."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.ids import derived_id
from erp_modules.supply_chain import events, ledger
from erp_modules.supply_chain.mapping import text_of
from erp_modules.supply_chain.models import PartRow, RequisitionRow
from erp_modules.supply_chain.reorder import estimated_cost, quantity_to_order
from erp_modules.supply_chain.repository import (
    BinRepository,
    PartRepository,
    RequisitionRepository,
)
from erp_modules.supply_chain.requisition_states import STEPS, RequisitionState, Step, next_state
from erp_modules.supply_chain.stock import ZERO, MovementType, StockLevel


def replenish(
    ctx: Context, part: PartRow, *, reference: str, sent_time: datetime | None = None
) -> RequisitionRow | None:
    """Raise or enlarge the part's one requisition when it is at or under its reorder point.

    `reference` names what took the stock; the requisition's id is a pure function of it and the
    part.
    """
    level = PartRepository(ctx).level(part)
    quantity = quantity_to_order(level, part.reorder_point, part.reorder_quantity)
    if quantity == ZERO:
        return None
    requested = RequisitionRepository(ctx).requested(part.id)
    if requested is not None:
        return enlarge(ctx, requested, part, quantity)
    return raise_requisition(
        ctx,
        derived_id("prq", part.id, reference),
        part,
        quantity,
        reason=_reason(part, level),
        reference=reference,
        sent_time=sent_time,
        causes=(part.id, reference),
    )


def _reason(part: PartRow, level: StockLevel) -> str:
    short = f", {text_of(level.short)} short" if level.short else ""
    return (
        f"{text_of(level.available)} {part.unit} available{short} and {text_of(level.on_order)} on "
        f"order: at or under the reorder point of {text_of(part.reorder_point)}."
    )


def raise_requisition(
    ctx: Context,
    id: str,
    part: PartRow,
    quantity: Decimal,
    *,
    reason: str,
    reference: str,
    vendor_id: str = "",
    need_by_time: datetime | None = None,
    sent_time: datetime | None = None,
    causes: tuple[str, ...] = (),
) -> RequisitionRow:
    """Ask for `quantity` of a part, by default of its preferred vendor and by its lead time."""
    repository = RequisitionRepository(ctx)
    row = repository.add(
        RequisitionRow(
            id=id,
            site=part.site,
            number=repository.next_number(part.site),
            part_id=part.id,
            vendor_id=vendor_id or part.preferred_vendor,
            quantity=quantity,
            cost_currency=part.price_currency,
            estimated_cost=_cost(part, quantity),
            state=RequisitionState.REQUESTED,
            reason=reason,
            reference=reference,
            order_number="",
            need_by_time=need_by_time or ctx.now() + timedelta(days=part.lead_time_days),
            causing_sent_time=sent_time,
        )
    )
    events.announce_requisition(ctx, row, events.REQUISITION_RAISED, causes)
    return row


def enlarge(ctx: Context, row: RequisitionRow, part: PartRow, quantity: Decimal) -> RequisitionRow:
    """Add `quantity` to a requisition that is not approved yet."""
    change(ctx, row, part, {"quantity": row.quantity + quantity})
    return row


def change(ctx: Context, row: RequisitionRow, part: PartRow, changes: dict[str, Any]) -> None:
    """Change columns of a requisition; its cost follows."""
    for column, value in changes.items():
        setattr(row, column, value)
    row.estimated_cost = _cost(part, row.quantity)
    RequisitionRepository(ctx).flush()
    events.announce_requisition(ctx, row, events.REQUISITION_UPDATED)


def _cost(part: PartRow, quantity: Decimal) -> Decimal | None:
    return None if part.price is None else estimated_cost(quantity, part.price)


_EVENTS = {
    Step.APPROVE: events.REQUISITION_APPROVED,
    Step.ORDER: events.REQUISITION_ORDERED,
    Step.RECEIVE: events.REQUISITION_RECEIVED,
    Step.CANCEL: events.REQUISITION_CANCELLED,
}


def take_step(
    ctx: Context, name: str, etag: str, step: Step, *, bin_name: str = "", **changes: str
) -> RequisitionRow:
    """Take the requisition `name` one step on, with `changes` of its columns.

    A call that would change nothing, because the step was taken with the same words before, returns
    the requisition as it is. Receiving makes one receipt movement and fills the reservations that
    wait.

    Raises:
        NotFound, Aborted: there is no such requisition, or `etag` is out of date.
        RequisitionStepNotAllowed: its state does not allow the step.
        InvalidArgument: it is received without a bin, and the part has no default one.
    """
    repository = RequisitionRepository(ctx)
    row = repository.get_by_name(name)
    if row.state == STEPS[step][1] and all(getattr(row, c) == v for c, v in changes.items()):
        return row
    repository.check_etag(row, etag)
    row.state = next_state(RequisitionState(row.state), step)
    for column, value in changes.items():
        setattr(row, column, value)
    repository.flush()
    events.announce_requisition(ctx, row, _EVENTS[step])
    if step is Step.RECEIVE:
        _receive(ctx, row, bin_name)
    return row


def _receive(ctx: Context, row: RequisitionRow, bin_name: str) -> None:
    part = PartRepository(ctx).get(row.part_id)
    ledger.post(
        ctx,
        derived_id("mov", row.id),
        part,
        ledger.Movement(
            MovementType.RECEIPT,
            row.quantity,
            bin_of(ctx, part, bin_name, "bin"),
            reference=f"requisitions/{row.id}",
            cost_currency=part.price_currency,
            unit_cost=part.price,
        ),
    )
    ledger.balance(ctx, part)


def bin_of(ctx: Context, part: PartRow, name: str, field: str) -> str:
    """Return the id of the bin `name`, or of the part's default one when `name` is empty.

    Raises:
        InvalidArgument: there is none, or not at the part's site; the error names `field`.
    """
    if not name:
        if not part.default_bin:
            raise InvalidArgument.field(field, "is required: the part has no default bin")
        return part.default_bin
    repository = BinRepository(ctx)
    row = repository.find(repository.id_of(name, field))
    if row is None or row.site != part.site:
        raise InvalidArgument.field(field, f"{name} does not exist at {part.site}")
    return row.id
