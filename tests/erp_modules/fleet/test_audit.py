"""What was done to the fleet is on record: by whom, to what, and why; and who may do it at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from edge_agent.v1 import report_pb2
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import PUBLIC, Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import PermissionDenied, Unauthenticated

Call = Callable[..., Any]
Record = tuple[str, str, str, str]
NOBODY = Principal("anonymous")


@pytest.fixture
def audit(app: Application) -> Callable[[], list[Record]]:
    """Reads the audit trail: principal, action, resource, detail; oldest first."""

    def read() -> list[Record]:
        query = "SELECT principal, action, resource, detail FROM kernel_audit ORDER BY position"
        with app.database.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return read


def details(records: list[Record], action: str) -> list[tuple[str, str, str]]:
    return [(who, what, why) for who, done, what, why in records if done == action]


def test_who_was_let_in_renewed_and_put_out_is_on_record(
    enrol: Call, call: Call, audit: Callable[[], list[Record]], new_key: Any
) -> None:
    key, answer = enrol("e1")
    new = new_key()
    csr = new.csr
    request = pb.RenewGatewayRequest(
        certificate_pem=answer.certificate_pem, csr_pem=csr, signature=key.sign(csr)
    )
    call("GatewayService.RenewGateway", request, NOBODY)
    name = "gateways/plant~e1"
    call("GatewayService.RevokeGateway", pb.RevokeGatewayRequest(name=name, reason="stolen"))
    records = audit()

    ((who, what, by),) = details(records, "fleet.gateway.enrolled")
    (token,) = call(
        "EnrolmentTokenService.ListEnrolmentTokens", pb.ListEnrolmentTokensRequest(all=True)
    ).enrolment_tokens
    assert (who, what) == ("anonymous", name)
    assert f"by token {token.name.removeprefix('enrolmentTokens/')} of users/ada" in by
    ((_, what, by),) = details(records, "fleet.gateway.renewed")
    assert what == name
    first = by.removeprefix("by certificate ").split(",")[0]
    assert first in details(records, "fleet.gateway.enrolled")[0][2]
    assert details(records, "fleet.gateway.revoked") == [("users/ada", name, "stolen")]
    issued = "erp_modules.fleet.v1.EnrolmentTokenService.IssueEnrolmentToken"
    assert details(records, issued) == [("users/ada", token.name, "")]


def test_the_token_is_not_on_record(
    call: Call, token: Call, new_key: Any, audit: Callable[[], list[Record]]
) -> None:
    given = token("e1")
    request = pb.EnrolGatewayRequest(
        token=given, csr_pem=new_key().csr, site="plant", edge_node="e1"
    )
    call("GatewayService.EnrolGateway", request, NOBODY)
    with pytest.raises(Unauthenticated):
        call("GatewayService.EnrolGateway", request, NOBODY)
    assert given not in str(audit())


def test_what_the_health_rule_did_is_on_record_as_its_own(
    call: Call, publish: Call, report: Call, run_job: Call, clock: ManualClock,
    audit: Callable[[], list[Record]],
) -> None:  # fmt: skip
    publish("2.0")
    report("e1", fan="1.0")
    plan = pb.Rollout(site="plant", kind=pb.RELEASE_KIND_MODEL, subject="fan", version="2.0")
    name = call("RolloutService.CreateRollout", pb.CreateRolloutRequest(rollout=plan)).name
    call("RolloutService.StartRollout", pb.StartRolloutRequest(name=name))
    report("e1", report_pb2.ModelReport(
        equipment_class="fan", version="2.0", rollout=name, crashes=3,
        state=report_pb2.INSTALLATION_STATE_RUNNING,
    ))  # fmt: skip
    clock.advance(timedelta(seconds=10))
    run_job("fleet.evaluate_rollouts")

    records = audit()
    (release,) = details(records, "fleet.release.published")
    assert release[:2] == ("users/ada", "releases/model~fan~2.0")
    assert details(records, "fleet.rollout.started") == [("users/ada", name, "")]
    for action in ("fleet.rollout.halted", "fleet.rollout.reverted"):
        ((who, what, why),) = details(records, action)
        assert (who, what) == ("modules/fleet", name)
        assert "e1: crashed 3 times" in why


def test_what_became_of_a_command_is_on_record(
    call: Call, report: Call, deliver: Call, answer: Call, audit: Callable[[], list[Record]]
) -> None:
    report("e1")
    command = call(
        "GatewayService.RestartGateway", pb.RestartGatewayRequest(name="gateways/plant~e1")
    )
    deliver()
    answer(
        report_pb2.CommandOutcome(
            site="plant", edge_node="e1", command_id=command.name.removeprefix("commands/"),
            outcome=report_pb2.OUTCOME_REFUSED, reason="too old",
        )
    )  # fmt: skip
    assert details(audit(), "fleet.command.settled") == [
        ("modules/fleet", command.name, "refused: too old")
    ]


def test_only_a_gateway_that_proves_itself_calls_without_a_sign_in(app: Application) -> None:
    public = {
        method.descriptor.name: method.policy.rate
        for method in app.methods.values()
        if method.policy.scope == PUBLIC and method.full_name.startswith("erp_modules.fleet.")
    }
    assert public == {"EnrolGateway": 20, "RenewGateway": 50}


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (Role.OPERATOR, "ListGateways", "RevokeGateway"),
        (Role.TECHNICIAN, "RestartGateway", "ProposeWrite"),
        (Role.ENGINEER, "StartRollout", "PublishReleases"),
        (Role.ENGINEER, "ConfirmWrite", "CreateWriteLimit"),
        (Role.ENGINEER, "ListEnrolmentTokens", "IssueEnrolmentToken"),
        (Role.ADMIN, "PublishReleases", ""),
    ],
)
def test_a_role_reaches_as_far_as_its_work(
    app: Application, role: Role, may: str, may_not: str
) -> None:
    person = Principal("users/bob", roles=frozenset({role}))
    scopes = {m.descriptor.name: m.policy.scope for m in app.methods.values()}
    app.authorisation.require(person, scopes[may])
    if may_not:
        with pytest.raises(PermissionDenied):
            app.authorisation.require(person, scopes[may_not])
