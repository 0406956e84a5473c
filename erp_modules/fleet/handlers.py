"""What the module does about its own events, once the transaction that emitted them is kept.

So the broker, the update repository and the gateways learn of a change after it is durable, and
of every one, however often the server is killed meanwhile.
"""

from __future__ import annotations

from functools import partial

from erp_modules.fleet import commands, rollouts
from erp_modules.fleet.certificates import user_of
from erp_modules.fleet.events import (
    COMMAND_ISSUED,
    GATEWAY_ENROLLED,
    GATEWAY_RENEWED,
    GATEWAY_REVOKED,
    ROLLOUT_CHANGED,
)
from erp_modules.fleet.ports import BrokerUser, Ports
from erp_modules.fleet.repository import GatewayRepository, RolloutRepository
from erp_modules.kernel.context import Context
from erp_modules.kernel.events import Event
from erp_modules.kernel.handlers import Handler


def admit(ports: Ports, ctx: Context, event: Event | None = None) -> None:
    """Let the broker admit the gateways with a good certificate, and nobody else."""
    if ports.broker is None:
        return
    ports.broker.admit(
        [
            BrokerUser(user_of(row.id, row.generation), row.site, row.edge_node)
            for row in GatewayRepository(ctx).admitted(ctx.now())
        ]
    )


def publish_rollouts(ports: Ports, ctx: Context, event: Event) -> None:
    """Tell the gateways of a site what they shall have now."""
    if ports.updates is not None:
        ports.updates.publish_rollouts(
            {event.site: rollouts.document_of(ctx, event.site)}, ctx.now()
        )


def refresh_updates(ports: Ports, ctx: Context) -> None:
    """Sign again what would expire, and publish what was not."""
    if ports.updates is None:
        return
    sites = RolloutRepository(ctx).sites()
    ports.updates.publish_rollouts(
        {site: rollouts.document_of(ctx, site) for site in sites}, ctx.now()
    )
    ports.updates.refresh(ctx.now())


def handlers(ports: Ports) -> tuple[Handler, ...]:
    """Return the handlers of a server with these parts."""
    return (
        Handler("fleet.admit_enrolled", GATEWAY_ENROLLED, partial(admit, ports)),
        Handler("fleet.admit_renewed", GATEWAY_RENEWED, partial(admit, ports)),
        Handler("fleet.end_revoked", GATEWAY_REVOKED, partial(admit, ports)),
        Handler("fleet.publish_rollouts", ROLLOUT_CHANGED, partial(publish_rollouts, ports)),
        Handler("fleet.send_command", COMMAND_ISSUED, partial(commands.send, ports)),
    )
