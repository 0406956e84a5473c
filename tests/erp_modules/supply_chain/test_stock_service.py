"""Movements and reservations by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

Call = Callable[..., Any]
BREWER = Principal("users/bo", sites=frozenset({"brewery"}), roles=frozenset({Role.PLANNER}))


def move(call: Call, kind: str, quantity: str, **fields: Any) -> pb.StockMovement:
    movement = pb.StockMovement(
        **{
            "site": "bottling",
            "part": "parts/BRG-6205",
            "type": pb.MovementType.Value(f"MOVEMENT_TYPE_{kind}"),
            "quantity": quantity,
            **fields,
        }
    )
    made: pb.StockMovement = call(
        "StockMovementService.CreateStockMovement",
        pb.CreateStockMovementRequest(stock_movement=movement),
    )
    return made


def reserve(call: Call, ticket: str, quantity: str) -> pb.Reservation:
    made: pb.Reservation = call(
        "ReservationService.CreateReservation",
        pb.CreateReservationRequest(
            reservation=pb.Reservation(
                site="bottling", ticket=ticket, part="parts/BRG-6205", quantity=quantity
            )
        ),
    )
    return made


def get_part(call: Call) -> pb.Part:
    part: pb.Part = call("PartService.GetPart", pb.GetPartRequest(name="parts/BRG-6205"))
    return part


def get(call: Call, reservation: pb.Reservation) -> pb.Reservation:
    found: pb.Reservation = call(
        "ReservationService.GetReservation", pb.GetReservationRequest(name=reservation.name)
    )
    return found


def test_movements_add_up(app_on_both: Application, call: Call, store: pb.Part) -> None:
    move(call, "RECEIPT", "0.1")
    move(call, "RETURN", "0.2")
    counted = move(call, "ADJUSTMENT", "-0.3", note="Count")
    assert counted.bin == "bins/bottling~A1"
    assert counted.actor == "users/ada"
    assert get_part(call).on_hand_quantity == "4"
    found = call(
        "StockMovementService.GetStockMovement", pb.GetStockMovementRequest(name=counted.name)
    )
    assert found == counted
    listed = call(
        "StockMovementService.ListStockMovements",
        pb.ListStockMovementsRequest(part=store.name, bin="bins/bottling~A1", site="bottling"),
    )
    assert listed.total_size == 4
    with pytest.raises(NotFound):
        call(
            "StockMovementService.GetStockMovement",
            pb.GetStockMovementRequest(name=counted.name),
            BREWER,
        )


def test_create_stock_movement_is_once_by_request_id(call: Call, store: pb.Part) -> None:
    request = pb.CreateStockMovementRequest(
        stock_movement=pb.StockMovement(
            site="bottling", part=store.name, type=pb.MOVEMENT_TYPE_RECEIPT, quantity="1"
        ),
        request_id="r1",
    )
    first = call("StockMovementService.CreateStockMovement", request)
    assert call("StockMovementService.CreateStockMovement", request) == first
    assert get_part(call).on_hand_quantity == "5"


@pytest.mark.parametrize("kind", ["ISSUE", "ADJUSTMENT"])
def test_stock_is_never_negative(call: Call, store: pb.Part, kind: str) -> None:
    with pytest.raises(FailedPrecondition, match="never negative"):
        move(call, kind, "-5")
    assert get_part(call).on_hand_quantity == "4"


def test_an_issue_leaves_what_is_reserved(call: Call, store: pb.Part) -> None:
    reserve(call, "tickets/t-1", "3")
    with pytest.raises(FailedPrecondition, match="1 available"):
        move(call, "ISSUE", "-2")
    move(call, "ISSUE", "-1")
    part = get_part(call)
    assert (part.on_hand_quantity, part.available_quantity) == ("3", "0")


def test_a_count_that_finds_less_shortens_the_newest(
    call: Call, store: pb.Part, clock: Any
) -> None:
    first = reserve(call, "tickets/t-1", "2")
    second = reserve(call, "tickets/t-2", "2")
    move(call, "ADJUSTMENT", "-1")
    later = get(call, second) if second.name > first.name else get(call, first)
    assert later.state == pb.RESERVATION_STATE_SHORT
    assert later.reserved_quantity == "1"
    move(call, "ADJUSTMENT", "1")
    assert get(call, later).state == pb.RESERVATION_STATE_RESERVED


def test_a_transfer_is_two_lines(call: Call, store: pb.Part) -> None:
    call("BinService.CreateBin", pb.CreateBinRequest(bin=pb.Bin(site="bottling", code="B2")))
    arrived = move(
        call, "TRANSFER", "3", bin="bins/bottling~B2", reference="bins/bottling~A1", note="Tidy"
    )
    assert (arrived.bin, arrived.quantity) == ("bins/bottling~B2", "3")
    left = call(
        "StockMovementService.ListStockMovements",
        pb.ListStockMovementsRequest(bin="bins/bottling~A1"),
    ).stock_movements
    assert sorted(m.quantity for m in left) == ["-3", "4"]
    assert get_part(call).on_hand_quantity == "4"
    with pytest.raises(FailedPrecondition, match="1 in bins/bottling~A1"):
        move(call, "TRANSFER", "2", bin="bins/bottling~B2", reference="bins/bottling~A1")
    with pytest.raises(InvalidArgument, match="comes from"):
        move(call, "TRANSFER", "1", bin="bins/bottling~B2")
    with pytest.raises(InvalidArgument, match="is the bin itself"):
        move(call, "TRANSFER", "1", bin="bins/bottling~B2", reference="bins/bottling~B2")


@pytest.mark.parametrize(
    ("kind", "quantity", "fields", "field"),
    [
        ("RECEIPT", "-1", {}, "quantity"),
        ("ISSUE", "1", {}, "quantity"),
        ("RECEIPT", "one", {}, "quantity"),
        ("RECEIPT", "1000001", {}, "quantity"),
        ("RECEIPT", "1", {"part": "parts/NONE"}, "part"),
        ("RECEIPT", "1", {"bin": "bins/none"}, "bin"),
        ("UNSPECIFIED", "1", {}, "type"),
    ],
)
def test_create_stock_movement_names_the_wrong_field(
    call: Call, store: pb.Part, kind: str, quantity: str, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as error:
        move(call, kind, quantity, **fields)
    assert error.value.violations[0].field == f"stock_movement.{field}"


def test_create_reservation_takes_what_there_is(
    app_on_both: Application, call: Call, store: pb.Part
) -> None:
    whole = reserve(call, "tickets/t-1", "3")
    assert whole.state == pb.RESERVATION_STATE_RESERVED
    short = reserve(call, "tickets/t-2", "3")
    assert short.state == pb.RESERVATION_STATE_SHORT
    assert short.reserved_quantity == "1"
    part = get_part(call)
    assert (part.reserved_quantity, part.available_quantity) == ("4", "0")
    with pytest.raises(AlreadyExists):
        reserve(call, "tickets/t-1", "1")
    listed = call(
        "ReservationService.ListReservations",
        pb.ListReservationsRequest(states=[pb.RESERVATION_STATE_SHORT], part=store.name),
    )
    assert [r.name for r in listed.reservations] == [short.name]
    listed = call(
        "ReservationService.ListReservations",
        pb.ListReservationsRequest(ticket="tickets/t-1", site="bottling"),
    )
    assert [r.name for r in listed.reservations] == [whole.name]


def test_what_waits_has_nothing_to_consume(call: Call, store: pb.Part) -> None:
    reserve(call, "tickets/t-1", "4")
    waiting = reserve(call, "tickets/t-2", "1")
    with pytest.raises(FailedPrecondition, match="holds nothing yet"):
        call(
            "ReservationService.ConsumeReservation",
            pb.ConsumeReservationRequest(name=waiting.name),
        )
    assert get(call, waiting) == waiting


def test_create_reservation_needs_a_ticket_name(call: Call, store: pb.Part) -> None:
    with pytest.raises(InvalidArgument, match="tickets/"):
        reserve(call, "WO-000001", "1")
    with pytest.raises(InvalidArgument, match="above zero"):
        reserve(call, "tickets/t-1", "0")


def test_release_reservation_gives_it_to_who_waits(call: Call, store: pb.Part) -> None:
    first = reserve(call, "tickets/t-1", "4")
    waiting = reserve(call, "tickets/t-2", "2")
    request = pb.ReleaseReservationRequest(name=first.name, etag=first.etag)
    released = call("ReservationService.ReleaseReservation", request)
    assert released.state == pb.RESERVATION_STATE_RELEASED
    assert released.reserved_quantity == "0"
    assert get(call, waiting).state == pb.RESERVATION_STATE_RESERVED
    assert call("ReservationService.ReleaseReservation", request) == released
    with pytest.raises(FailedPrecondition, match="RELEASED"):
        call(
            "ReservationService.ConsumeReservation",
            pb.ConsumeReservationRequest(name=first.name),
        )
    assert reserve(call, "tickets/t-1", "1").name != first.name


def test_consume_reservation_issues_once(call: Call, store: pb.Part, events: Call) -> None:
    kept = reserve(call, "tickets/t-1", "3")
    with pytest.raises(Aborted):
        call(
            "ReservationService.ConsumeReservation",
            pb.ConsumeReservationRequest(name=kept.name, etag="v9"),
        )
    request = pb.ConsumeReservationRequest(name=kept.name, etag=kept.etag)
    consumed = call("ReservationService.ConsumeReservation", request)
    assert consumed.state == pb.RESERVATION_STATE_CONSUMED
    assert call("ReservationService.ConsumeReservation", request) == consumed
    movements = call(
        "StockMovementService.ListStockMovements", pb.ListStockMovementsRequest(part=store.name)
    ).stock_movements
    issues = [m for m in movements if m.type == pb.MOVEMENT_TYPE_ISSUE]
    assert [(m.quantity, m.reference) for m in issues] == [("-3", kept.name)]
    part = get_part(call)
    assert (part.on_hand_quantity, part.reserved_quantity) == ("1", "0")
    assert [e["type"] for e in events()][-1] == "supply_chain.reservation.consumed"
    with pytest.raises(FailedPrecondition, match="CONSUMED"):
        call(
            "ReservationService.ReleaseReservation",
            pb.ReleaseReservationRequest(name=kept.name),
        )
