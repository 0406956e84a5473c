from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_modules.maintenance.alarm_states import OPEN_STATES, AlarmCondition, AlarmState
from erp_modules.maintenance.errors import AlarmStepNotAllowed
from erp_modules.maintenance.v1 import maintenance_pb2 as pb

END = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RAISED = AlarmCondition(active=True, acknowledged=False)
conditions = st.builds(AlarmCondition, active=st.booleans(), acknowledged=st.booleans())


def test_states_are_those_of_the_contract() -> None:
    ours = {f"ALARM_STATE_{state}" for state in AlarmState}
    assert ours == set(pb.AlarmState.keys()) - {"ALARM_STATE_UNSPECIFIED"}


def test_acknowledged_then_gone_is_normal() -> None:
    assert RAISED.state is AlarmState.UNACKNOWLEDGED
    assert RAISED.acknowledge().state is AlarmState.ACKNOWLEDGED
    assert RAISED.acknowledge().cleared().state is AlarmState.NORMAL


def test_gone_then_acknowledged_is_normal() -> None:
    assert RAISED.cleared().state is AlarmState.RETURNED_UNACKNOWLEDGED
    assert RAISED.cleared().acknowledge().state is AlarmState.NORMAL


def test_coming_back_asks_to_be_acknowledged_again() -> None:
    assert RAISED.acknowledge().cleared().raised().state is AlarmState.UNACKNOWLEDGED
    assert RAISED.acknowledge().raised().state is AlarmState.ACKNOWLEDGED


def test_what_happens_under_a_shelving_shows_after_it() -> None:
    shelved = RAISED.shelve("known", END)
    assert shelved.state is AlarmState.SHELVED
    assert shelved.cleared().unshelve().state is AlarmState.RETURNED_UNACKNOWLEDGED
    assert shelved.unshelve() == RAISED


def test_shelved_cannot_be_acknowledged() -> None:
    with pytest.raises(AlarmStepNotAllowed, match="SHELVED"):
        RAISED.shelve("known", END).acknowledge()


def test_normal_cannot_be_shelved() -> None:
    with pytest.raises(AlarmStepNotAllowed, match="NORMAL"):
        RAISED.cleared().acknowledge().shelve("why", END)


@given(conditions)
def test_out_of_service_and_back_changes_nothing(condition: AlarmCondition) -> None:
    removed = condition.remove_from_service()
    assert removed.state is AlarmState.OUT_OF_SERVICE
    assert removed.return_to_service() == condition


@given(conditions)
def test_open_is_whatever_is_not_normal(condition: AlarmCondition) -> None:
    assert (condition.state in OPEN_STATES) is (condition.state is not AlarmState.NORMAL)
