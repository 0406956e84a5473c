"""What becomes of a command, from its making to its outcome."""

from __future__ import annotations

import math
from datetime import timedelta

from edge_agent.v1 import report_pb2
from erp_modules.fleet.errors import CommandIsSettled, GatewayIsRevoked, WriteNotAllowed
from erp_modules.fleet.events import COMMAND_ISSUED, COMMAND_SETTLED, announce_command
from erp_modules.fleet.models import CommandRow, GatewayRow, WriteLimitRow
from erp_modules.fleet.ports import Order, Ports
from erp_modules.fleet.repository import CommandRepository, GatewayRepository
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.events import Event
from erp_modules.kernel.fields import time_of, validate
from erp_modules.kernel.identifiers import check_identifiers, check_lengths

# Until when a proposal can be confirmed: what was seen on a screen soon is no longer so.
CONFIRM_WITHIN = timedelta(minutes=5)
# Between the commit and the sending; after it a command is not sent any more.
SEND_WITHIN = timedelta(seconds=30)
ANSWER_WITHIN = timedelta(minutes=2)
SETTLED = ("DONE", "REFUSED", "FAILED", "EXPIRED", "CANCELLED", "UNANSWERED")
_OUTCOMES = {
    report_pb2.OUTCOME_DONE: "DONE",
    report_pb2.OUTCOME_REFUSED: "REFUSED",
    report_pb2.OUTCOME_FAILED: "FAILED",
}
_LONGEST_TEXT = 1000


def value_of(given: pb.Value, field: str) -> float | bool | str:
    """Return what is to be written.

    Raises:
        InvalidArgument: nothing was given, or no number that exists; the error names `field`.
    """
    which = given.WhichOneof("value")
    if which is None:
        raise InvalidArgument.field(field, "is required")
    value: float | bool | str = getattr(given, which)
    if which == "number" and not math.isfinite(given.number):
        raise InvalidArgument.field(field, f"{given.number} cannot be written")
    if which == "text" and len(given.text) > _LONGEST_TEXT:
        raise InvalidArgument.field(field, f"is longer than {_LONGEST_TEXT} characters")
    return value


def check_within(limit: WriteLimitRow | None, device: str, metric: str, given: pb.Value) -> None:
    """Let pass what a limit allows.

    Raises:
        WriteNotAllowed: it allows nothing, another type, or another range.
    """
    what = f"{device}/{metric}"
    if limit is None:
        raise WriteNotAllowed(f"{what}: nobody allowed it to be written; make a write limit first")
    bounded = limit.minimum is not None or limit.maximum is not None
    if not bounded:
        if given.WhichOneof("value") == "number":
            raise WriteNotAllowed(f"{what}: it has no limits for numbers; give it some first")
        return
    if given.WhichOneof("value") != "number":
        raise WriteNotAllowed(f"{what}: write a number")
    lowest = -math.inf if limit.minimum is None else limit.minimum
    highest = math.inf if limit.maximum is None else limit.maximum
    if not lowest <= given.number <= highest:
        unit = f" {limit.unit}" if limit.unit else ""
        raise WriteNotAllowed(
            f"{what}: {given.number:g}{unit} is not within {lowest:g} and {highest:g}{unit}"
        )


def new_command(
    ctx: Context, gateway: GatewayRow, device: str, metric: str, value: pb.Value, reason: str
) -> CommandRow:
    """Add a command that waits to be confirmed.

    Raises:
        GatewayIsRevoked: it would not be heard.
    """
    if gateway.state == "REVOKED":
        raise GatewayIsRevoked(f"gateways/{gateway.id}")
    return CommandRepository(ctx).add(
        CommandRow(
            id=ctx.new_id("cmd"),
            site=gateway.site,
            gateway_id=gateway.id,
            device=device,
            metric=metric,
            value=value,
            reason=reason,
            state="PROPOSED",
            second_person=False,
            proposer=ctx.principal.id,
            confirmer="",
            expire_time=ctx.now() + CONFIRM_WITHIN,
            outcome_reason="",
            outcome_value=pb.Value(),
        )
    )


