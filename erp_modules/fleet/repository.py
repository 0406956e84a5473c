"""All SQL of the module."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import ColumnElement, and_, func, select

from erp_modules.fleet.models import (
    CertificateRow,
    CommandRow,
    EnrolmentTokenRow,
    GatewayRow,
    InstallationRow,
    ReleaseRow,
    RolloutRow,
    RolloutStepRow,
    WriteLimitRow,
)
from erp_modules.fleet.rollout_states import OPEN_STATES, RolloutState
from erp_modules.kernel.repository import Repository


class GatewayRepository(Repository[GatewayRow]):
    """Gateways by site and edge node."""

    model = GatewayRow
    collection = "gateways"
    order_fields: ClassVar = {
        "edge_node": GatewayRow.edge_node,
        "site": GatewayRow.site,
        "group": GatewayRow.group,
        "last_seen_time": GatewayRow.last_seen_time,
        "certificate_expire_time": GatewayRow.certificate_expire_time,
    }
    default_order = "site, edge_node"

    @staticmethod
    def key(site: str, edge_node: str) -> str:
        """Return the id of an edge node at a site."""
        return f"{site}~{edge_node}"

    def admitted(self, now: datetime) -> Sequence[GatewayRow]:
        """Return those whose newest certificate is good."""
        return self.all(GatewayRow.state == "ENROLLED", GatewayRow.certificate_expire_time > now)

    def of_groups(self, site: str, groups: Collection[str]) -> Sequence[GatewayRow]:
        """Return those of a site that a rollout to `groups` is for, by id."""
        return self.all(
            GatewayRow.site == site, GatewayRow.group.in_(groups), GatewayRow.state != "REVOKED"
        )

    def with_installed(self, subject: str, version: str) -> ColumnElement[bool]:
        """Return the condition that something runs there; in any version when it is empty."""
        where = [
            InstallationRow.subject == subject,
            InstallationRow.state == "RUNNING",
            InstallationRow.until_time.is_(None),
        ]
        if version:
            where.append(InstallationRow.installed_version == version)
        return GatewayRow.id.in_(select(InstallationRow.gateway_id).where(*where))


class CertificateRepository(Repository[CertificateRow]):
    """Certificates by the fingerprint of their key."""

    model = CertificateRow
    collection = "certificates"


class EnrolmentTokenRepository(Repository[EnrolmentTokenRow]):
    """One-time tokens."""

    model = EnrolmentTokenRow
    collection = "enrolmentTokens"
    order_fields: ClassVar = {"expire_time": EnrolmentTokenRow.expire_time}

    def waiting(self, now: datetime) -> list[ColumnElement[bool]]:
        """Return the conditions for one that may still enrol: to the day, so that a list pages."""
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return [
            EnrolmentTokenRow.use_time.is_(None),
            EnrolmentTokenRow.revoke_time.is_(None),
            EnrolmentTokenRow.expire_time > today,
        ]

    def by_hash(self, hash: str) -> EnrolmentTokenRow | None:
        """Return the token with a hash."""
        return self.first(EnrolmentTokenRow.hash == hash)


class InstallationRepository(Repository[InstallationRow]):
    """What runs and ran where."""

    model = InstallationRow
    collection = "installations"
    order_fields: ClassVar = {
        "since_time": InstallationRow.since_time,
        "gateway": InstallationRow.gateway_id,
        "subject": InstallationRow.subject,
    }
    default_order = "since_time desc"

    def counting(self, gateways: Collection[str]) -> Sequence[InstallationRow]:
        """Return what the gateways have just now."""
        return self.all(
            InstallationRow.gateway_id.in_(gateways), InstallationRow.until_time.is_(None)
        )

    def of_version(self, kind: str, subject: str, version: str) -> Sequence[InstallationRow]:
        """Return where a version is just now, or was refused."""
        return self.all(
            InstallationRow.kind == kind,
            InstallationRow.subject == subject,
            InstallationRow.installed_version == version,
            InstallationRow.until_time.is_(None),
        )

    def last_before(
        self, kind: str, subject: str, version: str, gateways: Collection[str]
    ) -> dict[str, InstallationRow]:
        """Return for each gateway what ran there last that is not `version`."""
        newest = (
            select(
                InstallationRow.gateway_id.label("gateway_id"),
                func.max(InstallationRow.heard_time).label("heard_time"),
            )
            .where(
                InstallationRow.kind == kind,
                InstallationRow.subject == subject,
                InstallationRow.installed_version != version,
                InstallationRow.state == "RUNNING",
                InstallationRow.gateway_id.in_(gateways),
            )
            .group_by(InstallationRow.gateway_id)
            .subquery()
        )
        statement = self.select(
            InstallationRow.kind == kind,
            InstallationRow.subject == subject,
            InstallationRow.installed_version != version,
            InstallationRow.state == "RUNNING",
        ).join(
            newest,
            and_(
                InstallationRow.gateway_id == newest.c.gateway_id,
                InstallationRow.heard_time == newest.c.heard_time,
            ),
        )
        return {row.gateway_id: row for row in self.session.scalars(statement)}


class ReleaseRepository(Repository[ReleaseRow]):
    """Releases by kind, subject and version."""

    model = ReleaseRow
    collection = "releases"
    order_fields: ClassVar = {"subject": ReleaseRow.subject}

    @staticmethod
    def key(kind: str, subject: str, version: str) -> str:
        """Return the id of a version of something."""
        return f"{kind.lower()}~{subject}~{version}"


class RolloutRepository(Repository[RolloutRow]):
    """Rollouts."""

    model = RolloutRow
    collection = "rollouts"
    order_fields: ClassVar = {"start_time": RolloutRow.start_time}

    def begun(self, site: str) -> Sequence[RolloutRow]:
        """Return those of a site that gateways were ever told of, oldest first."""
        return self.all(
            RolloutRow.site == site,
            RolloutRow.state != RolloutState.PLANNED,
            order_by=(RolloutRow.start_time, RolloutRow.id),
        )

    def open(self, site: str, kind: str, subject: str) -> Sequence[RolloutRow]:
        """Return those of a thing that have neither ended nor been taken back."""
        return self.all(
            RolloutRow.site == site,
            RolloutRow.kind == kind,
            RolloutRow.subject == subject,
            RolloutRow.state.in_(OPEN_STATES),
        )

    def rolling(self) -> Sequence[RolloutRow]:
        """Return those whose stage is under way."""
        return self.all(RolloutRow.state == RolloutState.ROLLING)

    def sites(self) -> list[str]:
        """Return the sites with a rollout that was begun."""
        statement = select(RolloutRow.site).where(RolloutRow.state != RolloutState.PLANNED)
        return sorted(self.session.scalars(statement.distinct()))


class RolloutStepRepository(Repository[RolloutStepRow]):
    """The history of rollouts."""

    model = RolloutStepRow
    collection = "rolloutSteps"

    def of(self, rollout: str) -> Sequence[RolloutStepRow]:
        """Return what was done to a rollout, oldest first."""
        return self.all(RolloutStepRow.rollout_id == rollout, order_by=RolloutStepRow.number)


class CommandRepository(Repository[CommandRow]):
    """Commands."""

    model = CommandRow
    collection = "commands"

    def overdue(self, state: str, before: datetime) -> Sequence[CommandRow]:
        """Return those in a state whose time is up: to be confirmed, or since they were sent."""
        time = CommandRow.expire_time if state == "PROPOSED" else CommandRow.send_time
        return self.all(CommandRow.state == state, time < before)


class WriteLimitRepository(Repository[WriteLimitRow]):
    """What may be written."""

    model = WriteLimitRow
    collection = "writeLimits"

    def of(self, site: str, device: str, metric: str) -> WriteLimitRow | None:
        """Return the limits of a metric."""
        return self.first(
            WriteLimitRow.site == site,
            WriteLimitRow.device == device,
            WriteLimitRow.metric == metric,
        )
