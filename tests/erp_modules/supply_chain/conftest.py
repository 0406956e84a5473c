"""The module on a database, with a small store: a bin, a vendor, a bearing and its bill."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import select

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.delivery import deliver
from erp_modules.kernel.events import Event, EventType
from erp_modules.kernel.ids import SequentialIds
from erp_modules.kernel.models import OutboxRow
from erp_modules.supply_chain.manifest import MANIFEST
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
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
def application(request: pytest.FixtureRequest) -> Application:
    """The application of this test: on both databases when it asks for `app_on_both`."""
    both = "app_on_both" in request.fixturenames
    found: Application = request.getfixturevalue("app_on_both" if both else "app")
    return found


@pytest.fixture
def call(application: Application) -> Callable[..., Any]:
    """Calls an RPC by `Service.Method`, as Ada unless a principal is given."""

    def call_(method: str, message: Message, principal: Principal = ADA) -> Any:
        return application.call(f"erp_modules.supply_chain.v1.{method}", message, principal)

    return call_


@pytest.fixture
def tell(application: Application) -> Callable[..., None]:
    """Delivers an event of the maintenance module, such as `opened`, about a ticket."""

    def tell_(verb: str, ticket: str = "tickets/t-1", event_id: str = "", **data: Any) -> None:
        event = Event(
            id=event_id or f"evt-{ticket}-{verb}",
            type=EventType(f"maintenance.ticket.{verb}"),
            organisation="default",
            site="bottling",
            subject=ticket,
            time=NOW,
            data={
                "ticket": ticket,
                "site": "bottling",
                "equipment": "P-101",
                "equipmentClass": "centrifugal_pump",
                "failureMode": "FAILURE_MODE_BEARING_OUTER_RACE",
                "severity": "SEVERITY_HIGH",
                "priority": "TICKET_PRIORITY_HIGH",
                "state": "TICKET_STATE_REQUESTED",
                "sentTime": "2026-03-02T07:59:59.960000Z",
                **data,
            },
        )
        for handler in application.handlers:
            if handler.event == event.type:
                deliver(application, handler, event)

    return tell_


@pytest.fixture
def events(application: Application) -> Callable[[], list[dict[str, Any]]]:
    """Returns the events in the outbox, in the order of their commits."""

    def read() -> list[dict[str, Any]]:
        statement = select(OutboxRow.body).order_by(OutboxRow.position)
        return application.run(
            ADA, lambda ctx: [json.loads(body) for body in ctx.session.scalars(statement)]
        )

    return read


@pytest.fixture
def store(call: Callable[..., Any]) -> pb.Part:
    """A bin, a vendor, four bearings; a pump needs one, and at two left eight are ordered."""
    bin = call("BinService.CreateBin", pb.CreateBinRequest(bin=pb.Bin(site="bottling", code="A1")))
    vendor = call(
        "VendorService.CreateVendor",
        pb.CreateVendorRequest(vendor=pb.Vendor(site="bottling", display_name="Bearings Ltd")),
    )
    part: pb.Part = call(
        "PartService.CreatePart",
        pb.CreatePartRequest(
            part=pb.Part(
                site="bottling",
                part_number="BRG-6205",
                display_name="Deep groove ball bearing 6205",
                reorder_point="2",
                reorder_quantity="8",
                unit_price=pb.Money(currency_code="EUR", amount="12.50"),
                lead_time_days=5,
                preferred_vendor=vendor.name,
                default_bin=bin.name,
            )
        ),
    )
    call(
        "SpareService.CreateSpare",
        pb.CreateSpareRequest(
            spare=pb.Spare(
                site="bottling",
                equipment_class="centrifugal_pump",
                failure_mode=alert_pb2.FAILURE_MODE_BEARING_OUTER_RACE,
                part=part.name,
                quantity="1",
            )
        ),
    )
    call(
        "StockMovementService.CreateStockMovement",
        pb.CreateStockMovementRequest(
            stock_movement=pb.StockMovement(
                site="bottling", part=part.name, type=pb.MOVEMENT_TYPE_RECEIPT, quantity="4"
            )
        ),
    )
    return part
