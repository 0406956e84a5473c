"""What the module says about itself."""

from __future__ import annotations

from datetime import timedelta

from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.jobs import Job
from erp_modules.kernel.manifest import Manifest, Navigation
from erp_modules.maintenance import shelving
from erp_modules.maintenance.events import EMITTED
from erp_modules.maintenance.service import AlarmService, EquipmentService
from erp_modules.maintenance.ticket_service import TicketService

_READ = "maintenance.*.read"

MANIFEST = Manifest(
    name="maintenance",
    title="Maintenance",
    services=(EquipmentService(), AlarmService(), TicketService()),
    emits=EMITTED,
    jobs=(Job("maintenance.expire_shelving", timedelta(seconds=30), shelving.expire),),
    navigation=(
        Navigation("Plant", "/plant", scope="maintenance.equipment.read", icon="plant"),
        Navigation("Alarms", "/alarms", scope="maintenance.alarm.read", icon="alarm"),
        Navigation("Tickets", "/tickets", scope="maintenance.ticket.read", icon="ticket"),
    ),
    permissions={
        Role.OPERATOR: (_READ, "maintenance.alarm.write", "maintenance.ticket.write"),
        Role.TECHNICIAN: (_READ, "maintenance.alarm.write", "maintenance.ticket.write"),
        Role.PLANNER: (_READ, "maintenance.ticket.write"),
        Role.ENGINEER: (_READ, "maintenance.*.write"),
        Role.SERVICE: (_READ, "maintenance.advisory.write"),
    },
)
