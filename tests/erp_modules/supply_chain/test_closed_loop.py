"""From an advisory to a requisition, and from a closed ticket to the stock ledger: both modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.delivery import dead_events, settle
from erp_modules.kernel.fields import timestamp_of
from erp_modules.maintenance.v1 import maintenance_pb2 as maintenance
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from stream_processor.v1 import alert_pb2

Call = Callable[..., Any]
ADA = Principal("users/ada", roles=frozenset({Role.ADMIN}))
MODES = {
    "outer": alert_pb2.FAILURE_MODE_BEARING_OUTER_RACE,
    "undetermined": alert_pb2.FAILURE_MODE_UNDETERMINED,
}


@pytest.fixture
def application(database_url: str, clock: ManualClock) -> Iterator[Application]:
    """Every module there is, in place of this one alone."""
    everything = bootstrap(database_url, clock=clock)
    yield everything
    everything.close()


@pytest.fixture
def report(application: Application, clock: ManualClock) -> Call:
    """Reports an advisory about P-101 and lets every event be handled."""

    def report_(revision: int, mode: str = "outer") -> maintenance.ReportAdvisoryResponse:
        statement = alert_pb2.Advisory(
            advisory_id="finding-1",
            revision=revision,
            state=alert_pb2.ADVISORY_STATE_RAISED,
            site="bottling",
            equipment="P-101",
            equipment_class="centrifugal_pump",
            severity=alert_pb2.SEVERITY_HIGH,
            failure_mode=MODES[mode],
            window_end_time=timestamp_of(clock.now()),
            sent_time=timestamp_of(clock.now()),
        )
        answer: Any = application.call(
            "erp_modules.maintenance.v1.AlarmService.ReportAdvisory",
            maintenance.ReportAdvisoryRequest(advisory=statement),
            ADA,
        )
        settle(application)
        return answer

    return report_


def scarce(call: Call) -> None:
    """Leave three bearings, so that the next one taken is at the reorder point."""
    movement = pb.StockMovement(
        site="bottling", part="parts/BRG-6205", type=pb.MOVEMENT_TYPE_ISSUE, quantity="-1"
    )
    call(
        "StockMovementService.CreateStockMovement",
        pb.CreateStockMovementRequest(stock_movement=movement),
    )


def all_of(call: Call) -> tuple[list[pb.Reservation], list[pb.Requisition]]:
    reserved = call("ReservationService.ListReservations", pb.ListReservationsRequest())
    wanted = call("RequisitionService.ListRequisitions", pb.ListRequisitionsRequest())
    return list(reserved.reservations), list(wanted.requisitions)


def take(application: Application, name: str, *verbs: str) -> None:
    for verb in verbs:
        request: Message = getattr(maintenance, f"{verb}TicketRequest")(name=name)
        if isinstance(request, maintenance.ScheduleTicketRequest):
            request.assignee = "bo"
            request.scheduled_start_time.FromJsonString("2026-03-03T08:00:00Z")
        application.call(f"erp_modules.maintenance.v1.TicketService.{verb}Ticket", request, ADA)
    settle(application)


def test_a_failing_bearing_ends_in_one_requisition(
    application: Application, call: Call, store: pb.Part, report: Call
) -> None:
    scarce(call)
    for revision in (1, 1, 2, 3):
        answer = report(revision)
    (kept,), (wanted,) = all_of(call)
    assert kept.ticket == answer.ticket.name
    assert kept.causing_sent_time == answer.ticket.causing_sent_time
    assert wanted.reference == kept.name
    assert wanted.causing_sent_time == kept.causing_sent_time
    way = ("Approve", "Plan", "Schedule", "Start", "Complete", "Verify", "Close")
    take(application, kept.ticket, *way)
    (consumed,), (still_wanted,) = all_of(call)
    assert consumed.state == pb.RESERVATION_STATE_CONSUMED
    assert still_wanted.state == pb.REQUISITION_STATE_REQUESTED
    part = call("PartService.GetPart", pb.GetPartRequest(name=store.name))
    assert (part.on_hand_quantity, part.reserved_quantity) == ("2", "0")
    assert list(dead_events(application, "default")) == []


def test_a_cause_named_later_reserves_then(
    application: Application, call: Call, store: pb.Part, report: Call
) -> None:
    report(1, "undetermined")
    assert all_of(call) == ([], [])
    answer = report(2)
    (kept,), _ = all_of(call)
    assert kept.ticket == answer.ticket.name


def test_a_cancelled_ticket_gives_back(
    application: Application, call: Call, store: pb.Part, report: Call
) -> None:
    name = report(1).ticket.name
    application.call(
        "erp_modules.maintenance.v1.TicketService.CancelTicket",
        maintenance.CancelTicketRequest(name=name, reason="False alarm"),
        ADA,
    )
    settle(application)
    (released,), _ = all_of(call)
    assert released.state == pb.RESERVATION_STATE_RELEASED
