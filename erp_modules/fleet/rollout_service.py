"""Rollouts: planned, begun, paused, resumed, advanced, reverted by people."""

from __future__ import annotations

import math

from erp_modules.fleet import rollouts, staging
from erp_modules.fleet.errors import RolloutUnderWay
from erp_modules.fleet.mapping import kind_of, progress_message, rollout_message, rule_of
from erp_modules.fleet.models import GatewayRow, RolloutRow
from erp_modules.fleet.repository import (
    GatewayRepository,
    ReleaseRepository,
    RolloutRepository,
    RolloutStepRepository,
)
from erp_modules.fleet.rollout_health import GatewayProgress
from erp_modules.fleet.rollout_states import RolloutState
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.fields import timestamp_of
from erp_modules.kernel.identifiers import check_identifiers, check_lengths
from erp_modules.kernel.service import Service

STAGES = (1.0, 10.0, 100.0)
GROUP = "default"
_MOST = 20
# Of UTF-8: with a digest before it, it is the name of a file.
_LONGEST_SITE = 180


class RolloutService(Service):
    """Bringing a release to the gateways, stage by stage."""

    contract = pb.DESCRIPTOR.services_by_name["RolloutService"]

    def create_rollout(self, ctx: Context, request: pb.CreateRolloutRequest) -> pb.Rollout:
        """Plan a rollout of a release that was published."""
        fields.require(
            request, "rollout.site", "rollout.kind", "rollout.subject", "rollout.version"
        )
        given = request.rollout
        check_identifiers(given, "site", prefix="rollout.")
        if len(given.site.encode()) > _LONGEST_SITE:
            raise InvalidArgument.field("rollout.site", f"is longer than {_LONGEST_SITE} bytes")
        kind = kind_of(given.kind, "rollout.kind")
        releases = ReleaseRepository(ctx)
        for field in ("version", "previous_version"):
            version = getattr(given, field)
            if version and releases.find(releases.key(kind, given.subject, version)) is None:
                raise InvalidArgument.field(
                    f"rollout.{field}", f"{given.subject} {version} was never published"
                )
        if given.version == given.previous_version:
            raise InvalidArgument.field("rollout.previous_version", "is the new version")
        plan = pb.Rollout(
            groups=_groups(given), stages=_stages(given), health_rule=_rule(given.health_rule)
        )
        row = RolloutRepository(ctx).add(
            RolloutRow(
                id=ctx.new_id("rol"),
                site=given.site,
                kind=kind,
                subject=given.subject,
                new_version=given.version,
                previous_version=given.previous_version,
                plan=plan,
                state=RolloutState.PLANNED,
                stage=0,
                percent=0.0,
                salt="",
                reason="",
            )
        )
        rollouts.note(ctx, row, "created")
        return self._message(ctx, row)

    def get_rollout(self, ctx: Context, request: pb.GetRolloutRequest) -> pb.Rollout:
        """Return a rollout with its history."""
        return self._message(ctx, RolloutRepository(ctx).get_by_name(request.name))

    def list_rollouts(
        self, ctx: Context, request: pb.ListRolloutsRequest
    ) -> pb.ListRolloutsResponse:
        """Return rollouts, newest first."""
        where = []
        if request.site:
            where.append(RolloutRow.site == request.site)
        if request.kind:
            where.append(RolloutRow.kind == kind_of(request.kind, "kind"))
        if request.subject:
            where.append(RolloutRow.subject == request.subject)
        if request.states:
            names = [pb.RolloutState.Name(state) for state in request.states]
            where.append(
                RolloutRow.state.in_(name.removeprefix("ROLLOUT_STATE_") for name in names)
            )
        page = RolloutRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListRolloutsResponse(
            rollouts=[rollout_message(row, _progress(ctx, row)) for row in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def list_rollout_gateways(
        self, ctx: Context, request: pb.ListRolloutGatewaysRequest
    ) -> pb.ListRolloutGatewaysResponse:
        """Return the gateways of a rollout's groups, and how far each is."""
        row = RolloutRepository(ctx).get_by_name(request.rollout, "rollout")
        page = GatewayRepository(ctx).page(
            GatewayRow.site == row.site,
            GatewayRow.group.in_(list(row.plan.groups)),
            GatewayRow.state != "REVOKED",
            size=request.page_size,
            token=request.page_token,
        )
        picture = rollouts.picture_of(ctx, row)
        begun = row.state != RolloutState.PLANNED
        found = []
        for gateway in page.items:
            judged, has = picture.reached.get(gateway.id), picture.installed.get(gateway.id)
            found.append(
                pb.RolloutGateway(
                    gateway=f"gateways/{gateway.id}",
                    edge_node=gateway.edge_node,
                    group=gateway.group,
                    place=staging.place(row.salt, gateway.edge_node) if begun else 0,
                    stage=rollouts.stage_of(row, gateway.edge_node) if begun else 0,
                    state=judged.progress if judged else GatewayProgress.WAITING,
                    version=has.installed_version if has else "",
                    reason=judged.reason if judged else "",
                    since_time=timestamp_of(has.since_time) if has else None,
                    last_seen_time=timestamp_of(gateway.last_seen_time),
                )
            )
        return pb.ListRolloutGatewaysResponse(
            gateways=found, next_page_token=page.next_page_token, total_size=page.total_size
        )

    def start_rollout(self, ctx: Context, request: pb.StartRolloutRequest) -> pb.Rollout:
        """Begin with the first stage."""
        repository = RolloutRepository(ctx)
        row = repository.get_by_name(request.name, etag=request.etag)
        for other in repository.open(row.site, row.kind, row.subject):
            if other.id != row.id and other.state != RolloutState.PLANNED:
                raise RolloutUnderWay(row.subject, f"rollouts/{other.id}")
        rollouts.start(ctx, row)
        return self._message(ctx, row)

    def pause_rollout(self, ctx: Context, request: pb.PauseRolloutRequest) -> pb.Rollout:
        """Let no further gateway take it."""
        row = _row(ctx, request)
        rollouts.take_step(ctx, row, "pause", request.reason, row.percent)
        return self._message(ctx, row)

    def resume_rollout(self, ctx: Context, request: pb.ResumeRolloutRequest) -> pb.Rollout:
        """Go on where it was paused or halted."""
        row = _row(ctx, request)
        rollouts.take_step(ctx, row, "resume", request.reason, row.percent)
        return self._message(ctx, row)

    def advance_rollout(self, ctx: Context, request: pb.AdvanceRolloutRequest) -> pb.Rollout:
        """Go to the next stage without waiting for the soak time."""
        row = _row(ctx, request)
        rollouts.advance(ctx, row, request.reason)
        return self._message(ctx, row)

    def revert_rollout(self, ctx: Context, request: pb.RevertRolloutRequest) -> pb.Rollout:
        """Send every gateway back to the version before."""
        row = _row(ctx, request)
        rollouts.take_step(ctx, row, "revert", request.reason, row.percent)
        return self._message(ctx, row)

    def _message(self, ctx: Context, row: RolloutRow) -> pb.Rollout:
        history = RolloutStepRepository(ctx).of(row.id)
        return rollout_message(row, _progress(ctx, row), history)


def _progress(ctx: Context, row: RolloutRow) -> pb.StageProgress:
    picture = rollouts.picture_of(ctx, row)
    return progress_message(picture.judgement, len(picture.gateways))


def _row(
    ctx: Context,
    request: pb.PauseRolloutRequest
    | pb.ResumeRolloutRequest
    | pb.AdvanceRolloutRequest
    | pb.RevertRolloutRequest,
) -> RolloutRow:
    check_lengths(request, prefix="", reason=1000)
    return RolloutRepository(ctx).get_by_name(request.name, etag=request.etag)


def _groups(given: pb.Rollout) -> list[str]:
    groups = list(dict.fromkeys(given.groups)) or [GROUP]
    if len(groups) > _MOST or any(not 0 < len(group) <= 60 for group in groups):
        raise InvalidArgument.field(
            "rollout.groups", f"write at most {_MOST} names of 1 to 60 characters"
        )
    return groups


def _stages(given: pb.Rollout) -> list[float]:
    stages = list(given.stages) or list(STAGES)
    growing = all(a < b for a, b in zip([0.0, *stages], stages, strict=False))
    if len(stages) > _MOST or not growing or stages[-1] != 100.0:
        raise InvalidArgument.field(
            "rollout.stages", "write growing percentages above 0, the last one 100"
        )
    return stages


def _rule(given: pb.HealthRule) -> pb.HealthRule:
    rule = rule_of(given)
    problems = {
        "soak_time": rule.soak.total_seconds() < 0,
        "least_share": not 0 < rule.least_share <= 1,
        "latency_ratio": not 1 < rule.latency_ratio < math.inf,
        "score_ratio": not 1 < rule.score_ratio < math.inf,
        "bad_share": not 0 <= rule.bad_share < 1,
        "silence": rule.silence.total_seconds() <= 0,
    }
    for field, wrong in problems.items():
        if wrong:
            raise InvalidArgument.field(f"rollout.health_rule.{field}", "is out of range")
    return given
