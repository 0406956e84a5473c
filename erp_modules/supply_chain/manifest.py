"""What the module says about itself."""

from __future__ import annotations

from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.manifest import Manifest, Navigation
from erp_modules.supply_chain.events import EMITTED
from erp_modules.supply_chain.handlers import HANDLERS
from erp_modules.supply_chain.requisition_service import RequisitionService
from erp_modules.supply_chain.service import (
    BinService,
    PartService,
    SpareService,
    VendorService,
)
from erp_modules.supply_chain.stock_service import ReservationService, StockMovementService

_READ = "supply_chain.*.read"

MANIFEST = Manifest(
    name="supply_chain",
    title="Supply chain",
    services=(
        PartService(),
        SpareService(),
        BinService(),
        StockMovementService(),
        ReservationService(),
        RequisitionService(),
        VendorService(),
    ),
    emits=EMITTED,
    handlers=HANDLERS,
    navigation=(
        Navigation("Parts", "/parts", scope="supply_chain.part.read", icon="part"),
        Navigation(
            "Requisitions",
            "/requisitions",
            scope="supply_chain.requisition.read",
            icon="requisition",
        ),
    ),
    permissions={
        Role.OPERATOR: (_READ,),
        Role.TECHNICIAN: (
            _READ,
            "supply_chain.reservation.write",
            "supply_chain.stock.write",
        ),
        Role.PLANNER: (_READ, "supply_chain.*.write"),
        Role.ENGINEER: (_READ, "supply_chain.part.write", "supply_chain.spare.write"),
        Role.SERVICE: (_READ,),
    },
)
