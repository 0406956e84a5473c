"""What can go wrong here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from erp_modules.kernel.errors import FailedPrecondition


class StockTooLow(FailedPrecondition):
    """More would be taken out than there is; stock is never negative."""

    def __init__(self, what: str, wanted: Decimal, there: Decimal, where: str) -> None:
        super().__init__(f"{what}: {wanted} wanted, {there} {where}; stock is never negative")


class ReservationIsSettled(FailedPrecondition):
    """A reservation that was consumed or released does not change any more."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(f"{name} is {state} and does not change any more")


class NothingReserved(FailedPrecondition):
    """A reservation that waits for all that it asks for has nothing to consume."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} holds nothing yet: wait for the part, or release it")


class RequisitionStepNotAllowed(FailedPrecondition):
    """A requisition in this state cannot take this step; the message says which it can take."""

    def __init__(self, step: str, state: str, allowed: Sequence[str]) -> None:
        way_on = f"allowed now: {', '.join(allowed)}" if allowed else "nothing leads on from there"
        super().__init__(f"a requisition that is {state} cannot {step}; {way_on}")


class AmbiguousPartNumber(FailedPrecondition):
    """More than one site of the caller has a part with this number."""

    def __init__(self, number: str, sites: Sequence[str]) -> None:
        names = " or ".join(f"parts/{site}~{number}" for site in sites)
        super().__init__(f"{number} is at the sites {', '.join(sites)}: ask for {names}")
