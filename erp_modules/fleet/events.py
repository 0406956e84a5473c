"""The events this module emits; `handlers` has what it does about them."""

from __future__ import annotations

from erp_modules.fleet.models import CommandRow, GatewayRow, RolloutRow
from erp_modules.kernel.context import Context
from erp_modules.kernel.events import EventType

GATEWAY_DISCOVERED = EventType("fleet.gateway.discovered")
GATEWAY_ENROLLED = EventType("fleet.gateway.enrolled")
GATEWAY_RENEWED = EventType("fleet.gateway.renewed")
GATEWAY_REVOKED = EventType("fleet.gateway.revoked")
ROLLOUT_CHANGED = EventType("fleet.rollout.changed")
COMMAND_ISSUED = EventType("fleet.command.issued")
COMMAND_SETTLED = EventType("fleet.command.settled")

EMITTED = (
    GATEWAY_DISCOVERED,
    GATEWAY_ENROLLED,
    GATEWAY_RENEWED,
    GATEWAY_REVOKED,
    ROLLOUT_CHANGED,
    COMMAND_ISSUED,
    COMMAND_SETTLED,
)


def announce_gateway(ctx: Context, row: GatewayRow, type: EventType) -> None:
    """Emit an event about a gateway as it now is."""
    name = f"gateways/{row.id}"
    ctx.emit(
        type,
        subject=name,
        site=row.site,
        data={
            "gateway": name,
            "site": row.site,
            "edgeNode": row.edge_node,
            "state": f"GATEWAY_STATE_{row.state}",
        },
    )


def announce_rollout(ctx: Context, row: RolloutRow) -> None:
    """Emit that a rollout changed, as it now is."""
    name = f"rollouts/{row.id}"
    ctx.emit(
        ROLLOUT_CHANGED,
        subject=name,
        site=row.site,
        data={
            "rollout": name,
            "site": row.site,
            "kind": f"RELEASE_KIND_{row.kind}",
            "subject": row.subject,
            "version": row.new_version,
            "state": f"ROLLOUT_STATE_{row.state}",
            "percent": row.percent,
            "reason": row.reason,
        },
    )


def announce_command(ctx: Context, row: CommandRow, type: EventType) -> None:
    """Emit an event about a command as it now is."""
    name = f"commands/{row.id}"
    ctx.emit(
        type,
        subject=name,
        site=row.site,
        data={
            "command": name,
            "site": row.site,
            "gateway": f"gateways/{row.gateway_id}",
            "device": row.device,
            "metric": row.metric,
            "state": f"COMMAND_STATE_{row.state}",
        },
    )
