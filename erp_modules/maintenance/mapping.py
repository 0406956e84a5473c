"""From rows to messages, and between the contract's enumerations and ours."""

from __future__ import annotations

from datetime import datetime, timedelta

from erp_modules.kernel.fields import timestamp_of
from erp_modules.maintenance.failure_modes import FailureMode
from erp_modules.maintenance.models import (
    AlarmRow,
    EquipmentRow,
    TicketCommentRow,
    TicketEventRow,
    TicketRow,
)
from erp_modules.maintenance.priority import Priority
from erp_modules.maintenance.repository import OpenWork
from erp_modules.maintenance.sla import TARGETS, Clock
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.v1 import alert_pb2


def failure_mode_of(value: alert_pb2.FailureMode.ValueType) -> FailureMode:
    """Return our mode; unspecified is undetermined."""
    if value == alert_pb2.FAILURE_MODE_UNSPECIFIED:
        return FailureMode.UNDETERMINED
    return FailureMode(alert_pb2.FailureMode.Name(value).removeprefix("FAILURE_MODE_"))


def failure_mode(stored: str) -> alert_pb2.FailureMode.ValueType:
    """Return the contract's value; empty is unspecified."""
    return alert_pb2.FailureMode.Value(failure_mode_name(stored))


def failure_mode_name(stored: str) -> str:
    """Return the contract's name; empty is unspecified."""
    return f"FAILURE_MODE_{stored or 'UNSPECIFIED'}"


def severity(stored: int) -> alert_pb2.Severity.ValueType:
    """Return the contract's value; the numbers are the same."""
    return alert_pb2.Severity.Value(severity_name(stored))


def severity_name(stored: int) -> str:
    """Return the contract's name."""
    return alert_pb2.Severity.keys()[stored]


def priority_name(stored: int) -> str:
    """Return the contract's name."""
    return pb.TicketPriority.keys()[stored]


def alarm_state(stored: str) -> pb.AlarmState.ValueType:
    """Return the contract's value."""
    return pb.AlarmState.Value(f"ALARM_STATE_{stored}")


def ticket_state(stored: str) -> pb.TicketState.ValueType:
    """Return the contract's value; empty is unspecified."""
    return pb.TicketState.Value(f"TICKET_STATE_{stored or 'UNSPECIFIED'}")


def equipment_message(row: EquipmentRow, work: OpenWork) -> pb.Equipment:
    """Return a machine with what is open on it."""
    return pb.Equipment(
        name=f"equipment/{row.tag}",
        site=row.site,
        tag=row.tag,
        display_name=row.display_name,
        equipment_class=row.equipment_class,
        path=row.path,
        criticality=pb.Criticality.Value(pb.Criticality.keys()[row.criticality]),
        discovered=row.discovered,
        health=row.health,
        open_alarm_count=work.alarms,
        open_ticket_count=work.tickets,
        highest_severity=severity(work.highest_severity),
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
    )


def alarm_message(row: AlarmRow) -> pb.Alarm:
    """Return an alarm."""
    return pb.Alarm(
        name=f"alarms/{row.id}",
        site=row.site,
        equipment=row.equipment,
        state=alarm_state(row.state),
        severity=severity(row.severity),
        failure_mode=failure_mode(row.failure_mode),
        summary=row.summary,
        ticket=f"tickets/{row.ticket_id}" if row.ticket_id else "",
        advisory=row.advisory,
        raise_time=timestamp_of(row.raise_time),
        clear_time=timestamp_of(row.clear_time),
        acknowledge_time=timestamp_of(row.acknowledge_time),
        acknowledged_by=row.acknowledged_by,
        shelve_reason=row.shelve_reason,
        shelve_expire_time=timestamp_of(row.shelve_expire_time),
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
        causing_sent_time=timestamp_of(row.causing_sent_time),
    )


def ticket_message(row: TicketRow, now: datetime) -> pb.Ticket:
    """Return a ticket with its promises as they stand at `now`."""
    response, resolution = _promises(row)
    return pb.Ticket(
        name=f"tickets/{row.id}",
        site=row.site,
        number=row.number,
        equipment=row.equipment,
        alarm=f"alarms/{row.alarm_id}" if row.alarm_id else "",
        state=ticket_state(row.state),
        priority=pb.TicketPriority.Value(priority_name(row.priority)),
        severity=severity(row.severity),
        failure_mode=failure_mode(row.failure_mode),
        title=row.title,
        description=row.description,
        suggested_steps=row.suggested_steps,
        assignee=row.assignee,
        hold_reason=row.hold_reason,
        resolution=row.resolution,
        found_failure_mode=failure_mode(row.found_failure_mode),
        response_sla=_clock_message(response, now),
        resolution_sla=_clock_message(resolution, now),
        scheduled_start_time=timestamp_of(row.scheduled_start_time),
        start_time=timestamp_of(row.start_time),
        complete_time=timestamp_of(row.complete_time),
        close_time=timestamp_of(row.close_time),
        advisory=row.advisory,
        advisory_count=row.advisory_count,
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
        causing_sent_time=timestamp_of(row.causing_sent_time),
    )


def _promises(row: TicketRow) -> tuple[Clock, Clock]:
    targets = TARGETS[Priority(row.priority)]
    held = timedelta(milliseconds=row.held_ms)
    # No hold comes before the start, so none moves the response.
    response = Clock(row.create_time, targets.response, stop_time=row.start_time or row.close_time)
    resolution = Clock(
        row.create_time,
        targets.resolution,
        held=held,
        held_since=row.hold_time,
        stop_time=row.complete_time or row.close_time,
    )
    return response, resolution


def _clock_message(clock: Clock, now: datetime) -> pb.SlaClock:
    return pb.SlaClock(
        state=pb.SlaState.Value(f"SLA_STATE_{clock.state(now)}"),
        due_time=timestamp_of(clock.due_time(now)),
        stop_time=timestamp_of(clock.stop_time),
    )


def comment_message(row: TicketCommentRow) -> pb.TicketComment:
    """Return a comment."""
    return pb.TicketComment(
        name=f"tickets/{row.ticket_id}/comments/{row.id}",
        author=row.author,
        text=row.text,
        create_time=timestamp_of(row.create_time),
    )


def history_message(row: TicketEventRow) -> pb.TicketEvent:
    """Return a line of history."""
    return pb.TicketEvent(
        name=f"tickets/{row.ticket_id}/history/{row.id}",
        actor=row.actor,
        type=row.type,
        detail=row.detail,
        from_state=ticket_state(row.from_state),
        to_state=ticket_state(row.to_state),
        create_time=timestamp_of(row.create_time),
    )
