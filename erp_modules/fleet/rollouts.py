"""What is done to a rollout, by a person or by its health rule, and what it is judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.v1.report_pb2 import ModelReport
from erp_modules.fleet import rollout_states, staging
from erp_modules.fleet.desired import Wanted, document
from erp_modules.fleet.events import announce_rollout
from erp_modules.fleet.mapping import rule_of
from erp_modules.fleet.models import GatewayRow, InstallationRow, RolloutRow, RolloutStepRow
from erp_modules.fleet.repository import (
    GatewayRepository,
    InstallationRepository,
    RolloutRepository,
    RolloutStepRepository,
)
from erp_modules.fleet.rollout_health import (
    Behaviour,
    GatewayProgress,
    Judged,
    Judgement,
    Observation,
    Verdict,
    judge,
)
from erp_modules.fleet.rollout_states import RolloutState
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import FailedPrecondition

_REASON = 4000


@dataclass(frozen=True)
class Picture:
    """A rollout with its gateways: those of its groups, and the stage's as they are judged."""

    gateways: Sequence[GatewayRow]
    reached: Mapping[str, Judged]
    judgement: Judgement
    installed: Mapping[str, InstallationRow]


def picture_of(ctx: Context, row: RolloutRow) -> Picture:
    """Return how a rollout stands."""
    gateways = GatewayRepository(ctx).of_groups(row.site, row.plan.groups)
    begun = row.state != RolloutState.PLANNED
    taken = [
        one for one in gateways if begun and staging.place(row.salt, one.edge_node) < row.percent
    ]
    stored = InstallationRepository(ctx)
    installed = _newest_of(stored.of_version(row.kind, row.subject, row.new_version), row.id)
    before = stored.last_before(row.kind, row.subject, row.new_version, [one.id for one in taken])
    observations = [_observation(one, installed.get(one.id), before.get(one.id)) for one in taken]
    judgement = judge(rule_of(row.plan.health_rule), observations, ctx.now())
    reached = {one.id: mine for one, mine in zip(taken, judgement.gateways, strict=True)}
    if row.state == RolloutState.REVERTED:
        reached = {
            id: Judged(mine.edge_node, GatewayProgress.REVERTED)
            if mine.progress in (GatewayProgress.ASKED, GatewayProgress.REFUSED)
            else mine
            for id, mine in reached.items()
        }
    return Picture(gateways, reached, judgement, installed)


def _newest_of(rows: Sequence[InstallationRow], rollout: str) -> dict[str, InstallationRow]:
    """Return what counts of a version on each gateway: what runs, then trials, then refusals.

    A refusal in an earlier rollout of the same version says nothing of this one.
    """
    order = {"RUNNING": 2, "TRIAL": 1, "REVERTED": 0}
    found: dict[str, InstallationRow] = {}
    for row in rows:
        if row.state == "REVERTED" and row.rollout_id != rollout:
            continue
        known = found.get(row.gateway_id)
        if known is None or order[row.state] > order[known.state]:
            found[row.gateway_id] = row
    return found


def _observation(
    gateway: GatewayRow, new: InstallationRow | None, old: InstallationRow | None
) -> Observation:
    if new is None:
        return Observation(gateway.edge_node, last_seen=gateway.last_seen_time)
    return Observation(
        edge_node=gateway.edge_node,
        state=new.state,
        since=new.heard_time,
        last_seen=gateway.last_seen_time,
        reason=new.reason,
        now=_behaviour(new.model),
        before=Behaviour() if old is None else _behaviour(old.model),
    )


def _behaviour(model: ModelReport) -> Behaviour:
    return Behaviour(
        windows=model.windows,
        score=model.score_p50 if model.HasField("score_p50") else None,
        latency_us=model.latency_p99_us if model.HasField("latency_p99_us") else None,
        crashes=model.crashes,
    )