def confirm(ctx: Context, row: CommandRow) -> None:
    """Let a command be sent once this is committed."""
    row.state = "CONFIRMED"
    row.confirmer = ctx.principal.id
    row.confirm_time = ctx.now()
    CommandRepository(ctx).flush()
    announce_command(ctx, row, COMMAND_ISSUED)


def issue(
    ctx: Context, gateway: GatewayRow, metric: str, value: pb.Value, reason: str
) -> CommandRow:
    """Tell an agent something that needs no second step."""
    row = new_command(ctx, gateway, "", metric, value, reason)
    confirm(ctx, row)
    return row


def send(ports: Ports, ctx: Context, event: Event) -> None:
    """Send a command that was confirmed a moment ago; one that lay for long is not sent.

    Raises:
        Unavailable: the broker is away.
    """
    repository = CommandRepository(ctx)
    row = repository.get_by_name(event.subject)
    if row.state != "CONFIRMED" or row.confirm_time is None:
        return
    now = ctx.now()
    if now - row.confirm_time > SEND_WITHIN:
        settle(ctx, row, "EXPIRED", "the broker was away when it was to be sent")
        return
    gateway = GatewayRepository(ctx).get(row.gateway_id)
    ports.need_commands().send(
        Order(
            command_id=row.id,
            site=row.site,
            edge_node=gateway.edge_node,
            device=row.device,
            metric=row.metric,
            value=value_of(row.value, "value"),
            proposer=row.proposer,
            confirmer=row.confirmer,
        ),
        now,
    )
    row.state = "SENT"
    row.send_time = now
    repository.flush()


def settle(ctx: Context, row: CommandRow, state: str, reason: str) -> None:
    """End a command."""
    row.state = state
    row.outcome_reason = reason
    CommandRepository(ctx).flush()
    announce_command(ctx, row, COMMAND_SETTLED)
    detail = f"{state.lower()}: {reason}" if reason else state.lower()
    ctx.record(COMMAND_SETTLED, f"commands/{row.id}", site=row.site, detail=detail)


def check_outcome(outcome: report_pb2.CommandOutcome) -> None:
    """Let pass an outcome that can be kept.

    Raises:
        InvalidArgument: it names no gateway or command, an impossible time, or too much.
    """
    validate(outcome)
    check_identifiers(outcome, "site", "edge_node", prefix="")
    check_lengths(outcome, prefix="", command_id=128, text=_LONGEST_TEXT)
    if not outcome.command_id:
        raise InvalidArgument.field("command_id", "is required")


def record_outcome(ctx: Context, outcome: report_pb2.CommandOutcome) -> bool:
    """Keep what became of a command; say whether it was one of this gateway's that waits for it."""
    row = CommandRepository(ctx).find(outcome.command_id)
    gateway = GatewayRepository.key(outcome.site, outcome.edge_node)
    state = _OUTCOMES.get(outcome.outcome)
    # The answer may overtake our own note that it was sent.
    waits = row is not None and row.state in ("CONFIRMED", "SENT", "UNANSWERED")
    if row is None or state is None or not waits or row.gateway_id != gateway:
        return False
    which = outcome.WhichOneof("value")
    if which is not None:
        row.outcome_value = pb.Value(**{which: getattr(outcome, which)})
    row.outcome_time = time_of(outcome.outcome_time)
    settle(ctx, row, state, outcome.reason[:_LONGEST_TEXT])
    return True


def end_overdue(ctx: Context) -> None:
    """End what nobody confirmed and what nobody answered."""
    repository = CommandRepository(ctx)
    now = ctx.now()
    for row in repository.overdue("PROPOSED", now):
        settle(ctx, row, "EXPIRED", "nobody confirmed it in time")
    for row in repository.overdue("SENT", now - ANSWER_WITHIN):
        settle(ctx, row, "UNANSWERED", "the gateway did not answer: it may have been done")


def require_state(row: CommandRow, state: str) -> None:
    """Let pass a command in a state.

    Raises:
        CommandIsSettled: it is in another.
    """
    if row.state != state:
        raise CommandIsSettled(f"commands/{row.id}", row.state.lower(), state.lower())
