"""What gateways report: how they are, and what they have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from edge_agent.v1 import report_pb2
from edge_agent.v1.report_pb2 import GatewayReport, ModelReport
from erp_modules.fleet.enrolment import gateway_row
from erp_modules.fleet.events import GATEWAY_DISCOVERED, announce_gateway
from erp_modules.fleet.models import GatewayRow, InstallationRow
from erp_modules.fleet.repository import GatewayRepository, InstallationRepository
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.fields import time_of, validate
from erp_modules.kernel.identifiers import check_identifiers

# Of models and configurations in one report, and of a text that is kept of them.
_MOST = 200
_SHORT, _LONG = 64, 1000
# Of a report as it is kept.
_LARGEST = 256 * 1024


@dataclass(frozen=True)
class _Told:
    """One thing a report says that the gateway has."""

    kind: str
    subject: str
    version: str
    sha256: str
    state: str
    rollout: str
    reason: str
    since: datetime
    model: ModelReport

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What is another installation when it differs."""
        return (self.kind, self.subject, self.version, self.state, self.rollout)


def check(report: GatewayReport) -> None:
    """Let pass a report that can be kept.

    Raises:
        InvalidArgument: it names no gateway, an impossible time, or too much.
    """
    if (size := report.ByteSize()) > _LARGEST:
        raise InvalidArgument(f"a report of {size} bytes, more than {_LARGEST}")
    validate(report)
    check_identifiers(report, "site", "edge_node", prefix="")
    if len(report.models) > _MOST or len(report.configurations) > _MOST:
        raise InvalidArgument.field("models", f"more than {_MOST}")
    if len(report.group) > _SHORT:
        raise InvalidArgument.field("group", f"is longer than {_SHORT} characters")


def record(ctx: Context, report: GatewayReport, receive_time: datetime) -> None:
    """Keep a report that was checked; an older one than what is known changes nothing."""
    row = gateway_row(ctx, report.site, report.edge_node)
    if row.last_seen_time is not None and receive_time < row.last_seen_time:
        return
    first = row.last_seen_time is None
    row.last_seen_time = receive_time
    row.group = report.group or "default"
    row.report = report
    GatewayRepository(ctx).flush()
    if first and row.state == "UNENROLLED":
        announce_gateway(ctx, row, GATEWAY_DISCOVERED)
    _installations(ctx, row, list(_told(report, receive_time)), receive_time)


def _installations(ctx: Context, gateway: GatewayRow, told: list[_Told], now: datetime) -> None:
    """End what is not told any more, go on with what is, and begin what is new."""
    stored = InstallationRepository(ctx)
    wanted = {one.key: one for one in told}
    for row in stored.counting([gateway.id]):
        key = (row.kind, row.subject, row.installed_version, row.state, row.rollout_id)
        one = wanted.pop(key, None)
        if one is None:
            row.until_time = now
            continue
        row.sha256, row.reason = one.sha256, one.reason
        if one.model != row.model:
            row.model = one.model
    stored.flush()
    for one in wanted.values():
        stored.add(
            InstallationRow(
                id=ctx.new_id("ins"),
                site=gateway.site,
                gateway_id=gateway.id,
                kind=one.kind,
                subject=one.subject,
                installed_version=one.version,
                sha256=one.sha256,
                state=one.state,
                rollout_id=one.rollout,
                reason=one.reason,
                since_time=one.since,
                heard_time=now,
                model=one.model,
            )
        )


def _told(report: GatewayReport, now: datetime) -> Iterable[_Told]:
    for model in report.models:
        if model.equipment_class and model.version and model.state:
            yield _one("MODEL", model.equipment_class, model, model, now)
    for configuration in report.configurations:
        if configuration.name and configuration.version and configuration.state:
            yield _one("CONFIGURATION", configuration.name, configuration, ModelReport(), now)


def _one(
    kind: str,
    subject: str,
    told: ModelReport | report_pb2.ConfigurationReport,
    model: ModelReport,
    now: datetime,
) -> _Told:
    state = report_pb2.InstallationState.Name(told.state).removeprefix("INSTALLATION_STATE_")
    return _Told(
        kind=kind,
        subject=subject[:_SHORT],
        version=told.version[:_SHORT],
        sha256=told.sha256[:_SHORT],
        state=state,
        rollout=told.rollout[:_SHORT].removeprefix("rollouts/"),
        reason=told.reason[:_LONG],
        since=_since(told.since_time if told.HasField("since_time") else None, now),
        model=model,
    )


def _since(told: Timestamp | None, now: datetime) -> datetime:
    """Return since when, by the gateway's clock; ours when that one is in the future."""
    if told is None:
        return now
    since = time_of(told)
    return since if since <= now + timedelta(minutes=5) else now
