"""The life of a requisition: requested → approved → ordered → received, or cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from erp_modules.supply_chain.errors import RequisitionStepNotAllowed


class RequisitionState(StrEnum):
    """Where a requisition stands."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    ORDERED = "ORDERED"
    RECEIVED = "RECEIVED"
    CANCELLED = "CANCELLED"


class Step(StrEnum):
    """What someone does to a requisition; the custom verbs of its contract."""

    APPROVE = "approve"
    ORDER = "order"
    RECEIVE = "receive"
    CANCEL = "cancel"


_S = RequisitionState

# Counts as on order.
OPEN_STATES: tuple[RequisitionState, ...] = (_S.REQUESTED, _S.APPROVED, _S.ORDERED)

STEPS: Mapping[Step, tuple[frozenset[RequisitionState], RequisitionState]] = {
    Step.APPROVE: (frozenset({_S.REQUESTED}), _S.APPROVED),
    Step.ORDER: (frozenset({_S.APPROVED}), _S.ORDERED),
    Step.RECEIVE: (frozenset({_S.ORDERED}), _S.RECEIVED),
    Step.CANCEL: (frozenset(OPEN_STATES), _S.CANCELLED),
}


def next_state(state: RequisitionState, step: Step) -> RequisitionState:
    """Return the state that `step` leads to from `state`.

    Raises `RequisitionStepNotAllowed`, which names the steps that `state` does allow.

    >>> next_state(RequisitionState.REQUESTED, Step.APPROVE).value
    'APPROVED'
    """
    origins, target = STEPS[step]
    if state in origins:
        return target
    allowed = [f"{s} → {to}" for s, (states, to) in STEPS.items() if state in states]
    raise RequisitionStepNotAllowed(step.value, state.value, allowed)
