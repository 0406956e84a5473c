"""From rows to messages, and between the contract's enumerations and ours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from edge_agent.v1 import report_pb2
from erp_modules.fleet.models import (
    CommandRow,
    EnrolmentTokenRow,
    GatewayRow,
    InstallationRow,
    ReleaseRow,
    RolloutRow,
    RolloutStepRow,
    WriteLimitRow,
)
from erp_modules.fleet.rollout_health import GatewayProgress, Judgement, Rule
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.fields import timestamp_of

# Reports a gateway may miss, and the interval of one that does not say its own.
MISSED_REPORTS = 3
USUAL_INTERVAL = timedelta(seconds=60)
_LONGEST_INTERVAL_S = 86_400.0


def kind_of(value: pb.ReleaseKind.ValueType, field: str) -> str:
    """Return the stored name of a kind.

    Raises:
        InvalidArgument: it is unspecified.
    """
    if value == pb.RELEASE_KIND_UNSPECIFIED:
        raise InvalidArgument.field(field, "is required")
    return pb.ReleaseKind.Name(value).removeprefix("RELEASE_KIND_")


def _kind(stored: str) -> pb.ReleaseKind.ValueType:
    return pb.ReleaseKind.Value(f"RELEASE_KIND_{stored}")


def _name(collection: str, id: str) -> str:
    return f"{collection}/{id}" if id else ""


def rule_of(given: pb.HealthRule) -> Rule:
    """Return the rule with its usual values where the contract leaves them out."""
    usual = Rule()
    return Rule(
        soak=given.soak_time.ToTimedelta() if given.HasField("soak_time") else usual.soak,
        least_share=given.least_share if given.HasField("least_share") else usual.least_share,
        latency_ratio=(
            given.latency_ratio if given.HasField("latency_ratio") else usual.latency_ratio
        ),
        score_ratio=given.score_ratio if given.HasField("score_ratio") else usual.score_ratio,
        crashes=given.crashes if given.HasField("crashes") else usual.crashes,
        bad_share=given.bad_share if given.HasField("bad_share") else usual.bad_share,
        silence=given.silence.ToTimedelta() if given.HasField("silence") else usual.silence,
        revert=given.revert if given.HasField("revert") else usual.revert,
    )


def silence_of(report: report_pb2.GatewayReport) -> timedelta:
    """Return how long a gateway may say nothing."""
    seconds = report.report_interval_s
    known = 0 < seconds <= _LONGEST_INTERVAL_S
    return MISSED_REPORTS * (timedelta(seconds=seconds) if known else USUAL_INTERVAL)


def connection_of(row: GatewayRow, now: datetime) -> pb.Connection.ValueType:
    """Return whether a gateway is heard."""
    if row.last_seen_time is None:
        return pb.CONNECTION_NEVER_SEEN
    if now - row.last_seen_time > silence_of(row.report):
        return pb.CONNECTION_SILENT
    return pb.CONNECTION_ONLINE


def gateway_message(row: GatewayRow, now: datetime) -> pb.Gateway:
    """Return a gateway with its newest report."""
    return pb.Gateway(
        name=f"gateways/{row.id}",
        site=row.site,
        edge_node=row.edge_node,
        group=row.group,
        state=pb.GatewayState.Value(f"GATEWAY_STATE_{row.state}"),
        connection=connection_of(row, now),
        last_seen_time=timestamp_of(row.last_seen_time),
        report=row.report if row.last_seen_time else None,
        certificate_serial=row.certificate_serial,
        certificate_expire_time=timestamp_of(row.certificate_expire_time),
        enrol_time=timestamp_of(row.enrol_time),
        revoke_time=timestamp_of(row.revoke_time),
        revoke_reason=row.revoke_reason,
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
    )


def installation_message(row: InstallationRow) -> pb.Installation:
    """Return what a gateway has or had."""
    return pb.Installation(
        name=f"installations/{row.id}",
        site=row.site,
        gateway=f"gateways/{row.gateway_id}",
        kind=_kind(row.kind),
        subject=row.subject,
        version=row.installed_version,
        sha256=row.sha256,
        state=report_pb2.InstallationState.Value(f"INSTALLATION_STATE_{row.state}"),
        rollout=_name("rollouts", row.rollout_id),
        reason=row.reason,
        since_time=timestamp_of(row.since_time),
        until_time=timestamp_of(row.until_time),
    )


def token_message(row: EnrolmentTokenRow) -> pb.EnrolmentToken:
    """Return a one-time token, without the token."""
    return pb.EnrolmentToken(
        name=f"enrolmentTokens/{row.id}",
        site=row.site,
        edge_node=row.edge_node,
        creator=row.creator,
        create_time=timestamp_of(row.create_time),
        expire_time=timestamp_of(row.expire_time),
        use_time=timestamp_of(row.use_time),
        gateway=_name("gateways", row.gateway_id),
        revoke_time=timestamp_of(row.revoke_time),
    )


def release_message(row: ReleaseRow) -> pb.Release:
    """Return what can be rolled out."""
    return pb.Release(
        name=f"releases/{row.id}",
        kind=_kind(row.kind),
        subject=row.subject,
        version=row.released_version,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        publisher=row.publisher,
        create_time=timestamp_of(row.create_time),
    )


def progress_message(judgement: Judgement, total: int) -> pb.StageProgress:
    """Return how a stage does."""
    is_ = GatewayProgress
    return pb.StageProgress(
        gateway_count=len(judgement.gateways),
        running_count=judgement.count(is_.RUNNING, is_.WELL),
        well_count=judgement.count(is_.WELL),
        trial_count=judgement.count(is_.TRIAL),
        refused_count=judgement.count(is_.REFUSED),
        bad_count=judgement.count(is_.BAD),
        total_count=total,
    )


def rollout_message(
    row: RolloutRow, progress: pb.StageProgress, history: Iterable[RolloutStepRow] = ()
) -> pb.Rollout:
    """Return a rollout as it stands."""
    return pb.Rollout(
        name=f"rollouts/{row.id}",
        site=row.site,
        kind=_kind(row.kind),
        subject=row.subject,
        version=row.new_version,
        previous_version=row.previous_version,
        groups=row.plan.groups,
        stages=row.plan.stages,
        health_rule=row.plan.health_rule,
        state=pb.RolloutState.Value(f"ROLLOUT_STATE_{row.state}"),
        stage=row.stage,
        percent=row.percent,
        reason=row.reason,
        stage_time=timestamp_of(row.stage_time),
        progress=progress,
        history=[
            pb.RolloutStep(
                action=step.action,
                actor=step.actor,
                detail=step.detail,
                percent=step.percent,
                create_time=timestamp_of(step.create_time),
            )
            for step in history
        ],
        create_time=timestamp_of(row.create_time),
        update_time=timestamp_of(row.update_time),
        etag=row.etag,
    )


def command_message(row: CommandRow) -> pb.Command:
    """Return a command."""
    return pb.Command(
        name=f"commands/{row.id}",
        site=row.site,
        gateway=f"gateways/{row.gateway_id}",
        device=row.device,
        metric=row.metric,
        value=row.value,
        reason=row.reason,
        state=pb.CommandState.Value(f"COMMAND_STATE_{row.state}"),
        proposer=row.proposer,
        confirmer=row.confirmer,
        expire_time=timestamp_of(row.expire_time) if row.state == "PROPOSED" else None,
        confirm_time=timestamp_of(row.confirm_time),
        send_time=timestamp_of(row.send_time),
        outcome_time=timestamp_of(row.outcome_time),
        outcome_reason=row.outcome_reason,
        outcome_value=row.outcome_value if row.outcome_value.WhichOneof("value") else None,
        create_time=timestamp_of(row.create_time),
        etag=row.etag,
    )


def write_limit_message(row: WriteLimitRow) -> pb.WriteLimit:
    """Return what may be written."""
    return pb.WriteLimit(
        name=f"writeLimits/{row.id}",
        site=row.site,
        device=row.device,
        metric=row.metric,
        unit=row.unit,
        minimum=row.minimum,
        maximum=row.maximum,
        second_person=row.second_person,
        create_time=timestamp_of(row.create_time),
    )
