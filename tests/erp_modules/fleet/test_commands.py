"""Commands: two steps, limits, sending, answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from edge_agent.v1 import report_pb2
from erp_modules.fleet.errors import CommandIsSettled, GatewayIsRevoked, WriteNotAllowed
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import (
    Aborted,
    AlreadyExists,
    InvalidArgument,
    PermissionDenied,
    Unavailable,
)

Call = Callable[..., Any]
BOB = Principal("users/bob", roles=frozenset({Role.ENGINEER}))


@pytest.fixture(autouse=True)
def gateway(report: Call, call: Call) -> None:
    """A gateway, and one metric that may be written."""
    report("e1")
    limit = pb.WriteLimit(
        site="plant", device="P-101", metric="Speed", unit="1/min", minimum=0, maximum=1500
    )
    call("WriteLimitService.CreateWriteLimit", pb.CreateWriteLimitRequest(write_limit=limit))


def propose(call: Call, **changed: Any) -> pb.Command:
    request = pb.ProposeWriteRequest(
        **{
            "gateway": "gateways/plant~e1",
            "device": "P-101",
            "metric": "Speed",
            "value": pb.Value(number=1200),
            "reason": "less load",
            **changed,
        }
    )
    proposed: pb.Command = call("CommandService.ProposeWrite", request)
    return proposed


def confirm(call: Call, command: pb.Command, principal: Principal = BOB) -> pb.Command:
    request = pb.ConfirmWriteRequest(name=command.name, etag=command.etag)
    confirmed: pb.Command = call("CommandService.ConfirmWrite", request, principal)
    return confirmed


def get(call: Call, command: pb.Command) -> pb.Command:
    found: pb.Command = call("CommandService.GetCommand", pb.GetCommandRequest(name=command.name))
    return found


def outcome(command: pb.Command, **changed: Any) -> report_pb2.CommandOutcome:
    time = Timestamp()
    time.FromDatetime(datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC))
    return report_pb2.CommandOutcome(
        **{
            "command_id": command.name.removeprefix("commands/"),
            "site": "plant",
            "edge_node": "e1",
            "device": "P-101",
            "outcome": report_pb2.OUTCOME_DONE,
            "number": 1200.0,
            "outcome_time": time,
            **changed,
        }
    )


@pytest.mark.usefixtures("on_both")
def test_a_write_is_proposed_confirmed_sent_and_answered(
    call: Call, deliver: Call, sender: Any, answer: Call
) -> None:
    command = propose(call)
    deliver()
    assert (command.state, sender.sent) == (pb.COMMAND_STATE_PROPOSED, [])
    confirmed = confirm(call, command)
    assert (confirmed.proposer, confirmed.confirmer) == ("users/ada", "users/bob")
    deliver()
    deliver()
    (order,) = sender.sent
    assert (order.site, order.edge_node, order.device) == ("plant", "e1", "P-101")
    assert (order.metric, order.value) == ("Speed", 1200.0)
    assert f"commands/{order.command_id}" == command.name
    assert get(call, command).state == pb.COMMAND_STATE_SENT
    assert answer(outcome(command))
    settled = get(call, command)
    assert (settled.state, settled.outcome_value.number) == (pb.COMMAND_STATE_DONE, 1200.0)
    assert not answer(outcome(command, outcome=report_pb2.OUTCOME_FAILED))
    listed = call(
        "CommandService.ListCommands", pb.ListCommandsRequest(gateway="gateways/plant~e1")
    )
    assert [one.name for one in listed.commands] == [command.name]


@pytest.mark.parametrize(
    "changed",
    [
        {"value": pb.Value(number=1501)},
        {"value": pb.Value(number=-1)},
        {"value": pb.Value(boolean=True)},
        {"metric": "Valve"},
        {"device": "P-102"},
    ],
)
def test_what_no_limit_allows_is_not_proposed(call: Call, changed: dict[str, Any]) -> None:
    with pytest.raises(WriteNotAllowed):
        propose(call, **changed)


@pytest.mark.parametrize(
    "changed",
    [{"value": pb.Value()}, {"value": pb.Value(number=float("nan"))}, {"reason": ""}],
)
def test_a_write_needs_a_value_and_a_reason(call: Call, changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        propose(call, **changed)


def test_a_limit_taken_away_meanwhile_counts(call: Call) -> None:
    command = propose(call)
    limits = call("WriteLimitService.ListWriteLimits", pb.ListWriteLimitsRequest(device="P-101"))
    (limit,) = limits.write_limits
    with pytest.raises(AlreadyExists):
        call("WriteLimitService.CreateWriteLimit", pb.CreateWriteLimitRequest(write_limit=limit))
    call("WriteLimitService.DeleteWriteLimit", pb.DeleteWriteLimitRequest(name=limit.name))
    with pytest.raises(WriteNotAllowed):
        confirm(call, command)


def test_where_two_are_needed_two_must_be(call: Call) -> None:
    limit = pb.WriteLimit(site="plant", device="P-101", metric="Valve", second_person=True)
    call("WriteLimitService.CreateWriteLimit", pb.CreateWriteLimitRequest(write_limit=limit))
    command = propose(call, metric="Valve", value=pb.Value(boolean=True))
    ada = Principal("users/ada", roles=frozenset({Role.ADMIN}))
    with pytest.raises(PermissionDenied, match="another person"):
        confirm(call, command, ada)
    assert confirm(call, command).state == pb.COMMAND_STATE_CONFIRMED


def test_what_is_confirmed_is_what_was_shown(call: Call) -> None:
    command = propose(call)
    call("CommandService.CancelWrite", pb.CancelWriteRequest(name=command.name))
    with pytest.raises(Aborted):
        confirm(call, command)
    with pytest.raises(CommandIsSettled):
        confirm(call, get(call, command))


def test_a_proposal_ends_by_itself(call: Call, clock: ManualClock, run_job: Call) -> None:
    late, left = propose(call), propose(call)
    clock.advance(timedelta(minutes=6))
    assert confirm(call, late).state == pb.COMMAND_STATE_EXPIRED
    run_job("fleet.end_overdue_commands")
    assert get(call, left).state == pb.COMMAND_STATE_EXPIRED


def test_a_command_that_lay_while_the_broker_was_away_is_not_sent_late(
    call: Call, deliver: Call, sender: Any, clock: ManualClock
) -> None:
    command = confirm(call, propose(call))
    sender.away = True
    with pytest.raises(Unavailable):
        deliver()
    assert get(call, command).state == pb.COMMAND_STATE_CONFIRMED
    sender.away = False
    clock.advance(timedelta(minutes=1))
    deliver()
    assert (get(call, command).state, sender.sent) == (pb.COMMAND_STATE_EXPIRED, [])


def test_silence_is_told_as_such_and_a_late_answer_still_counts(
    call: Call, deliver: Call, clock: ManualClock, run_job: Call, answer: Call
) -> None:
    command = confirm(call, propose(call))
    deliver()
    clock.advance(timedelta(minutes=3))
    run_job("fleet.end_overdue_commands")
    assert get(call, command).state == pb.COMMAND_STATE_UNANSWERED
    refused = outcome(command, outcome=report_pb2.OUTCOME_REFUSED, reason="out of limits")
    assert answer(refused)
    assert get(call, command).outcome_reason == "out of limits"


def test_only_the_gateway_that_was_told_answers(call: Call, deliver: Call, answer: Call) -> None:
    command = confirm(call, propose(call))
    deliver()
    assert not answer(outcome(command, edge_node="e2"))
    assert not answer(outcome(command, command_id="cmd-unknown"))
    assert get(call, command).state == pb.COMMAND_STATE_SENT


@pytest.mark.parametrize(
    ("method", "request_", "metric", "value"),
    [
        ("RestartGateway", pb.RestartGatewayRequest, "Node Control/Restart", True),
        ("RebirthGateway", pb.RebirthGatewayRequest, "Node Control/Rebirth", True),
        (
            "CheckGatewayUpdates",
            pb.CheckGatewayUpdatesRequest,
            "Node Control/Check Updates",
            True,
        ),
    ],
)
def test_an_agent_is_told_at_once(
    call: Call, deliver: Call, sender: Any, method: str, request_: Any, metric: str, value: bool
) -> None:
    call(f"GatewayService.{method}", request_(name="gateways/plant~e1", reason="test"))
    deliver()
    (order,) = sender.sent
    assert (order.device, order.metric, order.value) == ("", metric, value)


def test_a_log_level_is_one_of_four(call: Call, deliver: Call, sender: Any) -> None:
    request = pb.SetGatewayLogLevelRequest(name="gateways/plant~e1", level="loud")
    with pytest.raises(InvalidArgument):
        call("GatewayService.SetGatewayLogLevel", request)
    request.level = "debug"
    call("GatewayService.SetGatewayLogLevel", request)
    deliver()
    assert [(one.metric, one.value) for one in sender.sent] == [("Node Control/Log Level", "debug")]


def test_a_revoked_gateway_is_told_nothing(call: Call, enrol: Call) -> None:
    enrol("e1")
    request = pb.RevokeGatewayRequest(name="gateways/plant~e1", reason="stolen")
    call("GatewayService.RevokeGateway", request)
    with pytest.raises(GatewayIsRevoked):
        propose(call)
