"""Checks that follow from the contract."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from erp_modules.kernel import fields
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.maintenance.v1 import maintenance_pb2 as pb

AFTER_9999 = Timestamp(seconds=253402300800)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListTicketsRequest(states=[1, 77]), "states[1]"),  # type: ignore[list-item]
        (pb.CreateTicketRequest(ticket=pb.Ticket(title="a\0b")), "ticket.title"),
        (
            pb.CreateTicketRequest(ticket=pb.Ticket(suggested_steps=["\0"])),
            "ticket.suggested_steps[0]",
        ),
        (pb.ShelveAlarmRequest(expire_time=AFTER_9999), "expire_time"),
        (pb.ShelveAlarmRequest(expire_time=Timestamp(nanos=-1)), "expire_time"),
    ],
)
def test_what_cannot_be_is_refused_by_name(request_: Message, field: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        fields.validate(request_)
    assert [v.field for v in error.value.violations] == [field]


def test_what_can_be_passes() -> None:
    fields.validate(
        pb.ShelveAlarmRequest(name="alarms/a", reason="Ölwechsel", expire_time=Timestamp(seconds=1))
    )


def test_required_fields_are_all_named() -> None:
    with pytest.raises(InvalidArgument) as error:
        fields.require(pb.CreateTicketRequest(), "ticket.title", "request_id", "ticket")
    assert [v.field for v in error.value.violations] == ["ticket.title", "request_id", "ticket"]
    fields.require(pb.CreateTicketRequest(ticket=pb.Ticket(title="a")), "ticket", "ticket.title")


@pytest.mark.parametrize(
    ("paths", "changed"),
    [
        (["title"], ["title"]),
        (["title", "title", "assignee"], ["title", "assignee"]),
        (["*"], ["assignee", "title"]),
        ([], ["title"]),
    ],
)
def test_a_mask_says_what_changes(paths: list[str], changed: list[str]) -> None:
    ticket = pb.Ticket(title="a", number="not to be changed")
    mask = FieldMask(paths=paths)
    assert fields.masked(ticket, mask, {"title", "assignee"}) == changed


@pytest.mark.parametrize(
    ("path", "why"), [("number", "may not be changed"), ("colour", "is no field of Ticket")]
)
def test_a_mask_names_what_may_not_change(path: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why) as error:
        fields.masked(pb.Ticket(), FieldMask(paths=[path]), {"title"}, "ticket.")
    assert [v.field for v in error.value.violations] == ["update_mask", f"ticket.{path}"]


@given(st.decimals(-(10**9), 10**9, places=6))
def test_a_decimal_is_read_as_it_was_written(value: Decimal) -> None:
    assert fields.decimal_of(str(value), "quantity") == value


@pytest.mark.parametrize("text", ["", "one", "NaN", "Infinity", "1e30", "0.0000001", "1,5", "-1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        fields.decimal_of(text, "quantity", minimum=Decimal(0))
    assert [v.field for v in error.value.violations] == ["quantity"]


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_keep_their_microseconds(time: datetime) -> None:
    stamp = fields.timestamp_of(time)
    assert stamp is not None
    assert fields.time_of(stamp) == time
