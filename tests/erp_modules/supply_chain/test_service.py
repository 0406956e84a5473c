"""Parts, bills of spares, bins and vendors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from stream_processor.v1 import alert_pb2

Call = Callable[..., Any]
BREWER = Principal("users/bo", sites=frozenset({"brewery"}), roles=frozenset({Role.PLANNER}))


def create_part(call: Call, number: str, **fields: Any) -> pb.Part:
    part = pb.Part(**{"site": "bottling", "part_number": number, **fields})
    made: pb.Part = call("PartService.CreatePart", pb.CreatePartRequest(part=part))
    return made


def test_part_with_where_it_stands(app_on_both: Application, call: Call, store: pb.Part) -> None:
    assert store.name == "parts/BRG-6205"
    assert store.unit == "pcs"
    part = call("PartService.GetPart", pb.GetPartRequest(name=store.name))
    assert part.unit_price == pb.Money(currency_code="EUR", amount="12.50")
    assert part.default_bin == "bins/bottling~A1"
    assert (part.on_hand_quantity, part.available_quantity) == ("4", "4")
    assert (part.reserved_quantity, part.on_order_quantity) == ("0", "0")


def test_create_part_is_once_by_request_id_and_by_number(call: Call, store: pb.Part) -> None:
    request = pb.CreatePartRequest(
        part=pb.Part(site="bottling", part_number="SEAL-1"), request_id="r1"
    )
    first = call("PartService.CreatePart", request)
    assert call("PartService.CreatePart", request) == first
    with pytest.raises(AlreadyExists):
        create_part(call, "BRG-6205")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"part_number": ""}, "part.part_number"),
        ({"part_number": "a/b"}, "part.part_number"),
        ({"site": "a.b"}, "part.site"),
        ({"reorder_point": "-1"}, "part.reorder_point"),
        ({"reorder_quantity": "many"}, "part.reorder_quantity"),
        ({"reorder_point": "0.0000001"}, "part.reorder_point"),
        ({"lead_time_days": -1}, "part.lead_time_days"),
        (
            {"unit_price": pb.Money(currency_code="euro", amount="1")},
            "part.unit_price.currency_code",
        ),
        ({"unit_price": pb.Money(currency_code="EUR", amount="-1")}, "part.unit_price.amount"),
        ({"default_bin": "bins/none"}, "part.default_bin"),
        ({"preferred_vendor": "people/bo"}, "part.preferred_vendor"),
    ],
)
def test_create_part_names_the_wrong_field(call: Call, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        call(
            "PartService.CreatePart",
            pb.CreatePartRequest(
                part=pb.Part(**{"site": "bottling", "part_number": "X", **fields})
            ),
        )
    assert [v.field for v in error.value.violations] == [field]


def test_update_part(call: Call, store: pb.Part) -> None:
    request = pb.UpdatePartRequest(
        part=pb.Part(name=store.name, etag=store.etag, reorder_point="3", unit="box"),
        update_mask={"paths": ["reorder_point", "unit_price"]},
    )
    changed = call("PartService.UpdatePart", request)
    assert changed.reorder_point == "3"
    assert changed.unit == "pcs"
    assert not changed.HasField("unit_price")
    with pytest.raises(Aborted):
        call("PartService.UpdatePart", request)
    request.part.etag = changed.etag
    request.update_mask.paths[:] = ["on_hand_quantity"]
    with pytest.raises(InvalidArgument, match="may not be changed"):
        call("PartService.UpdatePart", request)


def test_list_parts_to_reorder(
    app_on_both: Application, call: Call, store: pb.Part, tell: Call
) -> None:
    create_part(call, "SEAL-1", reorder_point="1", reorder_quantity="5")
    create_part(call, "NEVER-STOCKED")

    def numbers(**fields: Any) -> list[str]:
        listed = call(
            "PartService.ListParts", pb.ListPartsRequest(order_by="part_number", **fields)
        )
        return [part.part_number for part in listed.parts]

    assert numbers() == ["BRG-6205", "NEVER-STOCKED", "SEAL-1"]
    assert numbers(to_reorder=True) == ["SEAL-1"]
    assert numbers(site="brewery") == []
    call(
        "RequisitionService.CreateRequisition",
        pb.CreateRequisitionRequest(
            requisition=pb.Requisition(site="bottling", part="parts/SEAL-1", quantity="5")
        ),
    )
    assert numbers(to_reorder=True) == []


def test_two_sites_keep_their_own_stock_of_a_number(call: Call, store: pb.Part) -> None:
    create_part(call, "BRG-6205", site="brewery")
    with pytest.raises(FailedPrecondition, match="parts/bottling~BRG-6205"):
        call("PartService.GetPart", pb.GetPartRequest(name="parts/BRG-6205"))
    here = call("PartService.GetPart", pb.GetPartRequest(name="parts/brewery~BRG-6205"))
    assert (here.site, here.on_hand_quantity) == ("brewery", "0")
    assert call("PartService.GetPart", pb.GetPartRequest(name=here.name), BREWER) == here
    movements = pb.ListStockMovementsRequest(part="parts/BRG-6205")
    assert call("StockMovementService.ListStockMovements", movements).total_size == 1
    assert call("StockMovementService.ListStockMovements", movements, BREWER).total_size == 0


def spare(of: pb.Part, **fields: Any) -> pb.CreateSpareRequest:
    given = {
        "site": "bottling",
        "equipment_class": "centrifugal_pump",
        "failure_mode": alert_pb2.FAILURE_MODE_BEARING_INNER_RACE,
        "part": of.name,
        "quantity": "2",
    }
    return pb.CreateSpareRequest(spare=pb.Spare(**{**given, **fields}))


def test_spares(app_on_both: Application, call: Call, store: pb.Part) -> None:
    made = call("SpareService.CreateSpare", spare(store))
    assert call("SpareService.GetSpare", pb.GetSpareRequest(name=made.name)) == made
    with pytest.raises(AlreadyExists):
        call("SpareService.CreateSpare", spare(store, quantity="3"))
    of_machine = call("SpareService.CreateSpare", spare(store, equipment="P-101"))
    assert of_machine.name != made.name
    listed = call(
        "SpareService.ListSpares",
        pb.ListSparesRequest(failure_mode=alert_pb2.FAILURE_MODE_BEARING_INNER_RACE),
    )
    assert {s.name for s in listed.spares} == {made.name, of_machine.name}
    listed = call("SpareService.ListSpares", pb.ListSparesRequest(equipment="P-101"))
    assert [s.name for s in listed.spares] == [of_machine.name]
    call("SpareService.DeleteSpare", pb.DeleteSpareRequest(name=made.name, etag="v1"))
    with pytest.raises(NotFound):
        call("SpareService.GetSpare", pb.GetSpareRequest(name=made.name))
    by_class = pb.ListSparesRequest(equipment_class="centrifugal_pump", site="bottling")
    assert call("SpareService.ListSpares", by_class).total_size == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"part": "parts/NONE"}, "spare.part"),
        ({"part": "NONE"}, "spare.part"),
        ({"quantity": "0"}, "spare.quantity"),
        ({"quantity": "NaN"}, "spare.quantity"),
        ({"failure_mode": 0}, "spare.failure_mode"),
        ({"equipment_class": ""}, "spare.equipment"),
    ],
)
def test_create_spare_names_the_wrong_field(
    call: Call, store: pb.Part, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as error:
        call("SpareService.CreateSpare", spare(store, **fields))
    assert [v.field for v in error.value.violations] == [field]


def test_bins(call: Call, store: pb.Part) -> None:
    found = call("BinService.GetBin", pb.GetBinRequest(name="bins/bottling~A1"))
    assert (found.code, found.display_name) == ("A1", "A1")
    with pytest.raises(AlreadyExists):
        call("BinService.CreateBin", pb.CreateBinRequest(bin=found))
    listed = call("BinService.ListBins", pb.ListBinsRequest(site="bottling"))
    assert list(listed.bins) == [found]
    with pytest.raises(NotFound):
        call("BinService.GetBin", pb.GetBinRequest(name=found.name), BREWER)


def test_vendors(call: Call, store: pb.Part) -> None:
    (known,) = call("VendorService.ListVendors", pb.ListVendorsRequest()).vendors
    assert known.name == store.preferred_vendor
    with pytest.raises(AlreadyExists, match="Bearings Ltd"):
        call("VendorService.CreateVendor", pb.CreateVendorRequest(vendor=known))
    changed = call(
        "VendorService.UpdateVendor",
        pb.UpdateVendorRequest(
            vendor=pb.Vendor(name=known.name, etag=known.etag, currency_code="EUR", phone="1")
        ),
    )
    assert (changed.currency_code, changed.phone) == ("EUR", "1")
    assert call("VendorService.GetVendor", pb.GetVendorRequest(name=known.name)) == changed
    for field, value in (("currency_code", "Euro"), ("lead_time_days", 9999)):
        wrong = pb.Vendor(name=known.name, **{field: value})
        with pytest.raises(InvalidArgument) as error:
            call("VendorService.UpdateVendor", pb.UpdateVendorRequest(vendor=wrong))
        assert error.value.violations[0].field == f"vendor.{field}"
    with pytest.raises(NotFound):
        call("VendorService.GetVendor", pb.GetVendorRequest(name=known.name), BREWER)
