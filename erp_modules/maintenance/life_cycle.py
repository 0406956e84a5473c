"""The life of a work order: which step leads from which state to which.

requested → approved → planned → scheduled → in progress ⇄ on hold → completed → verified → closed,
with the ends cancelled and rejected. Modelled on the work order states of maintenance management
practice (EN 13306 gives the terms of the work, IEC 60300-3-14 the steps from request to close-out).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from erp_modules.maintenance.errors import StepNotAllowed


class TicketState(StrEnum):
    """Where a ticket stands."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    PLANNED = "PLANNED"
    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN_PROGRESS"
    ON_HOLD = "ON_HOLD"
    COMPLETED = "COMPLETED"
    VERIFIED = "VERIFIED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"


class Step(StrEnum):
    """What someone does to a ticket; the custom verbs of its contract."""

    APPROVE = "approve"
    REJECT = "reject"
    PLAN = "plan"
    SCHEDULE = "schedule"
    START = "start"
    HOLD = "hold"
    RESUME = "resume"
    COMPLETE = "complete"
    VERIFY = "verify"
    CLOSE = "close"
    CANCEL = "cancel"


_S = TicketState

# A finding about the same fault joins a ticket in one of these; afterwards it is new work.
OPEN_STATES: tuple[TicketState, ...] = (
    _S.REQUESTED,
    _S.APPROVED,
    _S.PLANNED,
    _S.SCHEDULED,
    _S.IN_PROGRESS,
    _S.ON_HOLD,
)

# Nothing leads out of these.
FINAL_STATES: tuple[TicketState, ...] = (_S.CLOSED, _S.CANCELLED, _S.REJECTED)

STEPS: Mapping[Step, tuple[frozenset[TicketState], TicketState]] = {
    Step.APPROVE: (frozenset({_S.REQUESTED}), _S.APPROVED),
    Step.REJECT: (frozenset({_S.REQUESTED}), _S.REJECTED),
    Step.PLAN: (frozenset({_S.APPROVED}), _S.PLANNED),
    # A scheduled ticket may be scheduled anew.
    Step.SCHEDULE: (frozenset({_S.PLANNED, _S.SCHEDULED}), _S.SCHEDULED),
    Step.START: (frozenset({_S.SCHEDULED}), _S.IN_PROGRESS),
    Step.HOLD: (frozenset({_S.IN_PROGRESS}), _S.ON_HOLD),
    Step.RESUME: (frozenset({_S.ON_HOLD}), _S.IN_PROGRESS),
    Step.COMPLETE: (frozenset({_S.IN_PROGRESS}), _S.COMPLETED),
    Step.VERIFY: (frozenset({_S.COMPLETED}), _S.VERIFIED),
    Step.CLOSE: (frozenset({_S.VERIFIED}), _S.CLOSED),
    Step.CANCEL: (frozenset(OPEN_STATES), _S.CANCELLED),
}

# An emergency need not wait for a plan or a date.
_EMERGENCY_STARTS = frozenset({_S.APPROVED, _S.PLANNED})


def next_state(state: TicketState, step: Step, *, emergency: bool = False) -> TicketState:
    """Return the state that `step` leads to from `state`.

    Raises `StepNotAllowed`, which names the steps that `state` does allow.

    >>> next_state(TicketState.SCHEDULED, Step.START).value
    'IN_PROGRESS'
    >>> next_state(TicketState.APPROVED, Step.START, emergency=True).value
    'IN_PROGRESS'
    """
    origins, target = STEPS[step]
    if state in origins or (emergency and step is Step.START and state in _EMERGENCY_STARTS):
        return target
    allowed = allowed_steps(state, emergency=emergency)
    raise StepNotAllowed(step.value, state.value, [f"{s} → {t}" for s, t in allowed.items()])


def allowed_steps(state: TicketState, *, emergency: bool = False) -> dict[Step, TicketState]:
    """Return every step that `state` allows with the state it leads to, in the order of life."""
    allowed = {step: target for step, (origins, target) in STEPS.items() if state in origins}
    if emergency and state in _EMERGENCY_STARTS:
        allowed[Step.START] = _S.IN_PROGRESS
    return allowed
