"""Who gets what there is: reservations served oldest first, shortened newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class ReservationState(StrEnum):
    """Where a reservation stands."""

    RESERVED = "RESERVED"
    SHORT = "SHORT"
    CONSUMED = "CONSUMED"
    RELEASED = "RELEASED"


# Holds stock, or waits for some.
ACTIVE_STATES: tuple[ReservationState, ...] = (ReservationState.RESERVED, ReservationState.SHORT)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one reservation asks for, and what it has."""

    id: str
    quantity: Decimal
    reserved: Decimal

    @property
    def missing(self) -> Decimal:
        """What it still waits for."""
        return self.quantity - self.reserved


def state_of(quantity: Decimal, reserved: Decimal) -> ReservationState:
    """Return the state of an active reservation.

    >>> state_of(Decimal(2), Decimal(1)).value
    'SHORT'
    """
    return ReservationState.RESERVED if reserved >= quantity else ReservationState.SHORT


def fill(available: Decimal, claims: Sequence[Claim]) -> dict[str, Decimal]:
    """Return the new reserved quantity of each claim that gets some of `available`, oldest first.

    >>> fill(Decimal(3), [Claim("a", Decimal(2), Decimal(0)), Claim("b", Decimal(2), Decimal(0))])
    {'a': Decimal('2'), 'b': Decimal('1')}
    """
    filled: dict[str, Decimal] = {}
    for claim in claims:
        given = min(available, claim.missing)
        if given > 0:
            filled[claim.id] = claim.reserved + given
            available -= given
    return filled


def shorten(on_hand: Decimal, claims: Sequence[Claim]) -> dict[str, Decimal]:
    """Return the new reserved quantity of each claim that loses some, so that all fit `on_hand`.

    `claims` are oldest first; the newest loses first. This happens when a count finds less than the
    books said.

    >>> two = Decimal(2)
    >>> shorten(Decimal(3), [Claim("a", two, two), Claim("b", two, two)])
    {'b': Decimal('1')}
    """
    excess = sum((claim.reserved for claim in claims), Decimal(0)) - on_hand
    shortened: dict[str, Decimal] = {}
    for claim in reversed(claims):
        lost = min(excess, claim.reserved)
        if lost > 0:
            shortened[claim.id] = claim.reserved - lost
            excess -= lost
    return shortened
