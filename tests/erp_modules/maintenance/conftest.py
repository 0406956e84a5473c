"""The module on a database, with a clock that stands still and an advisory to send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import select

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.fields import timestamp_of
from erp_modules.kernel.ids import SequentialIds
from erp_modules.kernel.models import OutboxRow
from erp_modules.maintenance.manifest import MANIFEST
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.v1 import alert_pb2

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ADA = Principal("users/ada", roles=frozenset({Role.ADMIN}))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def app(sqlite_url: str, clock: ManualClock) -> Iterator[Application]:
    application = bootstrap(sqlite_url, manifests=[MANIFEST], clock=clock, ids=SequentialIds())
    yield application
    application.close()


@pytest.fixture
def app_on_both(database_url: str, clock: ManualClock) -> Iterator[Application]:
    application = bootstrap(database_url, manifests=[MANIFEST], clock=clock, ids=SequentialIds())
    yield application
    application.close()


@pytest.fixture
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls an RPC by `Service.Method`, as Ada unless a principal is given."""
    both = "app_on_both" in request.fixturenames
    application = request.getfixturevalue("app_on_both" if both else "app")

    def call_(method: str, message: Message, principal: Principal = ADA) -> Any:
        return application.call(f"erp_modules.maintenance.v1.{method}", message, principal)

    return call_


@pytest.fixture
def advisory() -> Callable[..., alert_pb2.Advisory]:
    """Makes an advisory about a bearing of P-101; keywords change its fields."""

    def make(revision: int = 1, **changes: Any) -> alert_pb2.Advisory:
        seen = NOW - timedelta(days=1) + timedelta(minutes=revision)
        fields: dict[str, Any] = {
            "advisory_id": "finding-1",
            "revision": revision,
            "state": (
                alert_pb2.ADVISORY_STATE_RAISED
                if revision == 1
                else alert_pb2.ADVISORY_STATE_UPDATED
            ),
            "site": "bottling",
            "edge_node": "gateway-1",
            "equipment": "P-101",
            "equipment_class": "centrifugal_pump",
            "equipment_path": "acme/bottling/utilities/water/cell-1",
            "severity": alert_pb2.SEVERITY_MEDIUM,
            "failure_mode": alert_pb2.FAILURE_MODE_BEARING_OUTER_RACE,
            "confidence": 0.9,
            "summary": "Envelope at the outer race frequency is far over its limit.",
            "rule": "envelope",
            "model_version": "1",
            "window_start_time": timestamp_of(seen - timedelta(seconds=1)),
            "window_end_time": timestamp_of(seen),
            "sent_time": timestamp_of(NOW - timedelta(milliseconds=40)),
            "health": 0.6,
        }
        return alert_pb2.Advisory(**{**fields, **changes})

    return make


@pytest.fixture
def report(
    call: Callable[..., Any], advisory: Callable[..., alert_pb2.Advisory]
) -> Callable[..., pb.ReportAdvisoryResponse]:
    """Reports an advisory made of the keywords."""

    def report_(revision: int = 1, **changes: Any) -> Any:
        statement = advisory(revision, **changes)
        return call("AlarmService.ReportAdvisory", pb.ReportAdvisoryRequest(advisory=statement))

    return report_


@pytest.fixture
def events(request: pytest.FixtureRequest) -> Callable[[], list[dict[str, Any]]]:
    """Returns the events in the outbox, in the order of their commits."""
    both = "app_on_both" in request.fixturenames
    application: Application = request.getfixturevalue("app_on_both" if both else "app")

    def read() -> list[dict[str, Any]]:
        statement = select(OutboxRow.body).order_by(OutboxRow.position)
        return application.run(
            ADA, lambda ctx: [json.loads(body) for body in ctx.session.scalars(statement)]
        )

    return read


@pytest.fixture
def ticket(call: Callable[..., Any]) -> pb.Ticket:
    """A ticket that a person opened on G-201."""
    call(
        "EquipmentService.CreateEquipment",
        pb.CreateEquipmentRequest(
            equipment=pb.Equipment(site="bottling", tag="G-201", equipment_class="gearmotor")
        ),
    )
    opened: pb.Ticket = call(
        "TicketService.CreateTicket",
        pb.CreateTicketRequest(
            ticket=pb.Ticket(site="bottling", equipment="G-201", title="Oil on the floor")
        ),
    )
    return opened
