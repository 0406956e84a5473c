"""From an advisory of the processor to one alarm and one ticket.

The processor reports at least once and in order for each piece of equipment. Here a statement
counts once, by `(advisory_id, revision)`, and an older one never undoes a newer one. The first
statement of a finding opens its alarm; an open ticket for the same work is joined, else one is
opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.identifiers import check_identifiers, check_lengths
from erp_modules.kernel.ids import Cause, derived_id
from erp_modules.maintenance import alarms, events, tickets
from erp_modules.maintenance.alarm_states import AlarmCondition
from erp_modules.maintenance.failure_modes import FailureMode, same_work
from erp_modules.maintenance.life_cycle import OPEN_STATES
from erp_modules.maintenance.mapping import failure_mode_of
from erp_modules.maintenance.models import AlarmRow, EquipmentRow, TicketRow
from erp_modules.maintenance.priority import Criticality, Priority, Severity
from erp_modules.maintenance.procedures import suggested_steps
from erp_modules.maintenance.repository import (
    AlarmRepository,
    EquipmentRepository,
    TicketRepository,
)
from stream_processor.v1 import alert_pb2
from stream_processor.v1.alert_pb2 import Advisory

# A machine that was well for longer has a new trouble, and a planner wants to see it apart.
EPISODE_GAP = timedelta(hours=24)

_CLEARED = alert_pb2.ADVISORY_STATE_CLEARED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statement led to; `applied` is False when it, or a newer one, was known."""

    alarm: AlarmRow
    ticket: TicketRow | None
    applied: bool


def report(ctx: Context, advisory: Advisory) -> Outcome:
    """Take one statement of the processor.

    Raises:
        InvalidArgument: a field that identifies or judges the finding is missing.
        PermissionDenied: the site is none of the caller's.
    """
    check(advisory)
    ctx.require_site(advisory.site)
    repository = AlarmRepository(ctx)
    alarm = repository.find(alarm_id(advisory))
    if alarm is not None and advisory.revision <= alarm.revision:
        return Outcome(alarm, _ticket_of(ctx, alarm), applied=False)
    equipment = _equipment(ctx, advisory)
    causes: tuple[Cause, ...] = (advisory.advisory_id, advisory.revision)
    if alarm is None:
        alarm = repository.add(_new_alarm(ctx, advisory))
        announced, asks_for_ticket = events.ALARM_RAISED, True
    else:
        was_active = alarm.active
        _update_alarm(ctx, alarm, advisory)
        if was_active:
            announced = events.ALARM_UPDATED if alarm.active else events.ALARM_CLEARED
        else:
            announced = events.ALARM_RAISED if alarm.active else events.ALARM_UPDATED
        asks_for_ticket = alarm.active and not was_active
    ticket = _deal_with(ctx, alarm, equipment, asks_for_ticket)
    repository.flush()
    alarms.announce(ctx, alarm, announced, causes)
    return Outcome(alarm, ticket, applied=True)


def check(advisory: Advisory) -> None:
    """Let pass an advisory that says which finding, where and how bad.

    Raises:
        InvalidArgument: with every field that is missing or wrong.
    """
    required = ["advisory_id", "revision", "state", "site", "equipment", "window_end_time"]
    if advisory.state != _CLEARED:
        required.append("severity")
    fields.require(advisory, *required, prefix="advisory.")
    check_identifiers(advisory, "site", "equipment", prefix="advisory.")
    check_lengths(
        advisory, prefix="advisory.", advisory_id=192, equipment_class=64, equipment_path=512
    )


def alarm_id(advisory: Advisory) -> str:
    """Return the id of the finding's alarm, a pure function of it."""
    return derived_id("alm", advisory.site, advisory.advisory_id)


