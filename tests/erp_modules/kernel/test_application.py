"""The one path of every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.delivery import settle
from erp_modules.kernel.errors import InvalidArgument, NotFound, PermissionDenied
from erp_modules.kernel.models import AuditRecord
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

VENDORS = "erp_modules.supply_chain.v1.VendorService"
AddVendor = Callable[..., pb.Vendor]


def test_what_was_created_is_read_again(
    app: Application, admin: Principal, add_vendor: AddVendor, clock: ManualClock
) -> None:
    made = add_vendor("acme")
    read = app.call(f"{VENDORS}.GetVendor", pb.GetVendorRequest(name=made.name), admin)
    assert read == made
    assert made.create_time.ToDatetime() == clock.now().replace(tzinfo=None)


def test_a_write_leaves_one_audit_record(
    app: Application, admin: Principal, add_vendor: AddVendor
) -> None:
    made = add_vendor("acme")
    records = app.run(admin, lambda ctx: ctx.session.scalars(select(AuditRecord)).all())
    assert [(r.principal, r.action, r.resource, r.site) for r in records] == [
        ("users/ada", f"{VENDORS}.CreateVendor", made.name, "north")
    ]


def test_an_event_reaches_its_handler_once(
    app: Application, add_vendor: AddVendor, seen: Any
) -> None:
    made = add_vendor("acme")
    assert settle(app) == 1
    assert settle(app) == 0
    assert [event.data for event in seen.events] == [{"vendor": made.name}]


def test_a_request_id_creates_once(
    app: Application, admin: Principal, add_vendor: AddVendor
) -> None:
    first = add_vendor("acme", request_id="r-1")
    assert add_vendor("acme", request_id="r-1") == first
    assert settle(app) == 1
    with pytest.raises(InvalidArgument, match="request_id"):
        add_vendor("other", request_id="r-1")


def test_without_the_scope_nothing_happens(app: Application, add_vendor: AddVendor) -> None:
    operator = Principal("users/olga", roles=frozenset({Role.OPERATOR}))
    with pytest.raises(PermissionDenied, match=r"supply_chain\.vendor\.write"):
        add_vendor("acme", by=operator)
    listed = app.call(f"{VENDORS}.ListVendors", pb.ListVendorsRequest(), operator)
    assert listed == pb.ListVendorsResponse()


def test_an_unknown_method_is_not_found(app: Application, admin: Principal) -> None:
    with pytest.raises(NotFound, match="Nothing"):
        app.call(f"{VENDORS}.Nothing", pb.GetVendorRequest(), admin)
