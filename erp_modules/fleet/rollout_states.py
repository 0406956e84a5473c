"""Life of a rollout; pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from erp_modules.fleet.errors import RolloutStepNotAllowed


class RolloutState(StrEnum):
    """Where a rollout stands."""

    PLANNED = "PLANNED"
    ROLLING = "ROLLING"
    PAUSED = "PAUSED"
    HALTED = "HALTED"
    REVERTED = "REVERTED"
    COMPLETED = "COMPLETED"


_S = RolloutState
# Step → from which state it leads to which.
STEPS: Mapping[str, Mapping[RolloutState, RolloutState]] = MappingProxyType(
    {
        "start": {_S.PLANNED: _S.ROLLING},
        "advance": {_S.ROLLING: _S.ROLLING},
        "complete": {_S.ROLLING: _S.COMPLETED},
        "pause": {_S.ROLLING: _S.PAUSED},
        "halt": {_S.ROLLING: _S.HALTED},
        # Only a person resumes: what halted by itself does not go on by itself.
        "resume": {_S.PAUSED: _S.ROLLING, _S.HALTED: _S.ROLLING},
        "revert": {
            _S.ROLLING: _S.REVERTED,
            _S.PAUSED: _S.REVERTED,
            _S.HALTED: _S.REVERTED,
            _S.COMPLETED: _S.REVERTED,
        },
    }
)
# Those that gateways wait for, or that may still take more of them.
OPEN_STATES = (_S.PLANNED, _S.ROLLING, _S.PAUSED, _S.HALTED)
PAST = MappingProxyType(
    {
        "start": "started",
        "advance": "advanced",
        "complete": "completed",
        "pause": "paused",
        "halt": "halted",
        "resume": "resumed",
        "revert": "reverted",
    }
)


def after(step: str, state: RolloutState) -> RolloutState:
    """Return the state a step leads to.

    Raises:
        RolloutStepNotAllowed: it does not lead on from `state`.

    >>> after("pause", RolloutState.ROLLING).value
    'PAUSED'
    """
    following = STEPS[step].get(state)
    if following is None:
        allowed = [one for one, ways in STEPS.items() if state in ways]
        raise RolloutStepNotAllowed(step, state.lower(), allowed)
    return following
