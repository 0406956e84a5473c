"""The end of a shelving, by a person or by its expiry: what waited for it happens now."""

from __future__ import annotations

from erp_modules.kernel.context import Context
from erp_modules.maintenance import advisories, alarms
from erp_modules.maintenance.models import AlarmRow
from erp_modules.maintenance.repository import AlarmRepository


def end(ctx: Context, alarm: AlarmRow, why: str) -> AlarmRow:
    """End the shelving; an alarm that is active and asked for a ticket meanwhile gets it."""
    if alarm.ticket_withheld and alarm.active:
        advisories.serve(ctx, alarm)
    alarm.ticket_withheld = False
    return alarms.unshelve(ctx, alarm, why)


def expire(ctx: Context) -> None:
    """End every shelving whose time is over; a scheduled job."""
    for alarm in AlarmRepository(ctx).shelving_expired(ctx.now()):
        end(ctx, alarm, "its time is over")
