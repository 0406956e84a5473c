"""What people do about an alarm: acknowledge, shelve, unshelve."""

from __future__ import annotations

from datetime import datetime

from erp_modules.kernel.context import Context
from erp_modules.kernel.events import EventType
from erp_modules.kernel.ids import Cause
from erp_modules.maintenance import events, tickets
from erp_modules.maintenance.alarm_states import AlarmCondition, Shelving
from erp_modules.maintenance.models import AlarmRow
from erp_modules.maintenance.repository import AlarmRepository, TicketRepository


def condition_of(alarm: AlarmRow) -> AlarmCondition:
    """Return what the row says about the condition."""
    shelving = None
    if alarm.shelve_expire_time is not None:
        shelving = Shelving(alarm.shelve_reason, alarm.shelve_expire_time)
    return AlarmCondition(alarm.active, alarm.acknowledged, shelving, alarm.out_of_service)


def set_condition(alarm: AlarmRow, condition: AlarmCondition) -> None:
    """Write the condition, and the state it makes, into the row."""
    alarm.active = condition.active
    alarm.acknowledged = condition.acknowledged
    alarm.out_of_service = condition.out_of_service
    alarm.shelve_reason = condition.shelving.reason if condition.shelving else ""
    alarm.shelve_expire_time = condition.shelving.expire_time if condition.shelving else None
    alarm.state = condition.state


def acknowledge(ctx: Context, name: str, etag: str, comment: str) -> AlarmRow:
    """Say that the caller has seen the alarm; a second time changes nothing."""
    repository = AlarmRepository(ctx)
    alarm = repository.get_by_name(name)
    condition = condition_of(alarm)
    if condition.acknowledged:
        return alarm
    repository.check_etag(alarm, etag)
    set_condition(alarm, condition.acknowledge())
    alarm.acknowledge_time = ctx.now()
    alarm.acknowledged_by = ctx.principal.id
    _note(ctx, alarm, "alarm.acknowledged", comment)
    return _done(ctx, alarm, events.ALARM_ACKNOWLEDGED)


def shelve(ctx: Context, name: str, etag: str, reason: str, expire_time: datetime) -> AlarmRow:
    """Silence the alarm until `expire_time`; the same reason and time again changes nothing."""
    repository = AlarmRepository(ctx)
    alarm = repository.get_by_name(name)
    condition = condition_of(alarm)
    if condition.shelving == Shelving(reason, expire_time):
        return alarm
    repository.check_etag(alarm, etag)
    set_condition(alarm, condition.shelve(reason, expire_time))
    _note(ctx, alarm, "alarm.shelved", f"until {expire_time.isoformat()}: {reason}")
    return _done(ctx, alarm, events.ALARM_SHELVED)


def unshelve(ctx: Context, alarm: AlarmRow, why: str) -> AlarmRow:
    """End the shelving of the alarm."""
    set_condition(alarm, condition_of(alarm).unshelve())
    _note(ctx, alarm, "alarm.unshelved", why)
    return _done(ctx, alarm, events.ALARM_UNSHELVED)


def _note(ctx: Context, alarm: AlarmRow, type: str, detail: str) -> None:
    if detail:
        ctx.record(type, f"alarms/{alarm.id}", site=alarm.site, detail=detail)
    ticket = TicketRepository(ctx).find(alarm.ticket_id) if alarm.ticket_id else None
    if ticket is not None:
        tickets.record(ctx, ticket, type, detail)


def _done(ctx: Context, alarm: AlarmRow, type: EventType) -> AlarmRow:
    AlarmRepository(ctx).flush()
    announce(ctx, alarm, type)
    return alarm


def announce(
    ctx: Context, alarm: AlarmRow, type: EventType, causes: tuple[Cause, ...] = ()
) -> None:
    """Emit an event about the alarm as it now is."""
    ctx.emit(
        type,
        subject=f"alarms/{alarm.id}",
        site=alarm.site,
        data=events.alarm_data(alarm),
        causes=causes,
    )
