"""The door of the catalogue: one method per RPC of parts, bills of spares, bins and vendors."""

from __future__ import annotations

from typing import Any

from google.protobuf.empty_pb2 import Empty
from sqlalchemy import ColumnElement

from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import AlreadyExists, InvalidArgument
from erp_modules.kernel.identifiers import check_codes, check_identifiers, check_lengths
from erp_modules.kernel.ids import derived_id
from erp_modules.kernel.service import Service
from erp_modules.supply_chain.mapping import (
    bin_message,
    bounded_of,
    failure_mode_of,
    money_of,
    part_message,
    quantity_of,
    spare_message,
    vendor_message,
)
from erp_modules.supply_chain.models import BinRow, PartRow, SpareRow, VendorRow
from erp_modules.supply_chain.repository import (
    BinRepository,
    PartRepository,
    SpareRepository,
    VendorRepository,
)
from erp_modules.supply_chain.stock import ZERO
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

_CONTRACTS = pb.DESCRIPTOR.services_by_name
_PART_FIELDS = frozenset(
    {
        "display_name",
        "unit",
        "reorder_point",
        "reorder_quantity",
        "unit_price",
        "lead_time_days",
        "preferred_vendor",
        "default_bin",
    }
)
_VENDOR_FIELDS = frozenset({"display_name", "email", "phone", "currency_code", "lead_time_days"})


