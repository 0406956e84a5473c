"""What can go wrong here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from erp_modules.kernel.errors import FailedPrecondition


class StepNotAllowed(FailedPrecondition):
    """A ticket in this state cannot take this step; the message says which steps it can take."""

    def __init__(self, step: str, state: str, allowed: Sequence[str]) -> None:
        way_on = f"allowed now: {', '.join(allowed)}" if allowed else "nothing leads on from there"
        super().__init__(f"a ticket that is {state} cannot {step}; {way_on}")
        self.allowed = tuple(allowed)


class AlarmStepNotAllowed(FailedPrecondition):
    """An alarm in this state cannot be dealt with in this way."""

    def __init__(self, verb: str, state: str, advice: str) -> None:
        super().__init__(f"an alarm that is {state} cannot be {verb}: {advice}")


class TicketIsFinal(FailedPrecondition):
    """A ticket that was closed, cancelled or rejected does not change any more."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(f"{name} is {state} and does not change any more: open a new one")


class AmbiguousTag(FailedPrecondition):
    """More than one site of the caller has equipment with this tag."""

    def __init__(self, tag: str, sites: Sequence[str]) -> None:
        names = " or ".join(f"equipment/{site}~{tag}" for site in sites)
        super().__init__(f"{tag} is at the sites {', '.join(sites)}: ask for {names}")
