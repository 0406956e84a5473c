"""From rows to messages, and between the contract's enumerations and ours."""

from __future__ import annotations

from decimal import Decimal

from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.fields import decimal_of, timestamp_of
from erp_modules.supply_chain.models import (
    BinRow,
    PartRow,
    RequisitionRow,
    ReservationRow,
    SpareRow,
    StockMovementRow,
    VendorRow,
)
from erp_modules.supply_chain.stock import ZERO, MovementType, StockLevel
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from stream_processor.v1 import alert_pb2


def failure_mode_of(value: alert_pb2.FailureMode.ValueType) -> str:
    """Return the stored name of a mode: the contract's without its prefix."""
    return alert_pb2.FailureMode.Name(value).removeprefix("FAILURE_MODE_")


def movement_type_of(value: pb.MovementType.ValueType, field: str) -> MovementType:
    """Return our type.

    Raises:
        InvalidArgument: it is unspecified.
    """
    if value == pb.MOVEMENT_TYPE_UNSPECIFIED:
        raise InvalidArgument.field(field, "is required")
    return MovementType(pb.MovementType.Name(value).removeprefix("MOVEMENT_TYPE_"))


# So that every cost and every sum of them fits its column.
_MOST = Decimal(10**6)


def bounded_of(text: str, field: str, *, minimum: Decimal = -_MOST) -> Decimal:
    """Return a quantity or price from `minimum` to a million.

    Raises:
        InvalidArgument: it is none.
    """
    value = decimal_of(text, field, minimum=minimum)
    if value > _MOST:
        raise InvalidArgument.field(field, f"{text} is more than {_MOST}")
    return value


def quantity_of(text: str, field: str) -> Decimal:
    """Return a quantity above zero.

    Raises:
        InvalidArgument: it is none.
    """
    quantity = bounded_of(text, field)
    if quantity <= ZERO:
        raise InvalidArgument.field(field, f"{text} is not above zero")
    return quantity


def money_of(money: pb.Money, field: str) -> tuple[str, Decimal]:
    """Return currency and amount.

    Raises:
        InvalidArgument: the currency is no ISO 4217 code, or the amount no decimal of zero or more.
    """
    code = money.currency_code
    if len(code) != 3 or not code.isascii() or not code.isalpha() or not code.isupper():
        raise InvalidArgument.field(
            f"{field}.currency_code", f"{code!r} is no ISO 4217 code such as EUR"
        )
    return code, bounded_of(money.amount, f"{field}.amount", minimum=ZERO)


def text_of(value: Decimal) -> str:
    """Return a decimal as the contract writes it: plain, without trailing zeros."""
    return f"{value.normalize():f}" if value else "0"


def part_name(part_id: str) -> str:
    """Return the resource name of a part from its id, `{site}~{part number}`."""
    return f"parts/{part_id.partition('~')[2]}"


def _money(currency: str, amount: Decimal | None) -> pb.Money | None:
    if amount is None:
        return None
    # As money is written: `12.50`, and finer prices in full.
    places = max(2, -int(amount.normalize().as_tuple().exponent))
    return pb.Money(currency_code=currency, amount=f"{amount:.{places}f}")


def _name(collection: str, id: str) -> str:
    return f"{collection}/{id}" if id else ""


def part_message(row: PartRow, level: StockLevel) -> pb.Part:
    """Return a part with where it stands."""
    return pb.Part(
        name=part_name(row.id),
        site=row.site,
        part_number=row.part_number,
        display_name=row.display_name,
        unit=row.unit,
        on_hand_quantity=text_of(level.on_hand),
        reserved_quantity=text_of(level.reserved),
        available_quantity=text_of(level.available),
        on_order_quantity=text_of(level.on_order),
        reorder_point=text_of(row.reorder_point),
        reorder_quantity=text_of(row.reorder_quantity),
        unit_price=_money(row.price_currency, row.price),
        lead_time_days=row.lead_time_days,
        preferred_vendor=_name("vendors", row.preferred_vendor),
        default_bin=_name("bins", row.default_bin),
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
    )


def spare_message(row: SpareRow) -> pb.Spare:
    """Return a line of a bill of spares."""
    return pb.Spare(
        name=f"spares/{row.id}",
        site=row.site,
        equipment=row.equipment,
        equipment_class=row.equipment_class,
        failure_mode=alert_pb2.FailureMode.Value(f"FAILURE_MODE_{row.failure_mode}"),
        part=part_name(row.part_id),
        quantity=text_of(row.quantity),
        create_time=timestamp_of(row.create_time),
    )


def bin_message(row: BinRow) -> pb.Bin:
    """Return a bin."""
    return pb.Bin(
        name=f"bins/{row.id}",
        site=row.site,
        code=row.code,
        display_name=row.display_name,
        create_time=timestamp_of(row.create_time),
    )


def movement_message(row: StockMovementRow) -> pb.StockMovement:
    """Return a line of the ledger."""
    return pb.StockMovement(
        name=f"stockMovements/{row.id}",
        site=row.site,
        part=part_name(row.part_id),
        bin=f"bins/{row.bin_id}",
        type=pb.MovementType.Value(f"MOVEMENT_TYPE_{row.type}"),
        quantity=text_of(row.quantity),
        unit_cost=_money(row.cost_currency, row.unit_cost),
        reference=row.reference,
        note=row.note,
        actor=row.actor,
        create_time=timestamp_of(row.create_time),
    )


def reservation_message(row: ReservationRow) -> pb.Reservation:
    """Return a reservation."""
    return pb.Reservation(
        name=f"reservations/{row.id}",
        site=row.site,
        ticket=row.ticket,
        equipment=row.equipment,
        part=part_name(row.part_id),
        quantity=text_of(row.quantity),
        reserved_quantity=text_of(row.reserved_quantity),
        state=pb.ReservationState.Value(f"RESERVATION_STATE_{row.state}"),
        causing_sent_time=timestamp_of(row.causing_sent_time),
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
    )


def requisition_message(row: RequisitionRow) -> pb.Requisition:
    """Return a requisition."""
    return pb.Requisition(
        name=f"requisitions/{row.id}",
        site=row.site,
        number=row.number,
        part=part_name(row.part_id),
        vendor=_name("vendors", row.vendor_id),
        quantity=text_of(row.quantity),
        estimated_cost=_money(row.cost_currency, row.estimated_cost),
        state=pb.RequisitionState.Value(f"REQUISITION_STATE_{row.state}"),
        reason=row.reason,
        reference=row.reference,
        order_number=row.order_number,
        need_by_time=timestamp_of(row.need_by_time),
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
        causing_sent_time=timestamp_of(row.causing_sent_time),
    )


def vendor_message(row: VendorRow) -> pb.Vendor:
    """Return a vendor."""
    return pb.Vendor(
        name=f"vendors/{row.id}",
        site=row.site,
        display_name=row.display_name,
        email=row.email,
        phone=row.phone,
        currency_code=row.currency_code,
        lead_time_days=row.lead_time_days,
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
    )