def serve(ctx: Context, alarm: AlarmRow) -> TicketRow:
    """Join the alarm to the open ticket for the same work, or open one, from its last advisory."""
    equipment = EquipmentRepository(ctx).get(EquipmentRepository.key(alarm.site, alarm.equipment))
    alarm.ticket_withheld = False
    mode = FailureMode(alarm.failure_mode)
    for ticket in TicketRepository(ctx).open_on(alarm.site, alarm.equipment):
        if same_work(FailureMode(ticket.failure_mode), mode) and _same_episode(ctx, ticket, alarm):
            alarm.ticket_id = ticket.id
            _tell(ctx, ticket, alarm, equipment)
            return ticket
    advisory = alarm.advisory
    # A finding that comes back after its ticket was done is new work: the revision tells them
    # apart.
    causes: tuple[Cause, ...] = (alarm.site, alarm.advisory_id)
    ticket_id = derived_id("tkt", *causes)
    if TicketRepository(ctx).find(ticket_id) is not None:
        causes = (*causes, alarm.revision)
        ticket_id = derived_id("tkt", *causes)
    alarm.ticket_id = ticket_id
    return tickets.open_ticket(
        ctx,
        ticket_id,
        equipment,
        tickets.Request(
            failure_mode=mode,
            severity=Severity(alarm.severity),
            title=_title(mode, alarm.equipment),
            description=alarm.summary,
            alarm_id=alarm.id,
            advisory=advisory,
            sent_time=fields.time_of(advisory.sent_time)
            if advisory.HasField("sent_time")
            else None,
        ),
        causes,
    )


def _same_episode(ctx: Context, ticket: TicketRow, alarm: AlarmRow) -> bool:
    """Say whether the alarm belongs to the trouble that the ticket is about.

    It does while an alarm of the ticket is active or was until lately, by event time; a ticket
    that a person opened takes every alarm for the same work.
    """
    others = AlarmRepository(ctx).of_ticket(ticket.id)
    return not others or any(
        other.clear_time is None or alarm.raise_time - other.clear_time <= EPISODE_GAP
        for other in others
    )


def _deal_with(
    ctx: Context, alarm: AlarmRow, equipment: EquipmentRow, asks_for_ticket: bool
) -> TicketRow | None:
    """Open, join or tell the ticket this statement asks for; a shelved alarm opens none."""
    known = _ticket_of(ctx, alarm)
    if known is not None and known.state in OPEN_STATES:
        _tell(ctx, known, alarm, equipment)
        return known
    if not asks_for_ticket:
        return known
    if alarms.condition_of(alarm).shelving is not None:
        alarm.ticket_withheld = True
        return known
    return serve(ctx, alarm)


def _ticket_of(ctx: Context, alarm: AlarmRow) -> TicketRow | None:
    return TicketRepository(ctx).find(alarm.ticket_id) if alarm.ticket_id else None


def _equipment(ctx: Context, advisory: Advisory) -> EquipmentRow:
    """Return the machine the advisory is about, discovered when nobody registered it."""
    repository = EquipmentRepository(ctx)
    seen = fields.time_of(advisory.window_end_time)
    row = repository.at_site(advisory.site, advisory.equipment)
    if row is None:
        return repository.add(
            EquipmentRow(
                id=repository.key(advisory.site, advisory.equipment),
                site=advisory.site,
                tag=advisory.equipment,
                display_name=advisory.equipment,
                equipment_class=advisory.equipment_class,
                path=advisory.equipment_path,
                criticality=Criticality.MEDIUM,
                discovered=True,
                health=advisory.health,
                health_time=seen,
            )
        )
    if row.health_time is None or row.health_time <= seen:
        row.health, row.health_time = advisory.health, seen
    return row


