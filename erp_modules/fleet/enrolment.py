"""How a gateway gets a certificate: by a one-time token, then by the word of its key."""

from __future__ import annotations

from datetime import datetime

import structlog
from cryptography import x509

from edge_agent.v1.report_pb2 import GatewayReport
from erp_modules.fleet import certificates, tokens
from erp_modules.fleet.certificates import Authority, Certificate
from erp_modules.fleet.errors import KeyKnown, ProofRefused, TokenRefused
from erp_modules.fleet.events import GATEWAY_ENROLLED, GATEWAY_RENEWED, announce_gateway
from erp_modules.fleet.models import CertificateRow, EnrolmentTokenRow, GatewayRow
from erp_modules.fleet.repository import (
    CertificateRepository,
    EnrolmentTokenRepository,
    GatewayRepository,
)
from erp_modules.kernel.context import Context

log = structlog.get_logger(__name__)


def enrol(
    ctx: Context,
    authority: Authority,
    token: str,
    request: x509.CertificateSigningRequest,
    site: str,
    edge_node: str,
) -> Certificate:
    """Use up a token and issue a certificate of a new generation.

    Raises:
        TokenRefused: the token does not let this gateway in.
        KeyKnown: the key had a certificate before.
    """
    now = ctx.now()
    stored = EnrolmentTokenRepository(ctx)
    found = stored.by_hash(tokens.hash_of(token))
    why = _why_not(found, site, edge_node, now)
    if found is None or why:
        # For who keeps the server; the caller is not told which it was.
        log.warning("enrolment_refused", site=site, edge_node=edge_node, reason=why)
        raise TokenRefused
    row = gateway_row(ctx, site, edge_node)
    row.state = "ENROLLED"
    row.generation += 1
    row.enrol_time = now
    row.revoke_time, row.revoke_reason = None, ""
    issued = _issue(ctx, authority, row, request)
    found.use_time = now
    found.gateway_id = row.id
    stored.flush()
    announce_gateway(ctx, row, GATEWAY_ENROLLED)
    # The caller is nobody yet: whose token and which certificate it was says who.
    by = f"{found.id} of {found.creator}"
    _audit(ctx, row, GATEWAY_ENROLLED, f"by token {by}, certificate {issued.serial}")
    return issued


def renew(
    ctx: Context,
    authority: Authority,
    current: x509.Certificate,
    request: x509.CertificateSigningRequest,
) -> Certificate:
    """Issue another certificate of the same generation; `current` has proven its key.

    Raises:
        ProofRefused: the gateway was revoked, or enrolled again since.
        KeyKnown: the key of the request had a certificate before.
    """
    known = CertificateRepository(ctx).find(certificates.fingerprint(current))
    row = GatewayRepository(ctx).find(known.gateway_id) if known is not None else None
    if known is None or row is None:
        raise ProofRefused("the certificate is not known here")
    if row.state != "ENROLLED":
        raise ProofRefused("the gateway is revoked")
    if known.generation != row.generation:
        raise ProofRefused("the gateway was enrolled again since")
    issued = _issue(ctx, authority, row, request)
    announce_gateway(ctx, row, GATEWAY_RENEWED)
    by = certificates.serial_of(current)
    _audit(ctx, row, GATEWAY_RENEWED, f"by certificate {by}, certificate {issued.serial}")
    return issued


def gateway_row(ctx: Context, site: str, edge_node: str) -> GatewayRow:
    """Return the row of a gateway, a new one when it was never heard of."""
    repository = GatewayRepository(ctx)
    id = repository.key(site, edge_node)
    return repository.find(id) or repository.add(
        GatewayRow(
            id=id,
            site=site,
            edge_node=edge_node,
            group="default",
            state="UNENROLLED",
            generation=0,
            certificate_serial="",
            revoke_reason="",
            report=GatewayReport(site=site, edge_node=edge_node),
        )
    )


def _why_not(token: EnrolmentTokenRow | None, site: str, edge_node: str, now: datetime) -> str:
    if token is None:
        return "there is no such token"
    if token.use_time is not None:
        return f"{token.id} was used for {token.gateway_id}"
    if token.revoke_time is not None:
        return f"{token.id} was revoked"
    if token.expire_time <= now:
        return f"{token.id} has expired"
    if token.site != site or not tokens.fits(token.edge_node, edge_node):
        return f"{token.id} is for {token.edge_node} at {token.site}"
    return "" if f"{site}{edge_node}".isprintable() else "the name cannot be printed"


def _audit(ctx: Context, row: GatewayRow, action: str, detail: str) -> None:
    ctx.record(action, f"gateways/{row.id}", site=row.site, detail=detail)


def _issue(
    ctx: Context, authority: Authority, row: GatewayRow, request: x509.CertificateSigningRequest
) -> Certificate:
    stored = CertificateRepository(ctx)
    # By this a request is good once: it needs no time, and gateways' clocks may be wrong.
    if stored.find(certificates.fingerprint(request)) is not None:
        raise KeyKnown
    user = certificates.user_of(row.id, row.generation)
    issued = authority.issue(request, user, row.edge_node, ctx.now())
    stored.add(
        CertificateRow(
            id=issued.key_fingerprint,
            site=row.site,
            gateway_id=row.id,
            generation=row.generation,
            serial=issued.serial,
            expire_time=issued.not_after,
        )
    )
    row.certificate_serial = issued.serial
    row.certificate_expire_time = issued.not_after
    stored.flush()
    return issued
