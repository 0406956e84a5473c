"""Every RPC of TicketService."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from erp_modules.kernel.fields import timestamp_of
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.v1 import alert_pb2

Call = Callable[..., Any]
BREWER = Principal("users/bo", sites=frozenset({"brewery"}), roles=frozenset({Role.ENGINEER}))


@pytest.fixture
def step(call: Call, clock: ManualClock) -> Call:
    """Takes a ticket one step on by an RPC; keywords are fields of the request."""

    def step_(name: str, verb: str, **fields: Any) -> pb.Ticket:
        if verb == "ScheduleTicket":
            start = timestamp_of(clock.now() + timedelta(hours=2))
            fields = {"assignee": "bo", "scheduled_start_time": start, **fields}
        if verb in ("HoldTicket", "RejectTicket", "CancelTicket"):
            fields = {"reason": "No parts", **fields}
        request = getattr(pb, f"{verb}Request")(name=name, **fields)
        taken: pb.Ticket = call(f"TicketService.{verb}", request)
        return taken

    return step_


def test_create_ticket_by_hand(ticket: pb.Ticket, call: Call, events: Call) -> None:
    assert ticket.number == "WO-000001"
    assert ticket.state == pb.TICKET_STATE_REQUESTED
    assert ticket.failure_mode == alert_pb2.FAILURE_MODE_UNDETERMINED
    assert ticket.severity == alert_pb2.SEVERITY_MEDIUM
    assert ticket.priority == pb.TICKET_PRIORITY_MEDIUM
    assert not ticket.HasField("causing_sent_time")
    assert call("TicketService.GetTicket", pb.GetTicketRequest(name=ticket.name)) == ticket
    (opened,) = events()
    assert opened["type"] == "maintenance.ticket.opened"
    assert opened["data"]["sentTime"] is None


def test_create_ticket_is_once_by_request_id(call: Call, ticket: pb.Ticket) -> None:
    request = pb.CreateTicketRequest(
        ticket=pb.Ticket(
            site="bottling",
            equipment="G-201",
            title="Noise",
            priority=pb.TICKET_PRIORITY_EMERGENCY,
            suggested_steps=["Listen"],
        ),
        request_id="r1",
    )
    first = call("TicketService.CreateTicket", request)
    assert call("TicketService.CreateTicket", request) == first
    assert first.number == "WO-000002"
    assert first.priority == pb.TICKET_PRIORITY_EMERGENCY
    assert list(first.suggested_steps) == ["Listen"]


def test_create_ticket_names_the_wrong_field(call: Call, ticket: pb.Ticket) -> None:
    with pytest.raises(InvalidArgument) as error:
        call("TicketService.CreateTicket", pb.CreateTicketRequest(ticket=pb.Ticket(site="x")))
    assert {v.field for v in error.value.violations} == {"ticket.equipment", "ticket.title"}
    unknown = pb.Ticket(site="bottling", equipment="Z-9", title="Noise")
    with pytest.raises(InvalidArgument, match="Z-9 is not registered"):
        call("TicketService.CreateTicket", pb.CreateTicketRequest(ticket=unknown))


def test_the_whole_life_is_kept(
    ticket: pb.Ticket, call: Call, step: Call, clock: ManualClock, events: Call
) -> None:
    for verb in ("ApproveTicket", "PlanTicket", "ScheduleTicket"):
        clock.advance(timedelta(minutes=10))
        step(ticket.name, verb)
    clock.advance(timedelta(minutes=10))
    started = step(ticket.name, "StartTicket")
    assert started.assignee == "bo"
    assert started.response_sla.state == pb.SLA_STATE_MET
    assert started.resolution_sla.state == pb.SLA_STATE_RUNNING
    held = step(ticket.name, "HoldTicket", reason="Bearing not in store")
    assert held.hold_reason == "Bearing not in store"
    assert held.resolution_sla.state == pb.SLA_STATE_PAUSED
    clock.advance(timedelta(days=30))
    resumed = step(ticket.name, "ResumeTicket")
    assert resumed.hold_reason == ""
    assert resumed.resolution_sla.state == pb.SLA_STATE_RUNNING
    assert resumed.resolution_sla.due_time == timestamp_of(
        ticket.resolution_sla.due_time.ToDatetime() + timedelta(days=30)
    )
    completed = step(
        ticket.name,
        "CompleteTicket",
        resolution="Seal replaced",
        found_failure_mode=alert_pb2.FAILURE_MODE_LOOSENESS,
    )
    assert completed.resolution == "Seal replaced"
    assert completed.found_failure_mode == alert_pb2.FAILURE_MODE_LOOSENESS
    assert completed.resolution_sla.state == pb.SLA_STATE_MET
    step(ticket.name, "VerifyTicket")
    closed = step(ticket.name, "CloseTicket")
    assert closed.state == pb.TICKET_STATE_CLOSED
    assert closed.close_time == timestamp_of(clock.now())

    history = call(
        "TicketService.ListTicketHistory", pb.ListTicketHistoryRequest(parent=ticket.name)
    ).events
    assert [line.type.removeprefix("ticket.") for line in history] == [
        "opened",
        "approved",
        "planned",
        "scheduled",
        "started",
        "held",
        "resumed",
        "completed",
        "verified",
        "closed",
    ]
    assert all(line.actor == "users/ada" for line in history)
    for earlier, later in pairwise(history):
        assert later.from_state == earlier.to_state
    assert events()[-1]["type"] == "maintenance.ticket.closed"
    assert events()[-1]["data"]["ticket"] == ticket.name


def test_history_comes_in_pages(ticket: pb.Ticket, call: Call, step: Call) -> None:
    step(ticket.name, "ApproveTicket")
    step(ticket.name, "PlanTicket")
    request = pb.ListTicketHistoryRequest(parent=ticket.name, page_size=2)
    first = call("TicketService.ListTicketHistory", request)
    request.page_token = first.next_page_token
    second = call("TicketService.ListTicketHistory", request)
    lines = [*first.events, *second.events]
    assert [line.type for line in lines] == ["ticket.opened", "ticket.approved", "ticket.planned"]
    assert second.next_page_token == ""


@pytest.mark.parametrize(
    ("verb", "state", "event"),
    [
        ("RejectTicket", pb.TICKET_STATE_REJECTED, "maintenance.ticket.rejected"),
        ("CancelTicket", pb.TICKET_STATE_CANCELLED, "maintenance.ticket.cancelled"),
    ],
)
def test_an_early_end(
    ticket: pb.Ticket, call: Call, step: Call, events: Call, verb: str, state: int, event: str
) -> None:
    request = getattr(pb, f"{verb}Request")(name=ticket.name)
    with pytest.raises(InvalidArgument, match="reason"):
        call(f"TicketService.{verb}", request)
    ended = step(ticket.name, verb, reason="False alarm")
    assert ended.state == state
    assert ended.HasField("close_time")
    assert ended.resolution_sla.state == pb.SLA_STATE_MET
    assert events()[-1]["type"] == event
    with pytest.raises(FailedPrecondition, match="nothing leads on"):
        step(ticket.name, "ApproveTicket")


def test_a_retry_is_no_error_and_no_second_event(
    ticket: pb.Ticket, step: Call, events: Call
) -> None:
    first = step(ticket.name, "ApproveTicket", etag=ticket.etag)
    known = events()
    assert step(ticket.name, "ApproveTicket", etag=ticket.etag) == first
    assert events() == known


def test_the_same_step_with_other_words_is_refused(ticket: pb.Ticket, step: Call) -> None:
    for verb in ("ApproveTicket", "PlanTicket", "ScheduleTicket", "StartTicket", "HoldTicket"):
        step(ticket.name, verb)
    with pytest.raises(FailedPrecondition, match="allowed now: resume → IN_PROGRESS"):
        step(ticket.name, "HoldTicket", reason="Another reason")


def test_schedule_ticket_anew(ticket: pb.Ticket, step: Call) -> None:
    for verb in ("ApproveTicket", "PlanTicket", "ScheduleTicket"):
        step(ticket.name, verb)
    assert step(ticket.name, "ScheduleTicket", assignee="cy").assignee == "cy"


def test_schedule_ticket_needs_someone_and_a_start(ticket: pb.Ticket, call: Call) -> None:
    with pytest.raises(InvalidArgument) as error:
        call("TicketService.ScheduleTicket", pb.ScheduleTicketRequest(name=ticket.name))
    assert {v.field for v in error.value.violations} == {"scheduled_start_time", "assignee"}


def test_an_emergency_starts_at_once(ticket: pb.Ticket, call: Call, step: Call) -> None:
    step(ticket.name, "ApproveTicket")
    with pytest.raises(FailedPrecondition, match="cannot start"):
        step(ticket.name, "StartTicket")
    call(
        "TicketService.UpdateTicket",
        pb.UpdateTicketRequest(
            ticket=pb.Ticket(name=ticket.name, priority=pb.TICKET_PRIORITY_EMERGENCY)
        ),
    )
    assert step(ticket.name, "StartTicket").state == pb.TICKET_STATE_IN_PROGRESS


def test_an_old_etag_is_refused(ticket: pb.Ticket, step: Call) -> None:
    step(ticket.name, "ApproveTicket", etag=ticket.etag)
    with pytest.raises(Aborted):
        step(ticket.name, "PlanTicket", etag=ticket.etag)


def test_update_ticket_says_what_changed(ticket: pb.Ticket, call: Call, events: Call) -> None:
    changed = call(
        "TicketService.UpdateTicket",
        pb.UpdateTicketRequest(
            ticket=pb.Ticket(
                name=ticket.name,
                etag=ticket.etag,
                assignee="cy",
                failure_mode=alert_pb2.FAILURE_MODE_GEAR_WEAR,
                priority=pb.TICKET_PRIORITY_HIGH,
            )
        ),
    )
    assert changed.failure_mode == alert_pb2.FAILURE_MODE_GEAR_WEAR
    history = call(
        "TicketService.ListTicketHistory", pb.ListTicketHistoryRequest(parent=ticket.name)
    ).events
    assert "assignee: none → cy" in history[-1].detail
    assert "priority: medium → high" in history[-1].detail
    assert "failure mode: UNDETERMINED → GEAR_WEAR" in history[-1].detail
    assert events()[-1]["data"]["failureMode"] == "FAILURE_MODE_GEAR_WEAR"


def test_update_ticket_does_not_change_the_state(ticket: pb.Ticket, call: Call) -> None:
    request = pb.UpdateTicketRequest(
        ticket=pb.Ticket(name=ticket.name, state=pb.TICKET_STATE_CLOSED),
        update_mask={"paths": ["state"]},
    )
    with pytest.raises(InvalidArgument, match="state may not be changed"):
        call("TicketService.UpdateTicket", request)


def test_update_ticket_refuses_what_has_ended(ticket: pb.Ticket, call: Call, step: Call) -> None:
    step(ticket.name, "RejectTicket")
    with pytest.raises(FailedPrecondition, match="REJECTED"):
        call(
            "TicketService.UpdateTicket",
            pb.UpdateTicketRequest(ticket=pb.Ticket(name=ticket.name, title="Other")),
        )


def test_comments_oldest_first(ticket: pb.Ticket, call: Call, clock: ManualClock) -> None:
    for text in ("First", "Second"):
        clock.advance(timedelta(seconds=1))
        made = call(
            "TicketService.CreateTicketComment",
            pb.CreateTicketCommentRequest(
                parent=ticket.name, comment=pb.TicketComment(text=text, author="users/mallory")
            ),
        )
        assert made.author == "users/ada"
        assert made.name.startswith(f"{ticket.name}/comments/")
    listed = call(
        "TicketService.ListTicketComments", pb.ListTicketCommentsRequest(parent=ticket.name)
    )
    assert [c.text for c in listed.comments] == ["First", "Second"]


def test_list_tickets_filters(
    app_on_both: Application, ticket: pb.Ticket, call: Call, report: Call, step: Call
) -> None:
    report()
    step(ticket.name, "ApproveTicket")

    def numbers(**fields: Any) -> list[str]:
        listed = call("TicketService.ListTickets", pb.ListTicketsRequest(**fields))
        assert listed.total_size == len(listed.tickets)
        return [t.number for t in listed.tickets]

    assert numbers(order_by="number") == ["WO-000001", "WO-000002"]
    assert numbers(order_by="number desc") == ["WO-000002", "WO-000001"]
    assert numbers(states=[pb.TICKET_STATE_APPROVED]) == ["WO-000001"]
    assert numbers(equipment="P-101") == ["WO-000002"]
    assert numbers(assignee="nobody") == []
    assert numbers(site="brewery") == []
    with pytest.raises(InvalidArgument) as error:
        numbers(order_by="colour")
    assert error.value.violations[0].field == "order_by"


def test_another_site_is_not_there(ticket: pb.Ticket, call: Call) -> None:
    with pytest.raises(NotFound):
        call("TicketService.GetTicket", pb.GetTicketRequest(name=ticket.name), BREWER)
    with pytest.raises(NotFound):
        call("TicketService.ApproveTicket", pb.ApproveTicketRequest(name=ticket.name), BREWER)
    with pytest.raises(NotFound):
        call(
            "TicketService.ListTicketComments",
            pb.ListTicketCommentsRequest(parent=ticket.name),
            BREWER,
        )
