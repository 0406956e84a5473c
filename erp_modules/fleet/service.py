"""Gateways: what they are, their certificates, and what their agents are told."""

from __future__ import annotations

from erp_modules.fleet import certificates
from erp_modules.fleet.commands import issue
from erp_modules.fleet.enrolment import enrol, renew
from erp_modules.fleet.events import GATEWAY_REVOKED, announce_gateway
from erp_modules.fleet.mapping import (
    command_message,
    gateway_message,
    installation_message,
    kind_of,
)
from erp_modules.fleet.models import GatewayRow, InstallationRow
from erp_modules.fleet.ports import Ports
from erp_modules.fleet.repository import GatewayRepository, InstallationRepository
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.identifiers import check_identifiers, check_lengths
from erp_modules.kernel.service import Service

LOG_LEVELS = ("debug", "info", "warning", "error")


class GatewayService(Service):
    """The gateways: who they are, how they are, what they are told."""

    contract = pb.DESCRIPTOR.services_by_name["GatewayService"]

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def get_gateway(self, ctx: Context, request: pb.GetGatewayRequest) -> pb.Gateway:
        """Return a gateway."""
        return gateway_message(GatewayRepository(ctx).get_by_name(request.name), ctx.now())

    def list_gateways(
        self, ctx: Context, request: pb.ListGatewaysRequest
    ) -> pb.ListGatewaysResponse:
        """Return gateways, by site and edge node."""
        repository = GatewayRepository(ctx)
        where = []
        if request.site:
            where.append(GatewayRow.site == request.site)
        if request.group:
            where.append(GatewayRow.group == request.group)
        if request.state:
            state = pb.GatewayState.Name(request.state).removeprefix("GATEWAY_STATE_")
            where.append(GatewayRow.state == state)
        if request.search:
            where.append(GatewayRow.edge_node.icontains(request.search, autoescape=True))
        if request.installed:
            subject, _, version = request.installed.partition("@")
            where.append(repository.with_installed(subject, version))
        page = repository.page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        now = ctx.now()
        return pb.ListGatewaysResponse(
            gateways=[gateway_message(row, now) for row in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def list_installations(
        self, ctx: Context, request: pb.ListInstallationsRequest
    ) -> pb.ListInstallationsResponse:
        """Return which gateway has what, and since when."""
        where = []
        if request.site:
            where.append(InstallationRow.site == request.site)
        if request.gateway:
            id = GatewayRepository.id_of(request.gateway, "gateway")
            where.append(InstallationRow.gateway_id == id)
        if request.kind:
            where.append(InstallationRow.kind == kind_of(request.kind, "kind"))
        if request.subject:
            where.append(InstallationRow.subject == request.subject)
        if request.version:
            where.append(InstallationRow.installed_version == request.version)
        if not request.history:
            where.append(InstallationRow.until_time.is_(None))
        page = InstallationRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListInstallationsResponse(
            installations=map(installation_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def enrol_gateway(
        self, ctx: Context, request: pb.EnrolGatewayRequest
    ) -> pb.EnrolGatewayResponse:
        """Use up a one-time token and return a certificate, and whom to trust from now on."""
        fields.require(request, "token", "csr_pem", "site", "edge_node")
        # They become topics: a wildcard that fits a token's pattern would be everybody's.
        check_identifiers(request, "site", "edge_node", prefix="")
        asked = certificates.request_of(request.csr_pem, "csr_pem")
        authority, broker = self._ports.need_authority(), self._ports.need_broker()
        root = self._ports.need_updates().root()
        issued = enrol(ctx, authority, request.token, asked, request.site, request.edge_node)
        return pb.EnrolGatewayResponse(
            certificate_pem=issued.pem,
            ca_pem=authority.pem,
            broker_host=broker.host,
            broker_port=broker.port,
            tuf_root=root,
            expire_time=fields.timestamp_of(issued.not_after),
        )

    def renew_gateway(
        self, ctx: Context, request: pb.RenewGatewayRequest
    ) -> pb.RenewGatewayResponse:
        """Return another certificate for a key that the current one vouches for."""
        fields.require(request, "certificate_pem", "csr_pem", "signature")
        asked = certificates.request_of(request.csr_pem, "csr_pem")
        authority = self._ports.need_authority()
        current = certificates.proven(
            request.certificate_pem,
            request.csr_pem,
            request.signature,
            authority.certificate,
            ctx.now(),
        )
        issued = renew(ctx, authority, current, asked)
        return pb.RenewGatewayResponse(
            certificate_pem=issued.pem,
            ca_pem=authority.pem,
            expire_time=fields.timestamp_of(issued.not_after),
        )

    def revoke_gateway(self, ctx: Context, request: pb.RevokeGatewayRequest) -> pb.Gateway:
        """Refuse every certificate of a gateway from now on."""
        fields.require(request, "name", "reason")
        check_lengths(request, prefix="", reason=1000)
        repository = GatewayRepository(ctx)
        row = repository.get_by_name(request.name, etag=request.etag)
        if row.state != "REVOKED":
            row.state = "REVOKED"
            row.revoke_time = ctx.now()
            row.revoke_reason = request.reason
            repository.flush()
            announce_gateway(ctx, row, GATEWAY_REVOKED)
            ctx.record(GATEWAY_REVOKED, f"gateways/{row.id}", site=row.site, detail=request.reason)
        return gateway_message(row, ctx.now())

    def set_gateway_log_level(
        self, ctx: Context, request: pb.SetGatewayLogLevelRequest
    ) -> pb.Command:
        """Let an agent log from another level on; it goes back by itself."""
        if request.level not in LOG_LEVELS:
            raise InvalidArgument.field("level", f"write one of {', '.join(LOG_LEVELS)}")
        value = pb.Value(text=request.level)
        return self._tell(ctx, request.name, "Node Control/Log Level", value, request.reason)

    def restart_gateway(self, ctx: Context, request: pb.RestartGatewayRequest) -> pb.Command:
        """End an agent in good order so that it is started again."""
        value = pb.Value(boolean=True)
        return self._tell(ctx, request.name, "Node Control/Restart", value, request.reason)

    def rebirth_gateway(self, ctx: Context, request: pb.RebirthGatewayRequest) -> pb.Command:
        """Ask an agent for all births again."""
        value = pb.Value(boolean=True)
        return self._tell(ctx, request.name, "Node Control/Rebirth", value, request.reason)

    def check_gateway_updates(
        self, ctx: Context, request: pb.CheckGatewayUpdatesRequest
    ) -> pb.Command:
        """Let an agent look for updates now."""
        value = pb.Value(boolean=True)
        return self._tell(ctx, request.name, "Node Control/Check Updates", value, request.reason)

    def _tell(
        self, ctx: Context, name: str, metric: str, value: pb.Value, reason: str
    ) -> pb.Command:
        gateway = GatewayRepository(ctx).get_by_name(name)
        return command_message(issue(ctx, gateway, metric, value, reason))
