"""The door of work orders: one method per RPC of `TicketService`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.identifiers import check_lengths
from erp_modules.kernel.service import Service
from erp_modules.maintenance import tickets
from erp_modules.maintenance.life_cycle import Step
from erp_modules.maintenance.mapping import (
    comment_message,
    failure_mode_of,
    history_message,
    ticket_message,
)
from erp_modules.maintenance.models import TicketCommentRow, TicketEventRow, TicketRow
from erp_modules.maintenance.priority import Priority, Severity
from erp_modules.maintenance.repository import (
    EquipmentRepository,
    TicketCommentRepository,
    TicketEventRepository,
    TicketRepository,
)
from erp_modules.maintenance.v1 import maintenance_pb2 as pb

_MUTABLE = frozenset(
    {"title", "description", "suggested_steps", "assignee", "priority", "severity", "failure_mode"}
)


class TicketService(Service):
    """Work orders, from requested to closed."""

    contract = pb.DESCRIPTOR.services_by_name["TicketService"]

    def create_ticket(self, ctx: Context, request: pb.CreateTicketRequest) -> pb.Ticket:
        """Open a ticket by hand; severity is medium, priority from the matrix, unless given."""
        fields.require(request, "ticket.site", "ticket.equipment", "ticket.title")
        given = request.ticket
        check_lengths(given, prefix="ticket.", assignee=128)
        ctx.require_site(given.site)
        equipment = EquipmentRepository(ctx).at_site(given.site, given.equipment)
        if equipment is None:
            raise InvalidArgument.field(
                "ticket.equipment", f"{given.equipment} is not registered at {given.site}"
            )
        ticket = tickets.open_ticket(
            ctx,
            ctx.new_id("tkt"),
            equipment,
            tickets.Request(
                failure_mode=failure_mode_of(given.failure_mode),
                severity=Severity(given.severity or Severity.MEDIUM),
                title=given.title,
                description=given.description,
                priority=Priority(given.priority) if given.priority else None,
                assignee=given.assignee,
                suggested_steps=tuple(given.suggested_steps),
            ),
        )
        return ticket_message(ticket, ctx.now())

    def get_ticket(self, ctx: Context, request: pb.GetTicketRequest) -> pb.Ticket:
        """Return a ticket with its promises as they stand now."""
        return ticket_message(TicketRepository(ctx).get_by_name(request.name), ctx.now())

    def list_tickets(self, ctx: Context, request: pb.ListTicketsRequest) -> pb.ListTicketsResponse:
        """Return tickets by site, equipment, assignee and state."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(TicketRow.site == request.site)
        if request.equipment:
            where.append(TicketRow.equipment == request.equipment)
        if request.assignee:
            where.append(TicketRow.assignee == request.assignee)
        if request.states:
            names = {pb.TicketState.Name(s).removeprefix("TICKET_STATE_") for s in request.states}
            where.append(TicketRow.state.in_(sorted(names)))
        page = TicketRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        now = ctx.now()
        return pb.ListTicketsResponse(
            tickets=[ticket_message(row, now) for row in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def update_ticket(self, ctx: Context, request: pb.UpdateTicketRequest) -> pb.Ticket:
        """Change what a ticket says; its state changes by the custom verbs only."""
        given = request.ticket
        check_lengths(given, prefix="ticket.", assignee=128)
        ticket = TicketRepository(ctx).get_by_name(given.name, "ticket.name", given.etag)
        masked = fields.masked(given, request.update_mask, _MUTABLE, "ticket.")
        tickets.change(ctx, ticket, {field: _column(given, field) for field in masked})
        return ticket_message(ticket, ctx.now())

    def approve_ticket(self, ctx: Context, request: pb.ApproveTicketRequest) -> pb.Ticket:
        """Take it from requested to approved."""
        return _step(ctx, request, Step.APPROVE)

    def reject_ticket(self, ctx: Context, request: pb.RejectTicketRequest) -> pb.Ticket:
        """Take it from requested to rejected; the reason is required."""
        fields.require(request, "reason")
        return _step(ctx, request, Step.REJECT, request.reason)

    def plan_ticket(self, ctx: Context, request: pb.PlanTicketRequest) -> pb.Ticket:
        """Take it from approved to planned."""
        return _step(ctx, request, Step.PLAN)

    def schedule_ticket(self, ctx: Context, request: pb.ScheduleTicketRequest) -> pb.Ticket:
        """Take it from planned (or scheduled) to scheduled; start and assignee are required."""
        fields.require(request, "scheduled_start_time", "assignee")
        check_lengths(request, prefix="", assignee=128)
        start = fields.time_of(request.scheduled_start_time)
        return _step(
            ctx,
            request,
            Step.SCHEDULE,
            f"{request.assignee} at {start.isoformat()}",
            scheduled_start_time=start,
            assignee=request.assignee,
        )

    def start_ticket(self, ctx: Context, request: pb.StartTicketRequest) -> pb.Ticket:
        """Take it from scheduled, or on an emergency from approved or planned, to in progress."""
        return _step(ctx, request, Step.START)

    def hold_ticket(self, ctx: Context, request: pb.HoldTicketRequest) -> pb.Ticket:
        """Take it from in progress to on hold; the reason is required."""
        fields.require(request, "reason")
        return _step(ctx, request, Step.HOLD, request.reason, hold_reason=request.reason)

    def resume_ticket(self, ctx: Context, request: pb.ResumeTicketRequest) -> pb.Ticket:
        """Take it from on hold to in progress."""
        return _step(ctx, request, Step.RESUME, hold_reason="")

    def complete_ticket(self, ctx: Context, request: pb.CompleteTicketRequest) -> pb.Ticket:
        """Take it from in progress to completed, with what was done and what was found."""
        found = failure_mode_of(request.found_failure_mode) if request.found_failure_mode else ""
        return _step(
            ctx,
            request,
            Step.COMPLETE,
            request.resolution,
            resolution=request.resolution,
            found_failure_mode=found,
        )

    def verify_ticket(self, ctx: Context, request: pb.VerifyTicketRequest) -> pb.Ticket:
        """Take it from completed to verified."""
        return _step(ctx, request, Step.VERIFY)

    def close_ticket(self, ctx: Context, request: pb.CloseTicketRequest) -> pb.Ticket:
        """Take it from verified to closed."""
        return _step(ctx, request, Step.CLOSE)

    def cancel_ticket(self, ctx: Context, request: pb.CancelTicketRequest) -> pb.Ticket:
        """Take it from any state before completed to cancelled; the reason is required."""
        fields.require(request, "reason")
        return _step(ctx, request, Step.CANCEL, request.reason)

    def create_ticket_comment(
        self, ctx: Context, request: pb.CreateTicketCommentRequest
    ) -> pb.TicketComment:
        """Add a comment in the caller's name; closed tickets take comments too."""
        fields.require(request, "comment.text")
        ticket = TicketRepository(ctx).get_by_name(request.parent, "parent")
        row = TicketCommentRow(
            id=ctx.new_id("cmt"),
            site=ticket.site,
            ticket_id=ticket.id,
            author=ctx.principal.id,
            text=request.comment.text,
        )
        return comment_message(TicketCommentRepository(ctx).add(row))

    def list_ticket_comments(
        self, ctx: Context, request: pb.ListTicketCommentsRequest
    ) -> pb.ListTicketCommentsResponse:
        """Return the comments, oldest first."""
        ticket = TicketRepository(ctx).get_by_name(request.parent, "parent")
        page = TicketCommentRepository(ctx).page(
            TicketCommentRow.ticket_id == ticket.id,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListTicketCommentsResponse(
            comments=map(comment_message, page.items), next_page_token=page.next_page_token
        )

    def list_ticket_history(
        self, ctx: Context, request: pb.ListTicketHistoryRequest
    ) -> pb.ListTicketHistoryResponse:
        """Return what happened, oldest first."""
        ticket = TicketRepository(ctx).get_by_name(request.parent, "parent")
        page = TicketEventRepository(ctx).page(
            TicketEventRow.ticket_id == ticket.id,
            size=request.page_size,
            token=request.page_token,
        )
        return pb.ListTicketHistoryResponse(
            events=map(history_message, page.items), next_page_token=page.next_page_token
        )


def _step(ctx: Context, request: Any, step: Step, detail: str = "", **changes: Any) -> pb.Ticket:
    ticket = tickets.take_step(
        ctx, request.name, request.etag, step, detail=detail, changes=changes
    )
    return ticket_message(ticket, ctx.now())


def _column(given: pb.Ticket, field: str) -> Any:
    """Return what an update writes into the column `field`."""
    value = getattr(given, field)
    if field == "failure_mode":
        return failure_mode_of(value)
    if field == "suggested_steps":
        return list(value)
    if field in ("title", "priority", "severity") and not value:
        raise InvalidArgument.field(f"ticket.{field}", "is required")
    if field == "priority":
        return Priority(value)
    return Severity(value) if field == "severity" else value
