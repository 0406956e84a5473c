"""Tables: gateways, certificates, tokens, installations, releases, rollouts, commands, limits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from edge_agent.v1 import report_pb2
from erp_modules.fleet.v1 import fleet_pb2
from erp_modules.kernel.columns import ProtoMessage, UtcDateTime
from erp_modules.kernel.models import AppendOnly, Base, Resource


def _of_gateway() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["organisation", "gateway_id"], ["fleet_gateways.organisation", "fleet_gateways.id"]
    )


class GatewayRow(Resource, Base):
    """A gateway; its id is `{site}~{edge node}`."""

    __tablename__ = "fleet_gateways"

    edge_node: Mapped[str] = mapped_column(String(64))
    group: Mapped[str] = mapped_column("group_name", String(64), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    # Grows with each enrolment; certificates of an earlier one are refused.
    generation: Mapped[int] = mapped_column(Integer)
    certificate_serial: Mapped[str] = mapped_column(String(64))
    certificate_expire_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    enrol_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoke_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoke_reason: Mapped[str] = mapped_column(Text)
    last_seen_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    report: Mapped[report_pb2.GatewayReport] = mapped_column(ProtoMessage(report_pb2.GatewayReport))


class CertificateRow(Resource, Base):
    """A certificate that was issued; its id is the fingerprint of its key."""

    __tablename__ = "fleet_certificates"
    __table_args__ = (_of_gateway(),)

    gateway_id: Mapped[str] = mapped_column(String(128))
    generation: Mapped[int] = mapped_column(Integer)
    serial: Mapped[str] = mapped_column(String(64))
    expire_time: Mapped[datetime] = mapped_column(UtcDateTime)


class EnrolmentTokenRow(Resource, Base):
    """A one-time token as its hash."""

    __tablename__ = "fleet_enrolment_tokens"
    __table_args__ = (UniqueConstraint("organisation", "hash"),)

    hash: Mapped[str] = mapped_column(String(64))
    edge_node: Mapped[str] = mapped_column(String(64))
    creator: Mapped[str] = mapped_column(String(128))
    expire_time: Mapped[datetime] = mapped_column(UtcDateTime)
    use_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    gateway_id: Mapped[str] = mapped_column(String(128))
    revoke_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class InstallationRow(Resource, Base):
    """That a gateway has or had a version in a state; a change of state is another row."""

    __tablename__ = "fleet_installations"
    __table_args__ = (
        _of_gateway(),
        Index("ix_fleet_installations_gateway", "organisation", "gateway_id", "until_time"),
        Index("ix_fleet_installations_subject", "kind", "subject", "installed_version"),
    )

    gateway_id: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(64))
    installed_version: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    rollout_id: Mapped[str] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(Text)
    # By the gateway's clock, for people; soak times go by `heard_time`, which is ours.
    since_time: Mapped[datetime] = mapped_column(UtcDateTime)
    heard_time: Mapped[datetime] = mapped_column(UtcDateTime)
    until_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # How it did, as last told; empty of a configuration.
    model: Mapped[report_pb2.ModelReport] = mapped_column(ProtoMessage(report_pb2.ModelReport))


class ReleaseRow(Resource, Base):
    """What can be rolled out; its id is `{kind}~{subject}~{version}`, its site empty."""

    __tablename__ = "fleet_releases"
    __table_args__ = (Index("ix_fleet_releases_subject", "kind", "subject"),)

    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(64))
    released_version: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    publisher: Mapped[str] = mapped_column(String(128))


class RolloutRow(Resource, Base):
    """A release on its way to the gateways of a site."""

    __tablename__ = "fleet_rollouts"
    __table_args__ = (Index("ix_fleet_rollouts_subject", "kind", "subject", "state"),)

    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(64))
    new_version: Mapped[str] = mapped_column(String(64))
    previous_version: Mapped[str] = mapped_column(String(64))
    # As in the contract: groups, stages, rule.
    plan: Mapped[fleet_pb2.Rollout] = mapped_column(ProtoMessage(fleet_pb2.Rollout))
    state: Mapped[str] = mapped_column(String(16), index=True)
    stage: Mapped[int] = mapped_column(Integer)
    percent: Mapped[float] = mapped_column(Float)
    salt: Mapped[str] = mapped_column(String(160))
    reason: Mapped[str] = mapped_column(Text)
    start_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stage_time: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RolloutStepRow(AppendOnly, Resource, Base):
    """Something that was done to a rollout; never changed, never deleted."""

    __tablename__ = "fleet_rollout_steps"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organisation", "rollout_id"], ["fleet_rollouts.organisation", "fleet_rollouts.id"]
        ),
        UniqueConstraint("organisation", "rollout_id", "number"),
    )

    rollout_id: Mapped[str] = mapped_column(String(128))
    number: Mapped[int] = mapped_column(Integer)
    action: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(128))
    detail: Mapped[str] = mapped_column(Text)
    percent: Mapped[float] = mapped_column(Float)


class CommandRow(Resource, Base):
    """Something a gateway or one of its devices is told."""

    __tablename__ = "fleet_commands"
    __table_args__ = (_of_gateway(),)

    gateway_id: Mapped[str] = mapped_column(String(128), index=True)
    device: Mapped[str] = mapped_column(String(64))
    metric: Mapped[str] = mapped_column(String(200))
    value: Mapped[fleet_pb2.Value] = mapped_column(ProtoMessage(fleet_pb2.Value))
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), index=True)
    second_person: Mapped[bool] = mapped_column(Boolean)
    proposer: Mapped[str] = mapped_column(String(128))
    confirmer: Mapped[str] = mapped_column(String(128))
    expire_time: Mapped[datetime] = mapped_column(UtcDateTime)
    confirm_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    send_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome_reason: Mapped[str] = mapped_column(Text)
    outcome_value: Mapped[fleet_pb2.Value] = mapped_column(ProtoMessage(fleet_pb2.Value))


class WriteLimitRow(Resource, Base):
    """That a metric of a device may be written."""

    __tablename__ = "fleet_write_limits"
    __table_args__ = (UniqueConstraint("organisation", "site", "device", "metric"),)

    device: Mapped[str] = mapped_column(String(64))
    metric: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(32))
    minimum: Mapped[float | None] = mapped_column(Float)
    maximum: Mapped[float | None] = mapped_column(Float)
    second_person: Mapped[bool] = mapped_column(Boolean)
