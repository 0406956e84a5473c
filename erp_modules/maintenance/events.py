"""The events this module emits; it handles none of others'."""

from __future__ import annotations

from typing import Any

from erp_modules.kernel.events import EventType
from erp_modules.maintenance.life_cycle import Step
from erp_modules.maintenance.mapping import (
    alarm_state,
    failure_mode_name,
    priority_name,
    severity_name,
    ticket_state,
)
from erp_modules.maintenance.models import AlarmRow, TicketRow
from erp_modules.maintenance.v1 import maintenance_pb2 as pb

ALARM_RAISED = EventType("maintenance.alarm.raised")
ALARM_UPDATED = EventType("maintenance.alarm.updated")
ALARM_ACKNOWLEDGED = EventType("maintenance.alarm.acknowledged")
ALARM_CLEARED = EventType("maintenance.alarm.cleared")
ALARM_SHELVED = EventType("maintenance.alarm.shelved")
ALARM_UNSHELVED = EventType("maintenance.alarm.unshelved")
TICKET_OPENED = EventType("maintenance.ticket.opened")
TICKET_UPDATED = EventType("maintenance.ticket.updated")
TICKET_CLOSED = EventType("maintenance.ticket.closed")
TICKET_CANCELLED = EventType("maintenance.ticket.cancelled")
TICKET_REJECTED = EventType("maintenance.ticket.rejected")

EMITTED = (
    ALARM_RAISED,
    ALARM_UPDATED,
    ALARM_ACKNOWLEDGED,
    ALARM_CLEARED,
    ALARM_SHELVED,
    ALARM_UNSHELVED,
    TICKET_OPENED,
    TICKET_UPDATED,
    TICKET_CLOSED,
    TICKET_CANCELLED,
    TICKET_REJECTED,
)

# What others act on has an event of its own; every other step is an update.
_OF_STEP = {
    Step.CLOSE: TICKET_CLOSED,
    Step.CANCEL: TICKET_CANCELLED,
    Step.REJECT: TICKET_REJECTED,
}


def event_of(step: Step) -> EventType:
    """Return the event that tells of `step`."""
    return _OF_STEP.get(step, TICKET_UPDATED)


def alarm_data(alarm: AlarmRow) -> dict[str, Any]:
    """Return the data of an alarm's event, enumerations by their names in the contract."""
    return {
        "alarm": f"alarms/{alarm.id}",
        "site": alarm.site,
        "equipment": alarm.equipment,
        "state": pb.AlarmState.Name(alarm_state(alarm.state)),
        "severity": severity_name(alarm.severity),
        "failureMode": failure_mode_name(alarm.failure_mode),
        "summary": alarm.summary,
        "ticket": f"tickets/{alarm.ticket_id}" if alarm.ticket_id else "",
        "sentTime": _json_time(alarm),
    }


def ticket_data(ticket: TicketRow) -> dict[str, Any]:
    """Return the data of a ticket's event, enumerations by their names in the contract."""
    return {
        "ticket": f"tickets/{ticket.id}",
        "number": ticket.number,
        "title": ticket.title,
        "site": ticket.site,
        "equipment": ticket.equipment,
        "equipmentClass": ticket.equipment_class,
        "state": pb.TicketState.Name(ticket_state(ticket.state)),
        "failureMode": failure_mode_name(ticket.failure_mode),
        "severity": severity_name(ticket.severity),
        "priority": priority_name(ticket.priority),
        "alarm": f"alarms/{ticket.alarm_id}" if ticket.alarm_id else "",
        "sentTime": _json_time(ticket),
    }


def _json_time(row: AlarmRow | TicketRow) -> str | None:
    sent = row.causing_sent_time
    return None if sent is None else sent.isoformat().replace("+00:00", "Z")
