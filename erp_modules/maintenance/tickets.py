"""What happens to a ticket: opened, told more, taken a step on; each a line of its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from erp_modules.kernel.context import Context
from erp_modules.kernel.events import EventType
from erp_modules.kernel.ids import Cause, derived_id
from erp_modules.maintenance import events
from erp_modules.maintenance.errors import TicketIsFinal
from erp_modules.maintenance.failure_modes import FailureMode
from erp_modules.maintenance.life_cycle import FINAL_STATES, STEPS, Step, TicketState, next_state
from erp_modules.maintenance.models import EquipmentRow, TicketEventRow, TicketRow
from erp_modules.maintenance.priority import Criticality, Priority, Severity, priority_of
from erp_modules.maintenance.procedures import suggested_steps
from erp_modules.maintenance.repository import TicketEventRepository, TicketRepository
from stream_processor.v1.alert_pb2 import Advisory

_PAST_TENSE = {
    Step.APPROVE: "approved",
    Step.REJECT: "rejected",
    Step.PLAN: "planned",
    Step.SCHEDULE: "scheduled",
    Step.START: "started",
    Step.HOLD: "held",
    Step.RESUME: "resumed",
    Step.COMPLETE: "completed",
    Step.VERIFY: "verified",
    Step.CLOSE: "closed",
    Step.CANCEL: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for when a ticket is opened; without `priority` it follows from the matrix."""

    failure_mode: FailureMode
    severity: Severity
    title: str
    description: str
    priority: Priority | None = None
    assignee: str = ""
    suggested_steps: tuple[str, ...] = ()
    alarm_id: str = ""
    advisory: Advisory | None = None
    sent_time: datetime | None = None


def open_ticket(
    ctx: Context,
    ticket_id: str,
    equipment: EquipmentRow,
    request: Request,
    causes: tuple[Cause, ...] = (),
) -> TicketRow:
    """Open a ticket as requested; `causes` are those of its event, none for a person's."""
    tickets = TicketRepository(ctx)
    ticket = tickets.add(
        TicketRow(
            id=ticket_id,
            site=equipment.site,
            number=tickets.next_number(equipment.site),
            equipment=equipment.tag,
            equipment_class=equipment.equipment_class,
            alarm_id=request.alarm_id,
            state=TicketState.REQUESTED,
            priority=request.priority or rated(equipment, request.severity, request.failure_mode),
            severity=request.severity,
            failure_mode=request.failure_mode,
            title=request.title,
            description=request.description,
            suggested_steps=list(request.suggested_steps or suggested_steps(request.failure_mode)),
            assignee=request.assignee,
            hold_reason="",
            resolution="",
            found_failure_mode="",
            held_ms=0,
            advisory=request.advisory,
            advisory_count=0 if request.advisory is None else 1,
            history_count=0,
            causing_sent_time=request.sent_time,
        )
    )
    record(ctx, ticket, "ticket.opened", request.description, from_state="")
    announce(ctx, ticket, events.TICKET_OPENED, causes)
    return ticket


def rated(equipment: EquipmentRow, severity: Severity, mode: FailureMode) -> Priority:
    """Return the priority of a finding on `equipment`."""
    return priority_of(
        Criticality(equipment.criticality), severity, sensor_fault=mode.is_sensor_fault
    )


def take_step(
    ctx: Context,
    name: str,
    etag: str,
    step: Step,
    *,
    detail: str = "",
    changes: Mapping[str, Any] | None = None,
) -> TicketRow:
    """Take the ticket `name` one step on, with `changes` of its columns.

    A call that would change nothing, because the step was taken with the same words before, returns
    the ticket as it is: a retry is no error, whatever its etag.

    Raises:
        NotFound, Aborted: there is no such ticket, or `etag` is out of date.
        StepNotAllowed: its state does not allow the step.
    """
    tickets = TicketRepository(ctx)
    ticket = tickets.get_by_name(name)
    changes = changes or {}
    if ticket.state == STEPS[step][1] and all(
        getattr(ticket, column) == value for column, value in changes.items()
    ):
        return ticket
    tickets.check_etag(ticket, etag)
    emergency = ticket.priority == Priority.EMERGENCY
    target = next_state(TicketState(ticket.state), step, emergency=emergency)
    before = ticket.state
    ticket.state = target
    for column, value in changes.items():
        setattr(ticket, column, value)
    _keep_time(ticket, step, ctx.now())
    record(ctx, ticket, f"ticket.{_PAST_TENSE[step]}", detail, before)
    announce(ctx, ticket, events.event_of(step))
    return ticket


def _keep_time(ticket: TicketRow, step: Step, now: datetime) -> None:
    if ticket.hold_time is not None and step is not Step.HOLD:
        ticket.held_ms += round((now - ticket.hold_time).total_seconds() * 1000)
        ticket.hold_time = None
    match step:
        case Step.START:
            ticket.start_time = now
        case Step.HOLD:
            ticket.hold_time = now
        case Step.COMPLETE:
            ticket.complete_time = now
        case Step.CLOSE | Step.CANCEL | Step.REJECT:
            ticket.close_time = now


def change(ctx: Context, ticket: TicketRow, changes: Mapping[str, Any]) -> None:
    """Change columns of a ticket as a person asked; a line of history says from what to what.

    Raises:
        TicketIsFinal: it was closed, cancelled or rejected.
    """
    if ticket.state in FINAL_STATES:
        raise TicketIsFinal(f"tickets/{ticket.id}", ticket.state)
    said = []
    for column, value in changes.items():
        before = getattr(ticket, column)
        if before != value:
            shown = type(value)(before) if isinstance(value, IntEnum) else before
            said.append(f"{column.replace('_', ' ')}: {_shown(shown)} → {_shown(value)}")
            setattr(ticket, column, value)
    if said:
        record(ctx, ticket, "ticket.updated", "; ".join(said))
        announce(ctx, ticket, events.TICKET_UPDATED)


def _shown(value: Any) -> str:
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, list):
        return f"{len(value)} steps"
    return str(value) or "none"


def record(
    ctx: Context, ticket: TicketRow, type: str, detail: str, from_state: str | None = None
) -> None:
    """Add a line to the ticket's history; the state did not change unless `from_state` is given."""
    ticket.history_count += 1
    TicketRepository(ctx).flush()
    TicketEventRepository(ctx).add(
        TicketEventRow(
            id=derived_id("line", ticket.id, ticket.history_count),
            site=ticket.site,
            ticket_id=ticket.id,
            sequence=ticket.history_count,
            actor=ctx.principal.id,
            type=type,
            detail=detail,
            from_state=ticket.state if from_state is None else from_state,
            to_state=ticket.state,
        )
    )


def announce(
    ctx: Context, ticket: TicketRow, type: EventType, causes: tuple[Cause, ...] = ()
) -> None:
    """Emit an event about the ticket as it now is."""
    ctx.emit(
        type,
        subject=f"tickets/{ticket.id}",
        site=ticket.site,
        data=events.ticket_data(ticket),
        causes=causes,
    )
