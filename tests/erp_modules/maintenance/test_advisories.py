"""An advisory becomes one alarm and one ticket."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import InvalidArgument, PermissionDenied
from erp_modules.kernel.fields import time_of, timestamp_of
from erp_modules.maintenance.failure_modes import FailureMode
from erp_modules.maintenance.procedures import suggested_steps
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.v1 import alert_pb2

Call = Callable[..., Any]
CLEARED = alert_pb2.ADVISORY_STATE_CLEARED
UNDETERMINED = alert_pb2.FAILURE_MODE_UNDETERMINED
REPORT = "AlarmService.ReportAdvisory"


def tickets(call: Call) -> list[pb.Ticket]:
    return list(call("TicketService.ListTickets", pb.ListTicketsRequest()).tickets)


def to_state(call: Call, name: str, *steps: str) -> None:
    for step in steps:
        request = getattr(pb, f"{step}TicketRequest")(name=name)
        if step == "Schedule":
            request.assignee = "bo"
            request.scheduled_start_time.FromJsonString("2026-03-03T08:00:00Z")
        call(f"TicketService.{step}Ticket", request)


def test_raises_one_alarm_and_opens_one_ticket(
    app_on_both: Application, call: Call, report: Call, events: Call, advisory: Call
) -> None:
    said = advisory()
    answer = report()
    assert answer.applied
    alarm, ticket = answer.alarm, answer.ticket
    assert alarm.state == pb.ALARM_STATE_UNACKNOWLEDGED
    assert alarm.advisory == said
    assert alarm.raise_time == said.window_end_time
    assert alarm.causing_sent_time == said.sent_time == ticket.causing_sent_time
    assert alarm.ticket == ticket.name
    assert ticket.alarm == alarm.name
    assert ticket.state == pb.TICKET_STATE_REQUESTED
    assert ticket.number == "WO-000001"
    assert ticket.title == "Bearing outer race on P-101"
    assert list(ticket.suggested_steps) == list(suggested_steps(FailureMode.BEARING_OUTER_RACE))
    assert [e["type"] for e in events()] == [
        "maintenance.ticket.opened",
        "maintenance.alarm.raised",
    ]
    assert events()[0]["data"] == {
        "ticket": ticket.name,
        "number": "WO-000001",
        "title": ticket.title,
        "site": "bottling",
        "equipment": "P-101",
        "equipmentClass": "centrifugal_pump",
        "state": "TICKET_STATE_REQUESTED",
        "failureMode": "FAILURE_MODE_BEARING_OUTER_RACE",
        "severity": "SEVERITY_MEDIUM",
        "priority": "TICKET_PRIORITY_MEDIUM",
        "alarm": alarm.name,
        "sentTime": time_of(said.sent_time).isoformat().replace("+00:00", "Z"),
    }


def test_a_second_delivery_changes_nothing(call: Call, report: Call, events: Call) -> None:
    first = report()
    known = events()
    again = report()
    assert not again.applied
    assert (again.alarm, again.ticket) == (first.alarm, first.ticket)
    assert events() == known


def test_ids_are_a_function_of_the_finding(app: Application, call: Call, report: Call) -> None:
    first = report()
    other = report(advisory_id="finding-2", equipment="P-102")
    elsewhere = report(site="brewery")
    assert len({first.alarm.name, other.alarm.name, elsewhere.alarm.name}) == 3
    assert first.alarm.name == "alarms/alm-" + first.alarm.name[-16:]
    assert elsewhere.ticket.number == "WO-000001"
    assert other.ticket.number == "WO-000002"


def test_discovers_equipment_nobody_registered(call: Call, report: Call) -> None:
    report()
    machine = call("EquipmentService.GetEquipment", pb.GetEquipmentRequest(name="equipment/P-101"))
    assert machine.discovered
    assert machine.equipment_class == "centrifugal_pump"
    assert machine.path == "acme/bottling/utilities/water/cell-1"
    assert machine.health == pytest.approx(0.6)
    assert (machine.open_alarm_count, machine.open_ticket_count) == (1, 1)
    assert machine.highest_severity == alert_pb2.SEVERITY_MEDIUM


def test_a_worse_statement_raises_the_priority(call: Call, report: Call) -> None:
    opened = report()
    worse = report(2, severity=alert_pb2.SEVERITY_CRITICAL, summary="Worse.")
    assert worse.alarm.severity == alert_pb2.SEVERITY_CRITICAL
    assert worse.ticket.name == opened.ticket.name
    assert worse.ticket.priority == pb.TICKET_PRIORITY_HIGH
    assert worse.ticket.advisory_count == 2
    assert time_of(worse.ticket.resolution_sla.due_time) < time_of(
        opened.ticket.resolution_sla.due_time
    )
    history = call(
        "TicketService.ListTicketHistory", pb.ListTicketHistoryRequest(parent=opened.ticket.name)
    ).events
    assert [line.type for line in history] == ["ticket.opened", "ticket.advised"]
    assert "priority raised to high" in history[1].detail


def test_a_milder_statement_lowers_the_alarm_only(report: Call) -> None:
    report(severity=alert_pb2.SEVERITY_CRITICAL)
    milder = report(2, severity=alert_pb2.SEVERITY_LOW)
    assert milder.alarm.severity == alert_pb2.SEVERITY_LOW
    assert milder.ticket.severity == alert_pb2.SEVERITY_CRITICAL
    assert milder.ticket.priority == pb.TICKET_PRIORITY_HIGH


def test_a_priority_a_person_lowered_stays_until_there_is_news(call: Call, report: Call) -> None:
    opened = report(severity=alert_pb2.SEVERITY_HIGH)
    lowered = pb.Ticket(name=opened.ticket.name, priority=pb.TICKET_PRIORITY_LOW)
    call("TicketService.UpdateTicket", pb.UpdateTicketRequest(ticket=lowered))
    same = report(2, severity=alert_pb2.SEVERITY_HIGH)
    assert same.ticket.priority == pb.TICKET_PRIORITY_LOW
    worse = report(3, severity=alert_pb2.SEVERITY_CRITICAL)
    assert worse.ticket.priority == pb.TICKET_PRIORITY_HIGH


def test_an_older_statement_does_not_go_back(report: Call) -> None:
    report()
    newest = report(3, severity=alert_pb2.SEVERITY_HIGH)
    late = report(2, severity=alert_pb2.SEVERITY_LOW, state=CLEARED)
    assert not late.applied
    assert late.alarm == newest.alarm


def test_a_return_to_normal_leaves_the_ticket(call: Call, report: Call, events: Call) -> None:
    report()
    cleared = report(2, state=CLEARED)
    assert cleared.alarm.state == pb.ALARM_STATE_RETURNED_UNACKNOWLEDGED
    assert cleared.alarm.HasField("clear_time")
    assert cleared.ticket.state == pb.TICKET_STATE_REQUESTED
    history = call(
        "TicketService.ListTicketHistory", pb.ListTicketHistoryRequest(parent=cleared.ticket.name)
    ).events
    assert "returned to normal" in history[-1].detail
    assert events()[-1]["type"] == "maintenance.alarm.cleared"


def test_lost_first_statement_is_no_harm(report: Call) -> None:
    second = report(2)
    assert second.applied
    assert second.ticket.name
    assert not report(1).applied


def test_another_finding_of_the_same_mode_joins_the_open_ticket(call: Call, report: Call) -> None:
    first = report()
    other = report(advisory_id="finding-2", rule="kurtosis")
    assert other.alarm.name != first.alarm.name
    assert other.ticket.name == first.ticket.name
    assert other.ticket.advisory_count == 2
    assert len(tickets(call)) == 1


@pytest.mark.parametrize(("well_for_hours", "tickets_due"), [(23, 1), (25, 2)])
def test_a_machine_that_was_well_for_a_day_has_a_new_trouble(
    call: Call, report: Call, well_for_hours: int, tickets_due: int
) -> None:
    cleared = datetime(2026, 3, 2, tzinfo=UTC)
    report(window_end_time=timestamp_of(cleared - timedelta(hours=1)))
    report(2, state=alert_pb2.ADVISORY_STATE_CLEARED, window_end_time=timestamp_of(cleared))

    again = timestamp_of(cleared + timedelta(hours=well_for_hours))
    report(advisory_id="finding-2", window_end_time=again)

    assert len(tickets(call)) == tickets_due


def test_a_cause_named_later_names_the_ticket(call: Call, report: Call, events: Call) -> None:
    opened = report(failure_mode=UNDETERMINED)
    assert opened.ticket.title == "Abnormal behaviour of P-101"
    named = report(2)
    assert named.ticket.failure_mode == alert_pb2.FAILURE_MODE_BEARING_OUTER_RACE
    assert named.ticket.title == "Bearing outer race on P-101"
    assert list(named.ticket.suggested_steps) == list(
        suggested_steps(FailureMode.BEARING_OUTER_RACE)
    )
    updates = [e for e in events() if e["type"] == "maintenance.ticket.updated"]
    assert updates[0]["data"]["failureMode"] == "FAILURE_MODE_BEARING_OUTER_RACE"


def test_an_undetermined_finding_joins_whatever_is_open(call: Call, report: Call) -> None:
    first = report()
    other = report(advisory_id="finding-2", failure_mode=UNDETERMINED)
    assert other.ticket.name == first.ticket.name
    assert other.ticket.failure_mode == alert_pb2.FAILURE_MODE_BEARING_OUTER_RACE


def test_another_mode_is_another_ticket(call: Call, report: Call) -> None:
    report()
    report(advisory_id="finding-2", failure_mode=alert_pb2.FAILURE_MODE_CAVITATION)
    assert len(tickets(call)) == 2


def test_a_sensor_fault_is_work_for_instrumentation(call: Call, report: Call) -> None:
    machine = report(failure_mode=UNDETERMINED, severity=alert_pb2.SEVERITY_CRITICAL)
    instrument = report(
        advisory_id="finding-2",
        failure_mode=alert_pb2.FAILURE_MODE_SENSOR_STUCK,
        severity=alert_pb2.SEVERITY_CRITICAL,
    )
    assert instrument.ticket.name != machine.ticket.name
    assert instrument.ticket.priority == machine.ticket.priority - 1
    assert instrument.ticket.suggested_steps[0].startswith("Instrumentation")


def test_a_finding_that_comes_back_after_the_work_opens_new_work(call: Call, report: Call) -> None:
    opened = report(severity=alert_pb2.SEVERITY_HIGH)
    to_state(call, opened.ticket.name, "Approve", "Plan", "Schedule", "Start", "Complete")
    assert report(2).ticket.name == opened.ticket.name
    report(3, state=CLEARED)
    again = report(4, state=alert_pb2.ADVISORY_STATE_RAISED)
    assert again.alarm.name == opened.alarm.name
    assert again.alarm.state == pb.ALARM_STATE_UNACKNOWLEDGED
    assert again.ticket.name != opened.ticket.name
    assert again.ticket.number == "WO-000002"


def test_health_does_not_go_back_in_time(call: Call, report: Call, clock: ManualClock) -> None:
    report(health=0.4)
    report(
        advisory_id="finding-2",
        health=0.9,
        window_end_time=timestamp_of(clock.now() - timedelta(days=9)),
    )
    machine = call("EquipmentService.GetEquipment", pb.GetEquipmentRequest(name="equipment/P-101"))
    assert machine.health == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"advisory_id": ""}, "advisory.advisory_id"),
        ({"revision": 0}, "advisory.revision"),
        ({"site": ""}, "advisory.site"),
        ({"site": "a/b"}, "advisory.site"),
        ({"equipment": "P 101"}, "advisory.equipment"),
        ({"severity": 0}, "advisory.severity"),
        ({"state": 0}, "advisory.state"),
        ({"severity": 9}, "advisory.severity"),
        ({"window_end_time": None}, "advisory.window_end_time"),
        ({"advisory_id": "x" * 193}, "advisory.advisory_id"),
    ],
)
def test_says_which_field_is_wrong(
    call: Call, advisory: Call, changes: dict[str, Any], field: str
) -> None:
    statement = advisory()
    for name, value in changes.items():
        if value is None:
            statement.ClearField(name)
        else:
            setattr(statement, name, value)
    with pytest.raises(InvalidArgument) as error:
        call(REPORT, pb.ReportAdvisoryRequest(advisory=statement))
    assert [v.field for v in error.value.violations] == [field]


def test_another_site_is_not_the_callers(call: Call, advisory: Call) -> None:
    gateway = Principal(
        "services/processor", sites=frozenset({"brewery"}), roles=frozenset({Role.SERVICE})
    )
    with pytest.raises(PermissionDenied):
        call(REPORT, pb.ReportAdvisoryRequest(advisory=advisory()), gateway)


def test_reports_at_the_same_time_open_one_ticket(
    app_on_both: Application, call: Call, advisory: Call
) -> None:
    """Different findings of one fault, and each delivered twice, by eight threads."""
    statements = [advisory(advisory_id=f"finding-{n % 4}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda s: call(REPORT, pb.ReportAdvisoryRequest(advisory=s)), statements)
        )
    assert len({answer.ticket.name for answer in answers}) == 1
    assert sum(answer.applied for answer in answers) == 4
    (ticket,) = tickets(call)
    assert ticket.advisory_count == 4
    alarms = call("AlarmService.ListAlarms", pb.ListAlarmsRequest()).alarms
    assert len(alarms) == 4


def test_numbers_have_no_gaps_under_concurrency(
    app_on_both: Application, call: Call, advisory: Call
) -> None:
    statements = [advisory(advisory_id=f"finding-{n}", equipment=f"P-{n}") for n in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda s: call(REPORT, pb.ReportAdvisoryRequest(advisory=s)), statements))
    numbers = sorted(ticket.number for ticket in tickets(call))
    assert numbers == [f"WO-{n:06d}" for n in range(1, 7)]
