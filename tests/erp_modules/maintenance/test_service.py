"""Equipment, and what people do about alarms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from erp_modules.kernel.fields import timestamp_of
from erp_modules.maintenance import shelving
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.v1 import alert_pb2

Call = Callable[..., Any]
BREWER = Principal("users/bo", sites=frozenset({"brewery"}), roles=frozenset({Role.ENGINEER}))
ADA = Principal("users/ada", roles=frozenset({Role.ADMIN}))


def create(call: Call, tag: str, **fields: Any) -> pb.Equipment:
    given = {"site": "bottling", "equipment_class": "fan", **fields}
    made: pb.Equipment = call(
        "EquipmentService.CreateEquipment",
        pb.CreateEquipmentRequest(equipment=pb.Equipment(tag=tag, **given)),
    )
    return made


def get(call: Call, name: str, principal: Principal = ADA) -> pb.Equipment:
    found: pb.Equipment = call(
        "EquipmentService.GetEquipment", pb.GetEquipmentRequest(name=name), principal
    )
    return found


# equipment -------------------------------------------------------------------------------------


def test_create_equipment_fills_in_what_was_left_out(call: Call) -> None:
    made = create(call, "F-1")
    assert made.name == "equipment/F-1"
    assert made.display_name == "F-1"
    assert made.criticality == pb.CRITICALITY_MEDIUM
    assert made.health == 1.0
    assert not made.discovered
    assert get(call, "equipment/F-1") == made


def test_create_equipment_is_once_by_request_id_and_by_tag(call: Call) -> None:
    request = pb.CreateEquipmentRequest(
        equipment=pb.Equipment(site="bottling", tag="F-1", equipment_class="fan"), request_id="r1"
    )
    first = call("EquipmentService.CreateEquipment", request)
    assert call("EquipmentService.CreateEquipment", request) == first
    with pytest.raises(AlreadyExists):
        create(call, "F-1")


@pytest.mark.parametrize("tag", ["", "a/b", "a b", "a.b", "a>b", "x" * 61])
def test_create_equipment_refuses_a_tag_that_no_topic_can_hold(call: Call, tag: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        create(call, tag)
    assert error.value.violations[0].field == "equipment.tag"


def test_update_equipment_changes_the_masked_fields_and_the_etag(call: Call) -> None:
    made = create(call, "F-1", path="acme/bottling/a/b/c")
    request = pb.UpdateEquipmentRequest(
        equipment=pb.Equipment(
            name=made.name, criticality=pb.CRITICALITY_SAFETY, path="ignored", etag=made.etag
        ),
        update_mask={"paths": ["criticality"]},
    )
    changed = call("EquipmentService.UpdateEquipment", request)
    assert changed.criticality == pb.CRITICALITY_SAFETY
    assert changed.path == "acme/bottling/a/b/c"
    assert changed.etag != made.etag
    with pytest.raises(Aborted):
        call("EquipmentService.UpdateEquipment", request)


def test_update_equipment_registers_a_discovered_one(call: Call, report: Call) -> None:
    report()
    request = pb.UpdateEquipmentRequest(
        equipment=pb.Equipment(name="equipment/P-101", display_name="Feed pump")
    )
    changed = call("EquipmentService.UpdateEquipment", request)
    assert not changed.discovered
    assert changed.display_name == "Feed pump"


def test_list_equipment_filters_orders_and_counts(
    app_on_both: Application, call: Call, report: Call
) -> None:
    create(call, "B-2", path="acme/bottling/utilities/air/x")
    create(call, "B-1", path="acme/bottling/line-1/y/z")
    create(call, "B-3", site="brewery", path="acme/brewery/line-1/y/z")
    report(severity=alert_pb2.SEVERITY_HIGH)
    listed = call(
        "EquipmentService.ListEquipment", pb.ListEquipmentRequest(site="bottling", order_by="tag")
    )
    assert [e.tag for e in listed.equipment] == ["B-1", "B-2", "P-101"]
    assert [e.open_ticket_count for e in listed.equipment] == [0, 0, 1]
    assert listed.equipment[2].highest_severity == alert_pb2.SEVERITY_HIGH
    below = call(
        "EquipmentService.ListEquipment",
        pb.ListEquipmentRequest(path_prefix="acme/bottling/utilities"),
    )
    assert {e.tag for e in below.equipment} == {"B-2", "P-101"}
    first = call(
        "EquipmentService.ListEquipment", pb.ListEquipmentRequest(page_size=2, order_by="tag")
    )
    assert (len(first.equipment), first.total_size) == (2, 4)
    rest = call(
        "EquipmentService.ListEquipment",
        pb.ListEquipmentRequest(page_size=2, order_by="tag", page_token=first.next_page_token),
    )
    assert [e.tag for e in rest.equipment] == ["B-3", "P-101"]
    assert rest.next_page_token == ""


def test_another_site_is_not_there(call: Call, report: Call) -> None:
    report()
    with pytest.raises(NotFound):
        get(call, "equipment/P-101", BREWER)
    listed = call("AlarmService.ListAlarms", pb.ListAlarmsRequest(site="bottling"), BREWER)
    assert not listed.alarms
    assert listed.total_size == 0


def test_two_sites_may_share_a_tag(call: Call) -> None:
    create(call, "P-1")
    create(call, "P-1", site="brewery")
    with pytest.raises(FailedPrecondition, match="equipment/bottling~P-1 or equipment/brewery~P-1"):
        get(call, "equipment/P-1")
    assert get(call, "equipment/brewery~P-1").site == "brewery"
    assert get(call, "equipment/P-1", BREWER).site == "brewery"


# alarms ----------------------------------------------------------------------------------------


def test_list_alarms_filters_by_state_and_equipment(
    app_on_both: Application, call: Call, report: Call
) -> None:
    report()
    report(advisory_id="finding-2", equipment="P-102", severity=alert_pb2.SEVERITY_CRITICAL)
    cleared = report(2, state=alert_pb2.ADVISORY_STATE_CLEARED)
    open_ = call(
        "AlarmService.ListAlarms", pb.ListAlarmsRequest(states=[pb.ALARM_STATE_UNACKNOWLEDGED])
    )
    assert [a.equipment for a in open_.alarms] == ["P-102"]
    of_machine = call("AlarmService.ListAlarms", pb.ListAlarmsRequest(equipment="P-101"))
    assert list(of_machine.alarms) == [cleared.alarm]
    worst_first = call("AlarmService.ListAlarms", pb.ListAlarmsRequest(order_by="severity desc"))
    assert [a.equipment for a in worst_first.alarms] == ["P-102", "P-101"]


def test_acknowledge_alarm_says_who_and_when(
    call: Call, report: Call, clock: ManualClock, events: Call
) -> None:
    raised = report()
    clock.advance(timedelta(minutes=3))
    request = pb.AcknowledgeAlarmRequest(
        name=raised.alarm.name, etag=raised.alarm.etag, comment="On my way."
    )
    seen = call("AlarmService.AcknowledgeAlarm", request)
    assert seen.state == pb.ALARM_STATE_ACKNOWLEDGED
    assert seen.acknowledged_by == "users/ada"
    assert seen.acknowledge_time == timestamp_of(clock.now())
    assert call("AlarmService.AcknowledgeAlarm", request) == seen
    assert [e["type"] for e in events()].count("maintenance.alarm.acknowledged") == 1
    history = call(
        "TicketService.ListTicketHistory", pb.ListTicketHistoryRequest(parent=raised.ticket.name)
    ).events
    assert (history[-1].type, history[-1].detail) == ("alarm.acknowledged", "On my way.")
    assert call("AlarmService.GetAlarm", pb.GetAlarmRequest(name=seen.name)) == seen


def test_acknowledge_alarm_refuses_an_old_etag(call: Call, report: Call) -> None:
    old = report().alarm
    report(2)
    with pytest.raises(Aborted):
        call(
            "AlarmService.AcknowledgeAlarm",
            pb.AcknowledgeAlarmRequest(name=old.name, etag=old.etag),
        )


def shelve(call: Call, name: str, until: datetime) -> pb.Alarm:
    shelved: pb.Alarm = call(
        "AlarmService.ShelveAlarm",
        pb.ShelveAlarmRequest(name=name, reason="Known", expire_time=timestamp_of(until)),
    )
    return shelved


def test_shelve_alarm_needs_a_reason_and_an_end_in_the_future(
    call: Call, report: Call, clock: ManualClock
) -> None:
    name = report().alarm.name
    with pytest.raises(InvalidArgument) as error:
        call("AlarmService.ShelveAlarm", pb.ShelveAlarmRequest(name=name))
    assert {v.field for v in error.value.violations} == {"reason", "expire_time"}
    with pytest.raises(InvalidArgument, match="future"):
        shelve(call, name, clock.now())


def test_unshelve_alarm_brings_it_back(call: Call, report: Call, clock: ManualClock) -> None:
    name = report().alarm.name
    shelved = shelve(call, name, clock.now() + timedelta(hours=1))
    assert shelved.state == pb.ALARM_STATE_SHELVED
    assert shelved.shelve_reason == "Known"
    assert get(call, "equipment/P-101").open_alarm_count == 0
    back = call("AlarmService.UnshelveAlarm", pb.UnshelveAlarmRequest(name=name))
    assert back.state == pb.ALARM_STATE_UNACKNOWLEDGED
    assert back.shelve_reason == ""
    assert call("AlarmService.UnshelveAlarm", pb.UnshelveAlarmRequest(name=name)) == back


def cancel(call: Call, name: str) -> None:
    call("TicketService.CancelTicket", pb.CancelTicketRequest(name=name, reason="Known"))


def test_a_shelved_condition_opens_no_ticket_until_the_shelving_expires(
    app: Application, call: Call, report: Call, clock: ManualClock, events: Call
) -> None:
    first = report()
    shelve(call, first.alarm.name, clock.now() + timedelta(hours=1))
    cancel(call, first.ticket.name)
    report(2, state=alert_pb2.ADVISORY_STATE_CLEARED)
    # The same finding comes back, and a new finding of the same condition comes.
    assert report(3).ticket.name == first.ticket.name
    chatter = report(advisory_id="finding-2")
    assert chatter.alarm.state == pb.ALARM_STATE_SHELVED
    assert chatter.alarm.ticket == ""
    assert not chatter.HasField("ticket")

    clock.advance(timedelta(minutes=59))
    app.run(ADA, shelving.expire)
    assert call("TicketService.ListTickets", pb.ListTicketsRequest()).total_size == 1
    clock.advance(timedelta(minutes=1))
    app.run(ADA, shelving.expire)
    alarms = call("AlarmService.ListAlarms", pb.ListAlarmsRequest()).alarms
    assert {a.state for a in alarms} == {pb.ALARM_STATE_UNACKNOWLEDGED}
    assert len({a.ticket for a in alarms}) == 1
    assert alarms[0].ticket != first.ticket.name
    assert [e["type"] for e in events()].count("maintenance.ticket.opened") == 2
    assert [e["type"] for e in events()].count("maintenance.alarm.unshelved") == 2


def test_a_shelved_alarm_that_cleared_opens_nothing(
    app: Application, call: Call, report: Call, clock: ManualClock
) -> None:
    first = report()
    shelve(call, first.alarm.name, clock.now() + timedelta(hours=1))
    cancel(call, first.ticket.name)
    report(2, state=alert_pb2.ADVISORY_STATE_CLEARED)
    clock.advance(timedelta(hours=2))
    app.run(ADA, shelving.expire)
    alarm = call("AlarmService.GetAlarm", pb.GetAlarmRequest(name=first.alarm.name))
    assert alarm.state == pb.ALARM_STATE_RETURNED_UNACKNOWLEDGED
    assert call("TicketService.ListTickets", pb.ListTicketsRequest()).total_size == 1


def test_a_shelved_alarm_cannot_be_acknowledged(
    call: Call, report: Call, clock: ManualClock
) -> None:
    name = report().alarm.name
    shelve(call, name, clock.now() + timedelta(hours=1))
    with pytest.raises(FailedPrecondition, match="unshelve"):
        call("AlarmService.AcknowledgeAlarm", pb.AcknowledgeAlarmRequest(name=name))
