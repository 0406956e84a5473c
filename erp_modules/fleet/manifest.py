"""What the module says about itself."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from erp_modules.fleet.command_service import CommandService, WriteLimitService
from erp_modules.fleet.commands import end_overdue
from erp_modules.fleet.enrolment_token_service import EnrolmentTokenService
from erp_modules.fleet.events import EMITTED
from erp_modules.fleet.handlers import admit, handlers, refresh_updates
from erp_modules.fleet.ports import Ports
from erp_modules.fleet.release_service import ReleaseService
from erp_modules.fleet.rollout_service import RolloutService
from erp_modules.fleet.rollouts import evaluate_all
from erp_modules.fleet.service import GatewayService
from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.jobs import Job
from erp_modules.kernel.manifest import Manifest, Navigation

_READ = "fleet.*.read"


def manifest(ports: Ports) -> Manifest:
    """Return the module in a server with these parts."""
    return Manifest(
        name="fleet",
        title="Fleet",
        services=(
            GatewayService(ports),
            EnrolmentTokenService(),
            ReleaseService(ports),
            RolloutService(),
            CommandService(),
            WriteLimitService(),
        ),
        emits=EMITTED,
        handlers=handlers(ports),
        jobs=(
            Job("fleet.evaluate_rollouts", timedelta(seconds=10), evaluate_all),
            Job("fleet.end_overdue_commands", timedelta(seconds=10), end_overdue),
            # Expired certificates lose their user; a broker that was away gets its list.
            Job("fleet.admit_gateways", timedelta(minutes=1), partial(admit, ports)),
            Job("fleet.refresh_updates", timedelta(minutes=1), partial(refresh_updates, ports)),
        ),
        navigation=(Navigation("Gateways", "/fleet", scope="fleet.gateway.read", icon="gateway"),),
        permissions={
            Role.OPERATOR: (_READ,),
            Role.TECHNICIAN: (_READ, "fleet.gateway.write"),
            Role.PLANNER: (_READ,),
            Role.ENGINEER: (
                _READ,
                "fleet.gateway.write",
                "fleet.rollout.write",
                "fleet.command.write",
            ),
            Role.SERVICE: ("fleet.gateway.read",),
        },
    )


# Without the parts of a server: what needs them says so.
MANIFEST = manifest(Ports())
