"""A small service on the contract of vendors, with a table of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from erp_modules.kernel import fields
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Authenticator, Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.columns import ExactDecimal, UtcDateTime
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import Unauthenticated
from erp_modules.kernel.events import Event, EventType
from erp_modules.kernel.handlers import Handler
from erp_modules.kernel.ids import SequentialIds
from erp_modules.kernel.manifest import Manifest
from erp_modules.kernel.models import Base, Resource
from erp_modules.kernel.repository import Repository
from erp_modules.kernel.service import Service
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

VENDORS = "erp_modules.supply_chain.v1.VendorService"
VENDOR_ADDED = EventType("trial.vendor.added")


class VendorRow(Resource, Base):
    """A vendor of the trial module."""

    __tablename__ = "trial_vendors"

    display_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(200), unique=True)
    rating: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    last_order_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Vendors(Repository[VendorRow]):
    """All SQL of the trial module."""

    model = VendorRow
    collection = "vendors"
    order_fields = {  # noqa: RUF012
        "display_name": VendorRow.display_name,
        "rating": VendorRow.rating,
        "last_order_time": VendorRow.last_order_time,
    }


def to_proto(row: VendorRow) -> pb.Vendor:
    return pb.Vendor(
        name=Vendors.name_of(row.id), site=row.site, display_name=row.display_name,
        email=row.email, etag=row.etag,
        create_time=fields.timestamp_of(row.create_time),
        update_time=fields.timestamp_of(row.update_time),
    )  # fmt: skip


class VendorService(Service):
    """Vendors, as a module would serve them."""

    contract = pb.DESCRIPTOR.services_by_name["VendorService"]
    repository = Vendors

    def create_vendor(self, ctx: Context, request: pb.CreateVendorRequest) -> pb.Vendor:
        fields.require(request, "vendor.display_name", "vendor.site")
        ctx.require_site(request.vendor.site)
        row = Vendors(ctx).add(
            VendorRow(
                id=ctx.new_id("vnd"), site=request.vendor.site, email=request.vendor.email,
                display_name=request.vendor.display_name,
            )
        )  # fmt: skip
        name = Vendors.name_of(row.id)
        ctx.emit(VENDOR_ADDED, subject=name, site=row.site, data={"vendor": name})
        return to_proto(row)

    def get_vendor(self, ctx: Context, request: pb.GetVendorRequest) -> pb.Vendor:
        return to_proto(Vendors(ctx).get_by_name(request.name))

    def list_vendors(self, ctx: Context, request: pb.ListVendorsRequest) -> pb.ListVendorsResponse:
        where = [VendorRow.site == request.site] if request.site else []
        page = Vendors(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListVendorsResponse(
            vendors=[to_proto(row) for row in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def update_vendor(self, ctx: Context, request: pb.UpdateVendorRequest) -> pb.Vendor:
        vendor = request.vendor
        row = Vendors(ctx).get_by_name(vendor.name, "vendor.name", vendor.etag)
        mutable = {"display_name", "email"}
        for path in fields.masked(vendor, request.update_mask, mutable, "vendor."):
            setattr(row, path, getattr(vendor, path))
        Vendors(ctx).flush()
        return to_proto(row)


@dataclass
class Seen:
    """What the trial module's handler was given, and what it does about it."""

    events: list[Event] = field(default_factory=list)
    reaction: Callable[[Context, Event], None] = lambda ctx, event: None

    def handle(self, ctx: Context, event: Event) -> None:
        self.events.append(event)
        self.reaction(ctx, event)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def trial(seen: Seen) -> Manifest:
    """The trial module."""
    return Manifest(
        name="trial",
        title="Trial",
        services=(VendorService(),),
        emits=(VENDOR_ADDED,),
        handlers=(Handler("trial.count_vendors", VENDOR_ADDED, seen.handle),),
        permissions={Role.OPERATOR: ("*.*.read",)},
    )


@pytest.fixture
def app(database_url: str, trial: Manifest, clock: ManualClock) -> Iterator[Application]:
    """The trial module on an empty database."""
    application = bootstrap(database_url, manifests=[trial], clock=clock, ids=SequentialIds())
    Base.metadata.tables["trial_vendors"].create(application.database.engine)
    yield application
    application.close()


@pytest.fixture
def admin() -> Principal:
    return Principal("users/ada", roles=frozenset({Role.ADMIN}))


class ByName:
    """Trusts who says who he is."""

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        roles = {"Bearer ada": Role.ADMIN, "Bearer olga": Role.OPERATOR}
        role = roles.get(headers.get("authorization", ""))
        if role is None:
            raise Unauthenticated("sign in first")
        return Principal(f"users/{headers['authorization'].split()[1]}", roles=frozenset({role}))


@pytest.fixture
def authenticator() -> Authenticator:
    """Ada is an admin, Olga an operator."""
    return ByName()


@pytest.fixture
def add_vendor(app: Application, admin: Principal) -> Callable[..., pb.Vendor]:
    """Create a vendor by its RPC."""

    def add(
        name: str, site: str = "north", by: Principal = admin, request_id: str = ""
    ) -> pb.Vendor:
        vendor = pb.Vendor(display_name=name, site=site, email=f"{name}@{site}.example")
        request = pb.CreateVendorRequest(vendor=vendor, request_id=request_id)
        response = app.call(f"{VENDORS}.CreateVendor", request, by)
        assert isinstance(response, pb.Vendor)
        return response

    return add
