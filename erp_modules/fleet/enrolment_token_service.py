"""One-time tokens that let a gateway into the fleet."""

from __future__ import annotations

from datetime import timedelta

from erp_modules.fleet import tokens
from erp_modules.fleet.mapping import token_message
from erp_modules.fleet.models import EnrolmentTokenRow
from erp_modules.fleet.repository import EnrolmentTokenRepository
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import FailedPrecondition, InvalidArgument
from erp_modules.kernel.identifiers import check_identifiers
from erp_modules.kernel.service import Service

USUAL_LIFETIME = timedelta(hours=24)
LONGEST_LIFETIME = timedelta(days=30)


class EnrolmentTokenService(Service):
    """One-time tokens; what is kept of them is a hash."""

    contract = pb.DESCRIPTOR.services_by_name["EnrolmentTokenService"]

    def issue_enrolment_token(
        self, ctx: Context, request: pb.IssueEnrolmentTokenRequest
    ) -> pb.IssueEnrolmentTokenResponse:
        """Make a token for a gateway, or for one of those that a pattern fits."""
        fields.require(request, "site", "edge_node")
        check_identifiers(request, "site", prefix="")
        named = pb.IssueEnrolmentTokenRequest(edge_node=request.edge_node.replace("*", "x"))
        check_identifiers(named, "edge_node", prefix="")
        ctx.require_site(request.site)
        lifetime = (
            request.lifetime.ToTimedelta() if request.HasField("lifetime") else USUAL_LIFETIME
        )
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            raise InvalidArgument.field("lifetime", "write more than nothing and at most 30 days")
        # Two ids are 160 bits of the application's chance.
        chance = [ctx.new_id(tokens.PREFIX).removeprefix(f"{tokens.PREFIX}-") for _ in range(2)]
        token = f"{tokens.PREFIX}_{''.join(chance)}"
        row = EnrolmentTokenRepository(ctx).add(
            EnrolmentTokenRow(
                id=ctx.new_id("ent"),
                site=request.site,
                hash=tokens.hash_of(token),
                edge_node=request.edge_node,
                creator=ctx.principal.id,
                expire_time=ctx.now() + lifetime,
                gateway_id="",
            )
        )
        return pb.IssueEnrolmentTokenResponse(enrolment_token=token_message(row), token=token)

    def get_enrolment_token(
        self, ctx: Context, request: pb.GetEnrolmentTokenRequest
    ) -> pb.EnrolmentToken:
        """Return a token's record."""
        return token_message(EnrolmentTokenRepository(ctx).get_by_name(request.name))

    def list_enrolment_tokens(
        self, ctx: Context, request: pb.ListEnrolmentTokensRequest
    ) -> pb.ListEnrolmentTokensResponse:
        """Return tokens' records, newest first."""
        repository = EnrolmentTokenRepository(ctx)
        where = [] if request.all else repository.waiting(ctx.now())
        if request.site:
            where.append(EnrolmentTokenRow.site == request.site)
        page = repository.page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListEnrolmentTokensResponse(
            enrolment_tokens=map(token_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def revoke_enrolment_token(
        self, ctx: Context, request: pb.RevokeEnrolmentTokenRequest
    ) -> pb.EnrolmentToken:
        """Let a token enrol nobody any more."""
        repository = EnrolmentTokenRepository(ctx)
        row = repository.get_by_name(request.name)
        if row.use_time is not None:
            raise FailedPrecondition(
                f"{request.name} was used: revoke gateways/{row.gateway_id} instead"
            )
        row.revoke_time = row.revoke_time or ctx.now()
        repository.flush()
        return token_message(row)
