"""Requisitions by hand, and what receiving does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from erp_modules.kernel.fields import timestamp_of
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

Call = Callable[..., Any]
BREWER = Principal("users/bo", sites=frozenset({"brewery"}), roles=frozenset({Role.PLANNER}))


@pytest.fixture
def requisition(call: Call, store: pb.Part) -> pb.Requisition:
    made: pb.Requisition = call(
        "RequisitionService.CreateRequisition",
        pb.CreateRequisitionRequest(
            requisition=pb.Requisition(
                site="bottling", part=store.name, quantity="10", reason="Overhaul in May."
            ),
            request_id="r1",
        ),
    )
    return made


def step(call: Call, name: str, verb: str, **fields: Any) -> pb.Requisition:
    request = getattr(pb, f"{verb}Request")(name=name, **fields)
    taken: pb.Requisition = call(f"RequisitionService.{verb}", request)
    return taken


def test_create_requisition_by_hand(
    call: Call, requisition: pb.Requisition, store: pb.Part, clock: ManualClock
) -> None:
    assert requisition.number == "PR-000001"
    assert requisition.vendor == store.preferred_vendor
    assert requisition.estimated_cost == pb.Money(currency_code="EUR", amount="125.00")
    assert requisition.need_by_time == timestamp_of(clock.now() + timedelta(days=5))
    found = call(
        "RequisitionService.GetRequisition", pb.GetRequisitionRequest(name=requisition.name)
    )
    assert found == requisition
    part = call("PartService.GetPart", pb.GetPartRequest(name=store.name))
    assert part.on_order_quantity == "10"
    again = pb.CreateRequisitionRequest(
        requisition=pb.Requisition(site="bottling", part=store.name, quantity="1")
    )
    with pytest.raises(AlreadyExists, match="enlarge"):
        call("RequisitionService.CreateRequisition", again)


def test_from_requested_to_received(
    app_on_both: Application,
    call: Call,
    requisition: pb.Requisition,
    store: pb.Part,
    tell: Call,
    events: Call,
) -> None:
    for n in range(5):
        tell("opened", f"tickets/t-{n}")
    name = requisition.name
    step(call, name, "ApproveRequisition", etag=requisition.etag)
    with pytest.raises(InvalidArgument, match="order_number"):
        step(call, name, "OrderRequisition")
    assert step(call, name, "OrderRequisition", order_number="4711").order_number == "4711"
    received = step(call, name, "ReceiveRequisition")
    assert received.state == pb.REQUISITION_STATE_RECEIVED
    assert step(call, name, "ReceiveRequisition") == received

    part = call("PartService.GetPart", pb.GetPartRequest(name=store.name))
    assert part.on_hand_quantity == "14"
    assert (part.reserved_quantity, part.on_order_quantity) == ("5", "0")
    receipts = call(
        "StockMovementService.ListStockMovements", pb.ListStockMovementsRequest()
    ).stock_movements
    assert [m.quantity for m in receipts if m.reference == name] == ["10"]
    states = {r.state for r in call(
        "ReservationService.ListReservations", pb.ListReservationsRequest()
    ).reservations}  # fmt: skip
    assert states == {pb.RESERVATION_STATE_RESERVED}
    types = [e["type"] for e in events() if ".requisition." in e["type"]]
    assert [t.rsplit(".", 1)[1] for t in types] == ["raised", "approved", "ordered", "received"]
    assert events()[-1]["type"] == "supply_chain.reservation.changed"


def test_receiving_needs_a_bin(call: Call, store: pb.Part, requisition: pb.Requisition) -> None:
    call(
        "PartService.UpdatePart",
        pb.UpdatePartRequest(part=pb.Part(name=store.name), update_mask={"paths": ["default_bin"]}),
    )
    step(call, requisition.name, "ApproveRequisition")
    step(call, requisition.name, "OrderRequisition", order_number="4711")
    with pytest.raises(InvalidArgument) as error:
        step(call, requisition.name, "ReceiveRequisition")
    assert error.value.violations[0].field == "bin"
    received = step(call, requisition.name, "ReceiveRequisition", bin="bins/bottling~A1")
    assert received.state == pb.REQUISITION_STATE_RECEIVED


def test_steps_in_their_order_only(call: Call, requisition: pb.Requisition) -> None:
    with pytest.raises(FailedPrecondition, match="allowed now: approve"):
        step(call, requisition.name, "OrderRequisition", order_number="1")
    with pytest.raises(Aborted):
        step(call, requisition.name, "ApproveRequisition", etag="v9")
    cancelled = step(call, requisition.name, "CancelRequisition", reason="Not needed")
    assert cancelled.state == pb.REQUISITION_STATE_CANCELLED
    with pytest.raises(FailedPrecondition, match="nothing leads on"):
        step(call, requisition.name, "ApproveRequisition")


def test_update_requisition_until_it_is_approved(call: Call, requisition: pb.Requisition) -> None:
    request = pb.UpdateRequisitionRequest(
        requisition=pb.Requisition(name=requisition.name, quantity="4", reason="Less.")
    )
    changed = call("RequisitionService.UpdateRequisition", request)
    assert changed.quantity == "4"
    assert changed.estimated_cost.amount == "50.00"
    assert changed.reason == "Less."
    request.requisition.vendor = "vendors/none"
    with pytest.raises(InvalidArgument, match="vendors/none"):
        call("RequisitionService.UpdateRequisition", request)
    step(call, requisition.name, "ApproveRequisition")
    with pytest.raises(FailedPrecondition, match="APPROVED"):
        call("RequisitionService.UpdateRequisition", request)


def test_list_requisitions(
    app_on_both: Application, call: Call, requisition: pb.Requisition
) -> None:
    def count(**fields: Any) -> int:
        listed = call("RequisitionService.ListRequisitions", pb.ListRequisitionsRequest(**fields))
        return len(listed.requisitions)

    assert count() == count(part=requisition.part) == count(site="bottling") == 1
    assert count(states=[pb.REQUISITION_STATE_REQUESTED]) == 1
    assert count(states=[pb.REQUISITION_STATE_ORDERED]) == 0
    assert count(part="parts/OTHER") == 0


def test_another_site_is_not_there(call: Call, requisition: pb.Requisition) -> None:
    with pytest.raises(NotFound):
        call(
            "RequisitionService.GetRequisition",
            pb.GetRequisitionRequest(name=requisition.name),
            BREWER,
        )