class PartService(Service):
    """Spare parts and their stock."""

    contract = _CONTRACTS["PartService"]

    def create_part(self, ctx: Context, request: pb.CreatePartRequest) -> pb.Part:
        """Register a part; site and part number identify it."""
        fields.require(request, "part.site", "part.part_number")
        given = request.part
        check_identifiers(given, "site", prefix="part.")
        check_codes(given, "part_number", prefix="part.")
        row = PartRow(
            id=PartRepository.key(given.site, given.part_number),
            site=given.site,
            part_number=given.part_number,
            price_currency="",
        )
        ctx.require_site(given.site)
        for field in sorted(_PART_FIELDS):
            _set_part_field(ctx, row, given, field)
        return _part(ctx, PartRepository(ctx).add(row))

    def get_part(self, ctx: Context, request: pb.GetPartRequest) -> pb.Part:
        """Return a part with where it stands."""
        return _part(ctx, PartRepository(ctx).get_by_name(request.name))

    def list_parts(self, ctx: Context, request: pb.ListPartsRequest) -> pb.ListPartsResponse:
        """Return parts of a site, or those to reorder."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(PartRow.site == request.site)
        if request.to_reorder:
            where.append(PartRepository.to_reorder())
        repository = PartRepository(ctx)
        page = repository.page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        levels = repository.levels(page.items)
        return pb.ListPartsResponse(
            parts=[part_message(row, levels[row.id]) for row in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def update_part(self, ctx: Context, request: pb.UpdatePartRequest) -> pb.Part:
        """Change what is known about a part; stock changes by movements only."""
        given = request.part
        repository = PartRepository(ctx)
        row = repository.get_by_name(given.name, "part.name", given.etag)
        for field in fields.masked(given, request.update_mask, _PART_FIELDS, "part."):
            _set_part_field(ctx, row, given, field)
        repository.flush()
        return _part(ctx, row)


def _part(ctx: Context, row: PartRow) -> pb.Part:
    return part_message(row, PartRepository(ctx).level(row))


def _set_part_field(ctx: Context, row: PartRow, given: pb.Part, field: str) -> None:
    """Write one field of the message into the row, checked."""
    path = f"part.{field}"
    value: Any = getattr(given, field)
    match field:
        case "display_name":
            row.display_name = value or row.part_number
        case "unit":
            check_lengths(given, prefix="part.", unit=32)
            row.unit = value or "pcs"
        case "reorder_point" | "reorder_quantity":
            setattr(row, field, bounded_of(value or "0", path, minimum=ZERO))
        case "unit_price":
            row.price_currency, row.price = "", None
            if given.HasField("unit_price"):
                row.price_currency, row.price = money_of(value, path)
        case "lead_time_days":
            row.lead_time_days = _days(value, path)
        case "preferred_vendor":
            row.preferred_vendor = ""
            if value:
                vendors = VendorRepository(ctx)
                vendor = vendors.find(vendors.id_of(value, path))
                if vendor is None or vendor.site != row.site:
                    raise InvalidArgument.field(path, f"{value} does not exist at {row.site}")
                row.preferred_vendor = vendor.id
        case "default_bin":
            row.default_bin = ""
            if value:
                bins = BinRepository(ctx)
                bin = bins.find(bins.id_of(value, path))
                if bin is None or bin.site != row.site:
                    raise InvalidArgument.field(path, f"{value} does not exist at {row.site}")
                row.default_bin = bin.id


def _days(value: int, path: str) -> int:
    if not 0 <= value <= 3650:
        raise InvalidArgument.field(path, f"{value} is not 0 to 3650 days")
    return value


class SpareService(Service):
    """The bill of spares: which parts a failure mode of an equipment needs."""

    contract = _CONTRACTS["SpareService"]

    def create_spare(self, ctx: Context, request: pb.CreateSpareRequest) -> pb.Spare:
        """Add a line; machine (or class), failure mode and part identify it."""
        fields.require(request, "spare.site", "spare.failure_mode", "spare.part", "spare.quantity")
        given = request.spare
        if not given.equipment and not given.equipment_class:
            raise InvalidArgument.field("spare.equipment", "or spare.equipment_class is required")
        check_lengths(given, prefix="spare.", equipment=64, equipment_class=64)
        part = PartRepository(ctx).at_site(given.site, given.part, "spare.part")
        mode = failure_mode_of(given.failure_mode)
        needed_by = given.equipment or f"class {given.equipment_class}"
        id = derived_id("spr", given.site, needed_by, mode, part.id)
        repository = SpareRepository(ctx)
        if repository.find(id) is not None:
            raise AlreadyExists(f"spares/{id}: {given.part} is listed for {mode} of {needed_by}")
        row = repository.add(
            SpareRow(
                id=id,
                site=given.site,
                equipment=given.equipment,
                equipment_class=given.equipment_class,
                failure_mode=mode,
                part_id=part.id,
                quantity=quantity_of(given.quantity, "spare.quantity"),
            )
        )
        return spare_message(row)

    def get_spare(self, ctx: Context, request: pb.GetSpareRequest) -> pb.Spare:
        """Return a line."""
        return spare_message(SpareRepository(ctx).get_by_name(request.name))

    def list_spares(self, ctx: Context, request: pb.ListSparesRequest) -> pb.ListSparesResponse:
        """Return lines by site, machine, class and failure mode."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(SpareRow.site == request.site)
        if request.equipment:
            where.append(SpareRow.equipment == request.equipment)
        if request.equipment_class:
            where.append(SpareRow.equipment_class == request.equipment_class)
        if request.failure_mode:
            where.append(SpareRow.failure_mode == failure_mode_of(request.failure_mode))
        page = SpareRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListSparesResponse(
            spares=map(spare_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def delete_spare(self, ctx: Context, request: pb.DeleteSpareRequest) -> Empty:
        """Delete a line; what was reserved by it stays reserved."""
        repository = SpareRepository(ctx)
        repository.delete(repository.get_by_name(request.name, etag=request.etag))
        return Empty()


class BinService(Service):
    """Where parts lie."""

    contract = _CONTRACTS["BinService"]

    def create_bin(self, ctx: Context, request: pb.CreateBinRequest) -> pb.Bin:
        """Add a bin; site and code identify it."""
        fields.require(request, "bin.site", "bin.code")
        given = request.bin
        check_identifiers(given, "site", prefix="bin.")
        check_codes(given, "code", prefix="bin.")
        row = BinRow(
            id=BinRepository.key(given.site, given.code),
            site=given.site,
            code=given.code,
            display_name=given.display_name or given.code,
        )
        return bin_message(BinRepository(ctx).add(row))

    def get_bin(self, ctx: Context, request: pb.GetBinRequest) -> pb.Bin:
        """Return a bin."""
        return bin_message(BinRepository(ctx).get_by_name(request.name))

    def list_bins(self, ctx: Context, request: pb.ListBinsRequest) -> pb.ListBinsResponse:
        """Return bins of a site."""
        where = [BinRow.site == request.site] if request.site else []
        page = BinRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListBinsResponse(
            bins=map(bin_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )


class VendorService(Service):
    """Who sells."""

    contract = _CONTRACTS["VendorService"]

    def create_vendor(self, ctx: Context, request: pb.CreateVendorRequest) -> pb.Vendor:
        """Register a vendor; site and name identify it."""
        fields.require(request, "vendor.site", "vendor.display_name")
        given = request.vendor
        check_identifiers(given, "site", prefix="vendor.")
        repository = VendorRepository(ctx)
        known = repository.first(
            VendorRow.site == given.site, VendorRow.display_name == given.display_name
        )
        if known is not None:
            raise AlreadyExists(f"vendors/{known.id} is {given.display_name} already")
        row = VendorRow(id=ctx.new_id("vnd"), site=given.site)
        for field in sorted(_VENDOR_FIELDS):
            _set_vendor_field(row, given, field)
        return vendor_message(repository.add(row))

    def get_vendor(self, ctx: Context, request: pb.GetVendorRequest) -> pb.Vendor:
        """Return a vendor."""
        return vendor_message(VendorRepository(ctx).get_by_name(request.name))

    def list_vendors(self, ctx: Context, request: pb.ListVendorsRequest) -> pb.ListVendorsResponse:
        """Return vendors of a site."""
        where = [VendorRow.site == request.site] if request.site else []
        page = VendorRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListVendorsResponse(
            vendors=map(vendor_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def update_vendor(self, ctx: Context, request: pb.UpdateVendorRequest) -> pb.Vendor:
        """Change what is known about a vendor."""
        given = request.vendor
        repository = VendorRepository(ctx)
        row = repository.get_by_name(given.name, "vendor.name", given.etag)
        for field in fields.masked(given, request.update_mask, _VENDOR_FIELDS, "vendor."):
            _set_vendor_field(row, given, field)
        repository.flush()
        return vendor_message(row)


def _set_vendor_field(row: VendorRow, given: pb.Vendor, field: str) -> None:
    """Write one field of the message into the row, checked."""
    value: Any = getattr(given, field)
    path = f"vendor.{field}"
    if field == "lead_time_days":
        value = _days(value, path)
    elif field == "display_name":
        check_lengths(given, prefix="vendor.", display_name=256)
        if not value:
            raise InvalidArgument.field(path, "is required")
    elif field == "currency_code" and value:
        value = money_of(pb.Money(currency_code=value, amount="0"), "vendor")[0]
    setattr(row, field, value)
