from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_modules.maintenance import (
    failure_modes,
    life_cycle,
    priority,
    procedures,
    sla,
)
from erp_modules.maintenance.errors import StepNotAllowed
from erp_modules.maintenance.failure_modes import FailureMode, same_work
from erp_modules.maintenance.life_cycle import (
    FINAL_STATES,
    OPEN_STATES,
    Step,
    TicketState,
    allowed_steps,
    next_state,
)
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.v1 import alert_pb2


@pytest.mark.parametrize("module", [life_cycle, priority, sla, failure_modes])
def test_examples_of_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0


def test_states_are_those_of_the_contract() -> None:
    ours = {f"TICKET_STATE_{state}" for state in TicketState}
    assert ours == set(pb.TicketState.keys()) - {"TICKET_STATE_UNSPECIFIED"}


def test_the_whole_way() -> None:
    state = TicketState.REQUESTED
    way = ["approve", "plan", "schedule", "start", "hold", "resume", "complete", "verify", "close"]
    seen = [state := next_state(state, Step(step)) for step in way]
    assert [s.value for s in seen] == [
        "APPROVED",
        "PLANNED",
        "SCHEDULED",
        "IN_PROGRESS",
        "ON_HOLD",
        "IN_PROGRESS",
        "COMPLETED",
        "VERIFIED",
        "CLOSED",
    ]


@pytest.mark.parametrize("state", [TicketState.APPROVED, TicketState.PLANNED])
def test_only_an_emergency_starts_unscheduled(state: TicketState) -> None:
    assert next_state(state, Step.START, emergency=True) is TicketState.IN_PROGRESS
    with pytest.raises(StepNotAllowed):
        next_state(state, Step.START)


def test_error_names_what_is_allowed() -> None:
    with pytest.raises(StepNotAllowed) as error:
        next_state(TicketState.REQUESTED, Step.CLOSE)
    assert error.value.allowed == (
        "approve → APPROVED",
        "reject → REJECTED",
        "cancel → CANCELLED",
    )
    assert "cannot close" in error.value.message
    assert "approve → APPROVED" in error.value.message


@given(st.lists(st.sampled_from(list(Step)), max_size=30), st.booleans())
def test_no_way_leads_out_of_an_end_or_back_to_requested(
    steps: list[Step], emergency: bool
) -> None:
    state = TicketState.REQUESTED
    for step in steps:
        before = state
        try:
            state = next_state(state, step, emergency=emergency)
        except StepNotAllowed:
            assert step not in allowed_steps(state, emergency=emergency)
            continue
        assert before not in FINAL_STATES
        assert state is not TicketState.REQUESTED
        assert allowed_steps(before, emergency=emergency)[step] is state


@given(st.sampled_from(list(TicketState)))
def test_cancelling_is_possible_before_completed_only(state: TicketState) -> None:
    assert (Step.CANCEL in allowed_steps(state)) is (state in OPEN_STATES)


def test_failure_modes_are_those_of_the_contract_and_have_steps() -> None:
    ours = {f"FAILURE_MODE_{mode}" for mode in FailureMode}
    assert ours == set(alert_pb2.FailureMode.keys()) - {"FAILURE_MODE_UNSPECIFIED"}
    for mode in FailureMode:
        procedure = procedures.PROCEDURES[mode]
        assert len(procedure.steps) >= 3, mode
        assert procedure.source, mode
        assert procedures.suggested_steps(mode) == procedure.steps


@given(st.sampled_from(list(FailureMode)), st.sampled_from(list(FailureMode)))
def test_same_work_is_symmetric_and_never_mixes_machine_and_instrument(
    one: FailureMode, other: FailureMode
) -> None:
    assert same_work(one, other) is same_work(other, one)
    if one.is_sensor_fault is not other.is_sensor_fault:
        assert not same_work(one, other)
