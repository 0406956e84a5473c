"""A ticket reserves, reorders, consumes and gives back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from erp_modules.kernel.application import Application
from erp_modules.supply_chain import demand
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from stream_processor.v1 import alert_pb2

Call = Callable[..., Any]


def reservations(call: Call) -> list[pb.Reservation]:
    listed = call("ReservationService.ListReservations", pb.ListReservationsRequest())
    return sorted(listed.reservations, key=lambda r: r.ticket)


def requisitions(call: Call) -> list[pb.Requisition]:
    request = pb.ListRequisitionsRequest(order_by="number")
    return list(call("RequisitionService.ListRequisitions", request).requisitions)


def part(call: Call) -> pb.Part:
    found: pb.Part = call("PartService.GetPart", pb.GetPartRequest(name="parts/BRG-6205"))
    return found


def test_a_ticket_reserves_its_spare(
    app_on_both: Application, call: Call, store: pb.Part, tell: Call, events: Call
) -> None:
    tell("opened")
    (kept,) = reservations(call)
    assert kept.name == f"reservations/{demand.reservation_id('tickets/t-1', 'bottling~BRG-6205')}"
    assert (kept.ticket, kept.equipment, kept.part) == ("tickets/t-1", "P-101", store.name)
    assert kept.state == pb.RESERVATION_STATE_RESERVED
    assert kept.causing_sent_time.ToJsonString() == "2026-03-02T07:59:59.960Z"
    assert requisitions(call) == []
    (created,) = events()
    assert created["type"] == "supply_chain.reservation.created"
    assert created["data"]["reservation"] == kept.name
    assert created["data"]["sentTime"] == "2026-03-02T07:59:59.960000Z"


def test_at_the_reorder_point_one_requisition(
    app_on_both: Application, call: Call, store: pb.Part, tell: Call, events: Call
) -> None:
    tell("opened", "tickets/t-1")
    tell("opened", "tickets/t-2")
    (raised,) = requisitions(call)
    assert raised.quantity == "8"
    assert raised.estimated_cost == pb.Money(currency_code="EUR", amount="100.00")
    assert raised.vendor == store.preferred_vendor
    assert raised.reference == reservations(call)[1].name
    assert raised.reason == ("2 pcs available and 0 on order: at or under the reorder point of 2.")
    assert raised.causing_sent_time == reservations(call)[1].causing_sent_time
    raised_events = [e for e in events() if e["type"] == "supply_chain.requisition.raised"]
    assert [e["data"]["requisition"] for e in raised_events] == [raised.name]


def test_a_requested_one_is_enlarged_an_approved_one_is_not(
    call: Call, store: pb.Part, tell: Call
) -> None:
    for n in range(10):
        tell("opened", f"tickets/t-{n}")
    (first,) = requisitions(call)
    assert Decimal(first.quantity) > 8
    level = part(call)
    assert Decimal(level.on_order_quantity) >= 6 + 2
    call("RequisitionService.ApproveRequisition", pb.ApproveRequisitionRequest(name=first.name))
    for n in range(10, 20):
        tell("opened", f"tickets/t-{n}")
    approved, second = requisitions(call)
    assert (approved.name, approved.quantity) == (first.name, first.quantity)
    assert second.state == pb.REQUISITION_STATE_REQUESTED


def test_nothing_left_is_short_and_waits(call: Call, store: pb.Part, tell: Call) -> None:
    for n in range(6):
        tell("opened", f"tickets/t-{n}")
    states = [r.state for r in reservations(call)]
    assert states.count(pb.RESERVATION_STATE_SHORT) == 2
    tell("cancelled", "tickets/t-0")
    states = [r.state for r in reservations(call)]
    assert states.count(pb.RESERVATION_STATE_SHORT) == 1
    assert states.count(pb.RESERVATION_STATE_RELEASED) == 1


def test_a_line_of_the_machine_goes_before_that_of_its_class(
    call: Call, store: pb.Part, tell: Call
) -> None:
    line = pb.Spare(
        site="bottling",
        equipment="P-101",
        failure_mode=alert_pb2.FAILURE_MODE_BEARING_OUTER_RACE,
        part=store.name,
        quantity="2",
    )
    call("SpareService.CreateSpare", pb.CreateSpareRequest(spare=line))
    tell("opened", "tickets/t-1")
    tell("opened", "tickets/t-2", equipment="P-102")
    assert [r.quantity for r in reservations(call)] == ["2", "1"]


def test_another_mode_or_class_needs_nothing(call: Call, store: pb.Part, tell: Call) -> None:
    tell("opened", "tickets/t-1", failureMode="FAILURE_MODE_CAVITATION")
    tell("opened", "tickets/t-2", equipmentClass="fan")
    assert reservations(call) == []


def test_a_cause_named_later_reserves_then(call: Call, store: pb.Part, tell: Call) -> None:
    tell("opened", failureMode="FAILURE_MODE_UNDETERMINED")
    assert reservations(call) == []
    tell("updated")
    assert len(reservations(call)) == 1
    tell("updated", "tickets/t-2", state="TICKET_STATE_COMPLETED")
    assert len(reservations(call)) == 1


def test_what_a_person_released_stays_released(call: Call, store: pb.Part, tell: Call) -> None:
    tell("opened")
    (kept,) = reservations(call)
    call("ReservationService.ReleaseReservation", pb.ReleaseReservationRequest(name=kept.name))
    tell("updated")
    (released,) = reservations(call)
    assert released.state == pb.RESERVATION_STATE_RELEASED


def test_closing_consumes(app_on_both: Application, call: Call, store: pb.Part, tell: Call) -> None:
    tell("opened")
    tell("closed")
    (consumed,) = reservations(call)
    assert consumed.state == pb.RESERVATION_STATE_CONSUMED
    level = part(call)
    assert (level.on_hand_quantity, level.reserved_quantity) == ("3", "0")
    movements = call(
        "StockMovementService.ListStockMovements", pb.ListStockMovementsRequest()
    ).stock_movements
    (issue,) = [m for m in movements if m.type == pb.MOVEMENT_TYPE_ISSUE]
    assert (issue.quantity, issue.reference) == ("-1", consumed.name)
    assert issue.actor == "modules/supply_chain"


def test_closing_releases_what_never_came(call: Call, store: pb.Part, tell: Call) -> None:
    for n in range(5):
        tell("opened", f"tickets/t-{n}")
    (short,) = [r for r in reservations(call) if r.state == pb.RESERVATION_STATE_SHORT]
    tell("closed", short.ticket)
    found = call("ReservationService.GetReservation", pb.GetReservationRequest(name=short.name))
    assert found.state == pb.RESERVATION_STATE_RELEASED
    assert part(call).on_hand_quantity == "4"


def test_cancelling_and_rejecting_give_back(call: Call, store: pb.Part, tell: Call) -> None:
    tell("opened", "tickets/t-1")
    tell("opened", "tickets/t-2")
    tell("cancelled", "tickets/t-1")
    tell("rejected", "tickets/t-2")
    assert {r.state for r in reservations(call)} == {pb.RESERVATION_STATE_RELEASED}
    assert part(call).available_quantity == "4"


def test_an_ended_ticket_gets_no_more_parts(call: Call, store: pb.Part, tell: Call) -> None:
    tell("cancelled")
    tell("opened")
    (late,) = reservations(call)
    assert late.state == pb.RESERVATION_STATE_RELEASED
    assert part(call).available_quantity == "4"


def test_the_last_part_goes_to_one_of_two(
    app_on_both: Application, call: Call, store: pb.Part, tell: Call
) -> None:
    """Eight tickets at the same time want one of four parts each."""
    names = [f"tickets/t-{n}" for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: tell("opened", name), names))
    kept = reservations(call)
    assert len(kept) == 8
    assert sum(Decimal(r.reserved_quantity) for r in kept) == 4
    assert sum(r.state == pb.RESERVATION_STATE_RESERVED for r in kept) == 4
    level = part(call)
    assert (level.reserved_quantity, level.available_quantity) == ("4", "0")
    assert len(requisitions(call)) == 1


def test_the_same_event_at_the_same_time_counts_once(
    app_on_both: Application, call: Call, store: pb.Part, tell: Call
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: tell("opened"), range(4)))
    assert len(reservations(call)) == 1
    assert part(call).reserved_quantity == "1"


def test_two_people_take_the_last_part(
    app_on_both: Application, call: Call, store: pb.Part
) -> None:
    request = pb.CreateReservationRequest(
        reservation=pb.Reservation(site="bottling", part=store.name, quantity="4")
    )

    def ask(ticket: str) -> pb.Reservation:
        mine = pb.CreateReservationRequest()
        mine.CopyFrom(request)
        mine.reservation.ticket = ticket
        made: pb.Reservation = call("ReservationService.CreateReservation", mine)
        return made

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, ["tickets/a", "tickets/b"]))
    assert sorted(a.reserved_quantity for a in answers) == ["0", "4"]