def take_step(ctx: Context, row: RolloutRow, step: str, reason: str, percent: float) -> None:
    """Take a rollout on by one step, note it, and let the gateways be told.

    Raises:
        RolloutStepNotAllowed: its state does not allow it.
    """
    row.state = rollout_states.after(step, RolloutState(row.state))
    row.reason = reason[:_REASON]
    row.percent = percent
    if step in ("start", "advance", "resume"):
        # Who watches a stage starts anew when it goes on.
        row.stage_time = ctx.now()
    RolloutRepository(ctx).flush()
    note(ctx, row, rollout_states.PAST[step])
    announce_rollout(ctx, row)


def note(ctx: Context, row: RolloutRow, action: str) -> None:
    """Add a line to a rollout's history, and one to the audit trail with its reason."""
    history = RolloutStepRepository(ctx)
    number = history.count(RolloutStepRow.rollout_id == row.id) + 1
    history.add(
        RolloutStepRow(
            id=f"{row.id}.{number}",
            site=row.site,
            rollout_id=row.id,
            number=number,
            action=action,
            actor=ctx.principal.id,
            detail=row.reason,
            percent=row.percent,
        )
    )
    ctx.record(f"fleet.rollout.{action}", f"rollouts/{row.id}", site=row.site, detail=row.reason)


def start(ctx: Context, row: RolloutRow) -> None:
    """Begin with the first stage, by the gateways there are now.

    Raises:
        RolloutStepNotAllowed: it was begun before.
    """
    nodes = _edge_nodes(ctx, row)
    row.salt = staging.salt_for(row.id, nodes, list(row.plan.stages))
    row.start_time = ctx.now()
    take_step(ctx, row, "start", "", staging.bounded(row.salt, row.plan.stages[0], nodes))


def advance(ctx: Context, row: RolloutRow, reason: str) -> None:
    """Go to the next stage; a gateway that a stage took stays taken.

    Raises:
        RolloutStepNotAllowed: it is not rolling.
        FailedPrecondition: this is the last stage.
    """
    if row.stage + 1 >= len(row.plan.stages):
        raise FailedPrecondition(f"rollouts/{row.id} is at its last stage")
    percent = staging.bounded(row.salt, row.plan.stages[row.stage + 1], _edge_nodes(ctx, row))
    row.stage += 1
    take_step(ctx, row, "advance", reason, max(percent, row.percent))


def _edge_nodes(ctx: Context, row: RolloutRow) -> list[str]:
    gateways = GatewayRepository(ctx).of_groups(row.site, row.plan.groups)
    return [one.edge_node for one in gateways]


def evaluate(ctx: Context, row: RolloutRow) -> None:
    """Let the health rule decide about a rollout that is rolling."""
    judgement = picture_of(ctx, row).judgement
    if judgement.verdict is Verdict.BAD:
        take_step(ctx, row, "halt", judgement.evidence, row.percent)
        if rule_of(row.plan.health_rule).revert:
            take_step(ctx, row, "revert", judgement.evidence, row.percent)
    elif judgement.verdict is Verdict.WELL:
        soaked = row.stage_time is not None and (
            ctx.now() - row.stage_time >= rule_of(row.plan.health_rule).soak
        )
        if not soaked:
            return
        if row.stage + 1 < len(row.plan.stages):
            advance(ctx, row, judgement.evidence)
        else:
            take_step(ctx, row, "complete", judgement.evidence, row.percent)


def evaluate_all(ctx: Context) -> None:
    """Let the health rules of every rollout that is rolling decide."""
    for row in RolloutRepository(ctx).rolling():
        evaluate(ctx, row)


def document_of(ctx: Context, site: str) -> bytes:
    """Return what the gateways of a site shall have."""
    return document(
        [
            Wanted(
                rollout=row.id,
                kind=row.kind.lower(),
                subject=row.subject,
                version=row.new_version,
                previous_version=row.previous_version,
                groups=tuple(row.plan.groups),
                percent=row.percent,
                salt=row.salt,
                state=RolloutState(row.state),
            )
            for row in RolloutRepository(ctx).begun(site)
        ]
    )


def stage_of(row: RolloutRow, edge_node: str) -> int:
    """Return the index of the stage that takes a gateway, as far as its place says."""
    mine = staging.place(row.salt, edge_node)
    limits = [percent if percent < 100 else math.inf for percent in row.plan.stages]
    return next(index for index, percent in enumerate(limits) if mine < percent)