def _new_alarm(ctx: Context, advisory: Advisory) -> AlarmRow:
    sent = fields.time_of(advisory.sent_time) if advisory.HasField("sent_time") else None
    seen = fields.time_of(advisory.window_end_time)
    mode = failure_mode_of(advisory.failure_mode)
    condition = AlarmCondition(active=advisory.state != _CLEARED, acknowledged=False)
    # Shelving silences the condition, not one finding of it: a chattering one has a new id each
    # time.
    shelved = AlarmRepository(ctx).shelved_like(advisory.site, advisory.equipment, mode, ctx.now())
    if shelved is not None and shelved.shelve_expire_time is not None:
        condition = condition.shelve(shelved.shelve_reason, shelved.shelve_expire_time)
    row = AlarmRow(
        id=alarm_id(advisory),
        site=advisory.site,
        advisory_id=advisory.advisory_id,
        revision=advisory.revision,
        equipment=advisory.equipment,
        severity=advisory.severity or Severity.LOW,
        failure_mode=mode,
        summary=advisory.summary,
        ticket_id="",
        ticket_withheld=False,
        advisory=advisory,
        raise_time=seen,
        clear_time=None if condition.active else seen,
        acknowledged_by="",
        shelve_reason="",
        causing_sent_time=sent,
    )
    alarms.set_condition(row, condition)
    return row


def _update_alarm(ctx: Context, alarm: AlarmRow, advisory: Advisory) -> None:
    condition = alarms.condition_of(alarm)
    seen = fields.time_of(advisory.window_end_time)
    alarm.revision = advisory.revision
    alarm.advisory = advisory
    if advisory.state == _CLEARED:
        if condition.active:
            alarm.clear_time = seen
        alarms.set_condition(alarm, condition.cleared())
        return
    if not condition.active:
        alarm.raise_time, alarm.clear_time = seen, None
        alarm.acknowledge_time, alarm.acknowledged_by = None, ""
    alarm.severity = advisory.severity
    alarm.summary = advisory.summary or alarm.summary
    mode = failure_mode_of(advisory.failure_mode)
    if mode is not FailureMode.UNDETERMINED:
        alarm.failure_mode = mode
    alarms.set_condition(alarm, condition.raised())


def _tell(ctx: Context, ticket: TicketRow, alarm: AlarmRow, equipment: EquipmentRow) -> None:
    """Add a statement to an open ticket: it may name the cause and raise the priority."""
    said = [f"alarms/{alarm.id}, statement {alarm.revision}: {alarm.summary}"]
    ticket.advisory_count += 1
    worse = False
    if not alarm.active:
        said = [f"alarms/{alarm.id}: the condition returned to normal"]
    else:
        ticket.advisory = alarm.advisory
    mode = FailureMode(alarm.failure_mode)
    if ticket.failure_mode != mode and _may_rename(ticket, alarm, mode):
        said.append(f"failure mode is {mode.words}")
        # Words that a person wrote stay.
        if ticket.title == _title(FailureMode(ticket.failure_mode), ticket.equipment):
            ticket.title = _title(mode, ticket.equipment)
        if ticket.suggested_steps == list(suggested_steps(FailureMode(ticket.failure_mode))):
            ticket.suggested_steps = list(suggested_steps(mode))
        ticket.failure_mode = mode
        worse = True
    if alarm.severity > ticket.severity:
        ticket.severity = alarm.severity
        said.append(f"severity raised to {Severity(alarm.severity).name.lower()}")
        worse = True
    rated = tickets.rated(equipment, Severity(ticket.severity), FailureMode(ticket.failure_mode))
    # A priority that a person lowered stays until there is news.
    if worse and rated > ticket.priority:
        ticket.priority = rated
        said.append(f"priority raised to {Priority(rated).name.lower()}")
    tickets.record(ctx, ticket, "ticket.advised", "; ".join(said))
    tickets.announce(
        ctx, ticket, events.TICKET_UPDATED, (alarm.site, alarm.advisory_id, alarm.revision)
    )


def _may_rename(ticket: TicketRow, alarm: AlarmRow, mode: FailureMode) -> bool:
    """An undetermined cause takes any name, another one the opening alarm's only."""
    if mode is FailureMode.UNDETERMINED:
        return False
    if ticket.failure_mode == FailureMode.UNDETERMINED:
        return True
    return ticket.alarm_id == alarm.id


def _title(mode: FailureMode, equipment: str) -> str:
    if mode is FailureMode.UNDETERMINED:
        return f"Abnormal behaviour of {equipment}"
    return f"{mode.words.capitalize()} on {equipment}"
