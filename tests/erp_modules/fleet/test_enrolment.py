"""Tokens, certificates, renewal, revocation, and the broker's list."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import text

from cloud_api.fleet_broker import BrokerList
from cloud_api.updates import UpdateRepository
from erp_modules.fleet import tokens
from erp_modules.fleet.certificates import user_of
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    Unauthenticated,
)

NOBODY = Principal("anonymous")
Call = Callable[..., Any]


def loaded(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def user_in(pem: str) -> str:
    names = loaded(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return str(names.get_values_for_type(x509.UniformResourceIdentifier)[0])


@pytest.mark.usefixtures("on_both")
def test_a_token_yields_the_gateways_own_certificate(
    enrol: Call, updates: UpdateRepository, call: Call, clock: ManualClock
) -> None:
    key, answer = enrol("e1")
    certificate, authority = loaded(answer.certificate_pem), loaded(answer.ca_pem)
    certificate.verify_directly_issued_by(authority)
    assert certificate.public_key() == key.private.public_key()
    assert user_in(answer.certificate_pem) == user_of("plant~e1", 1)
    assert certificate.not_valid_after_utc - clock.now() <= timedelta(days=30)
    assert (answer.broker_host, answer.broker_port) == ("mqtt.example", 8883)
    assert answer.tuf_root == updates.root()
    gateway = call("GatewayService.GetGateway", pb.GetGatewayRequest(name="gateways/plant~e1"))
    assert gateway.state == pb.GATEWAY_STATE_ENROLLED
    assert gateway.certificate_serial == format(certificate.serial_number, "x")
    assert gateway.connection == pb.CONNECTION_NEVER_SEEN


@pytest.mark.usefixtures("on_both")
def test_a_token_is_good_once(call: Call, token: Call, new_key: Any) -> None:
    given = token("e1")

    def enrol() -> Any:
        request = pb.EnrolGatewayRequest(
            token=given, csr_pem=new_key().csr, site="plant", edge_node="e1"
        )
        return call("GatewayService.EnrolGateway", request, NOBODY)

    enrol()
    with pytest.raises(Unauthenticated):
        enrol()


@pytest.mark.usefixtures("on_both")
def test_of_many_at_once_a_token_lets_one_in(call: Call, token: Call, new_key: Any) -> None:
    given = token("press-*")

    def enrol(number: int) -> bool:
        request = pb.EnrolGatewayRequest(
            token=given, csr_pem=new_key().csr, site="plant", edge_node=f"press-{number}"
        )
        try:
            call("GatewayService.EnrolGateway", request, NOBODY)
        except (Unauthenticated, Aborted):
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(enrol, range(8))) == 1
    listed = call("GatewayService.ListGateways", pb.ListGatewaysRequest())
    assert len(listed.gateways) == 1


@pytest.mark.parametrize(
    ("site", "edge_node", "later"),
    [("plant", "e2", 0.0), ("other", "e1", 0.0), ("plant", "e1", 2.0)],
    ids=["another gateway", "another site", "expired"],
)
def test_a_token_is_for_one_gateway_and_a_time(
    call: Call,
    token: Call,
    new_key: Any,
    clock: ManualClock,
    site: str,
    edge_node: str,
    later: float,
) -> None:
    given = token("e1", hours=1.0)
    clock.advance(timedelta(hours=later))
    request = pb.EnrolGatewayRequest(
        token=given, csr_pem=new_key().csr, site=site, edge_node=edge_node
    )
    with pytest.raises(Unauthenticated):
        call("GatewayService.EnrolGateway", request, NOBODY)


def test_a_pattern_lets_in_who_fits_and_a_revoked_token_nobody(
    call: Call, token: Call, new_key: Any
) -> None:
    given = token("press-*")
    listed = call("EnrolmentTokenService.ListEnrolmentTokens", pb.ListEnrolmentTokensRequest())
    assert [one.edge_node for one in listed.enrolment_tokens] == ["press-*"]
    name = listed.enrolment_tokens[0].name
    call("EnrolmentTokenService.RevokeEnrolmentToken", pb.RevokeEnrolmentTokenRequest(name=name))
    request = pb.EnrolGatewayRequest(
        token=given, csr_pem=new_key().csr, site="plant", edge_node="press-7"
    )
    with pytest.raises(Unauthenticated):
        call("GatewayService.EnrolGateway", request, NOBODY)
    got = call("EnrolmentTokenService.GetEnrolmentToken", pb.GetEnrolmentTokenRequest(name=name))
    assert got.HasField("revoke_time")
    request.token = token("press-*")
    call("GatewayService.EnrolGateway", request, NOBODY)
    used = call(
        "EnrolmentTokenService.ListEnrolmentTokens", pb.ListEnrolmentTokensRequest(all=True)
    )
    assert {one.gateway for one in used.enrolment_tokens} == {"", "gateways/plant~press-7"}
    with pytest.raises(FailedPrecondition, match="was used"):
        call(
            "EnrolmentTokenService.RevokeEnrolmentToken",
            pb.RevokeEnrolmentTokenRequest(
                name=next(one.name for one in used.enrolment_tokens if one.gateway)
            ),
        )


def test_the_token_is_nowhere_in_the_database(app: Application, token: Call) -> None:
    given = token("e1")
    with app.database.engine.connect() as connection:
        stored = connection.execute(text("SELECT hash FROM fleet_enrolment_tokens")).scalars().all()
        kept = connection.execute(text("SELECT response FROM kernel_request_ids")).scalars().all()
    assert stored == [tokens.hash_of(given)]
    assert kept == []


def test_who_may_not_makes_no_tokens(call: Call) -> None:
    request = pb.IssueEnrolmentTokenRequest(site="plant", edge_node="e1")
    engineer = Principal("users/bob", roles=frozenset({Role.ENGINEER}))
    with pytest.raises(PermissionDenied):
        call("EnrolmentTokenService.IssueEnrolmentToken", request, engineer)


def renewal(answer: Any, key: Any, new: Any, **changed: Any) -> pb.RenewGatewayRequest:
    csr = new.csr
    return pb.RenewGatewayRequest(
        **{
            "certificate_pem": answer.certificate_pem,
            "csr_pem": csr,
            "signature": key.sign(csr),
            **changed,
        }
    )


def test_renewal_by_the_current_key_and_each_request_once(
    enrol: Call, call: Call, new_key: Any, clock: ManualClock
) -> None:
    key, answer = enrol("e1")
    clock.advance(timedelta(days=20))
    request = renewal(answer, key, new_key())
    renewed = call("GatewayService.RenewGateway", request, NOBODY)
    assert user_in(renewed.certificate_pem) == user_in(answer.certificate_pem)
    assert loaded(renewed.certificate_pem).not_valid_after_utc > (
        loaded(answer.certificate_pem).not_valid_after_utc
    )
    with pytest.raises(AlreadyExists):
        call("GatewayService.RenewGateway", request, NOBODY)


def test_a_renewal_without_a_proof_is_refused(
    enrol: Call, call: Call, new_key: Any, clock: ManualClock
) -> None:
    key, answer = enrol("e1")
    _, other = enrol("e2")
    thief = new_key()
    requests = [
        renewal(answer, thief, new_key()),
        renewal(answer, key, new_key(), signature=b"nothing"),
        renewal(answer, key, new_key(), certificate_pem=other.certificate_pem),
        renewal(answer, key, new_key(), certificate_pem=answer.ca_pem),
        renewal(answer, key, new_key(), certificate_pem="nonsense"),
    ]
    for request in requests:
        with pytest.raises(Unauthenticated):
            call("GatewayService.RenewGateway", request, NOBODY)
    clock.advance(timedelta(days=31))
    with pytest.raises(Unauthenticated, match="expired"):
        call("GatewayService.RenewGateway", renewal(answer, key, new_key()), NOBODY)


def test_a_new_enrolment_ends_the_certificates_before(
    enrol: Call, call: Call, new_key: Any
) -> None:
    key, answer = enrol("e1")
    _, again = enrol("e1")
    assert user_in(again.certificate_pem) == user_of("plant~e1", 2)
    with pytest.raises(Unauthenticated, match="enrolled again"):
        call("GatewayService.RenewGateway", renewal(answer, key, new_key()), NOBODY)


@pytest.mark.usefixtures("on_both")
def test_revocation_takes_the_user_away_and_a_token_brings_it_back(
    enrol: Call, call: Call, deliver: Call, broker_list: BrokerList, new_key: Any
) -> None:
    key, answer = enrol("e1")
    enrol("e2")
    deliver()
    assert user_of("plant~e1", 1) in broker_list.path.read_text()
    assert broker_list.path.stat().st_mode & 0o777 == 0o600
    request = pb.RevokeGatewayRequest(name="gateways/plant~e1", reason="stolen")
    revoked = call("GatewayService.RevokeGateway", request)
    assert (revoked.state, revoked.revoke_reason) == (pb.GATEWAY_STATE_REVOKED, "stolen")
    deliver()
    written = broker_list.path.read_text()
    assert user_of("plant~e1", 1) not in written
    assert user_of("plant~e2", 1) in written
    with pytest.raises(Unauthenticated, match="revoked"):
        call("GatewayService.RenewGateway", renewal(answer, key, new_key()), NOBODY)
    enrol("e1")
    deliver()
    assert user_of("plant~e1", 2) in broker_list.path.read_text()


def test_an_expired_certificate_loses_its_user(
    enrol: Call, broker_list: BrokerList, run_job: Call, clock: ManualClock
) -> None:
    enrol("e1")
    run_job("fleet.admit_gateways")
    assert "urn:headrace:gateway" in broker_list.path.read_text()
    clock.advance(timedelta(days=31))
    run_job("fleet.admit_gateways")
    assert "urn:headrace:gateway" not in broker_list.path.read_text()


@pytest.mark.parametrize(
    "edge_node",
    ["*", ">", "press.>", "press-*", "a b", "a/b", "a+b", "#", "x" * 61, "a\x00b", "a\nb"],
)
def test_no_name_reaches_further_than_one_gateway(
    call: Call, token: Call, new_key: Any, edge_node: str
) -> None:
    """The name is part of the broker's permissions: a wildcard in it would be others' topics."""
    request = pb.EnrolGatewayRequest(
        token=token("*"), csr_pem=new_key().csr, site="plant", edge_node=edge_node
    )
    with pytest.raises((InvalidArgument, Unauthenticated)):
        call("GatewayService.EnrolGateway", request, NOBODY)


@pytest.mark.parametrize("csr", ["nonsense", "x" * 20_000])
def test_what_is_no_request_is_refused_before_the_token_is_used(
    call: Call, token: Call, new_key: Any, csr: str
) -> None:
    given = token("e1")
    request = pb.EnrolGatewayRequest(token=given, csr_pem=csr, site="plant", edge_node="e1")
    with pytest.raises(InvalidArgument):
        call("GatewayService.EnrolGateway", request, NOBODY)
    request.csr_pem = new_key().csr
    call("GatewayService.EnrolGateway", request, NOBODY)
