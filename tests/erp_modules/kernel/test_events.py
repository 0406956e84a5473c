"""Events."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_modules.kernel.events import Event, EventType

OPENED = EventType("maintenance.ticket.opened")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v, max_size=3)
)


@given(
    data=st.dictionaries(st.text(), json_values, max_size=4),
    time=st.datetimes(timezones=st.just(UTC)),
    subject=st.text(),
    trace=st.text(),
)
def test_an_event_is_the_same_after_the_wire(
    data: dict[str, object], time: datetime, subject: str, trace: str
) -> None:
    event = Event("e1", OPENED, "default", "north", subject, time, data, trace)
    assert Event.from_json(event.to_json().encode()) == event


def test_the_form_is_that_of_cloudevents() -> None:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    event = Event("e1", OPENED, "default", "north", "tickets/t1", time, {"ticket": "tickets/t1"})
    assert event.nats_subject == "events.default.maintenance.ticket.opened"
    assert json.loads(event.to_json()) == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/erp_modules/maintenance",
        "type": "maintenance.ticket.opened",
        "subject": "tickets/t1",
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "organisation": "default",
        "site": "north",
        "data": {"ticket": "tickets/t1"},
    }


@pytest.mark.parametrize(
    "value", ["maintenance.ticket.open", "ticket.opened", "Maintenance.ticket.opened", "a.b.c.d"]
)
def test_a_type_that_will_not_do_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="event type"):
        EventType(value)


@pytest.mark.parametrize(
    "value", ["quality.result.sent", "finance.invoice.paid", "a.b.set_aside_ed"]
)
def test_irregular_verbs_are_verbs(value: str) -> None:
    assert EventType(value) == value


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": 1}', b"\xff", b'"x"', b"null"])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 the text depends on what is wrong
        Event.from_json(body)
