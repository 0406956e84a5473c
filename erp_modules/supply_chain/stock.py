"""The arithmetic of stock.

The ledger is a list of signed movements; what lies in a bin, and on hand altogether, is their sum
and is never negative. Quantities are decimals in the part's unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class MovementType(StrEnum):
    """What moved stock."""

    RECEIPT = "RECEIPT"
    ISSUE = "ISSUE"
    ADJUSTMENT = "ADJUSTMENT"
    RETURN = "RETURN"
    TRANSFER = "TRANSFER"


@dataclass(frozen=True, slots=True)
class StockLevel:
    """Where a part stands.

    `reserved` is kept for tickets and lies on hand; `short` is what tickets ask for beyond that;
    `on_order` is requested, approved or ordered and not yet received.
    """

    on_hand: Decimal = ZERO
    reserved: Decimal = ZERO
    short: Decimal = ZERO
    on_order: Decimal = ZERO

    @property
    def available(self) -> Decimal:
        """What nobody has reserved."""
        return self.on_hand - self.reserved

    @property
    def position(self) -> Decimal:
        """Inventory position: what will be free once every order has come and every need is met."""
        return self.available - self.short + self.on_order


def on_hand(movements: Iterable[Decimal]) -> Decimal:
    """Return the sum of signed quantities.

    >>> on_hand([Decimal("4"), Decimal("-1.5")])
    Decimal('2.5')
    """
    return sum(movements, ZERO)


def wrong_sign(type: MovementType, quantity: Decimal) -> str:
    """Return what is wrong with the sign of a movement a caller asks for; empty when nothing is.

    A transfer is asked for with the quantity that arrives.

    >>> wrong_sign(MovementType.ISSUE, Decimal(2))
    'an issue takes out: write it negative'
    """
    if quantity == 0:
        return "is zero: nothing would move"
    if type is MovementType.ADJUSTMENT:
        return ""
    if type is MovementType.ISSUE:
        return "an issue takes out: write it negative" if quantity > 0 else ""
    return f"a {type.value.lower()} brings in: write it positive" if quantity < 0 else ""


def draw(
    balances: Mapping[str, Decimal], quantity: Decimal, first: str = ""
) -> list[tuple[str, Decimal]]:
    """Return from which bins `quantity` is taken, and how much (positive) from each.

    The bin `first` comes first, then one that has enough, else the fullest ones: few movements.

    Raises:
        ValueError: the bins do not hold so much.

    >>> draw({"a": Decimal(1), "b": Decimal(5)}, Decimal(2))
    [('b', Decimal('2'))]
    """
    if sum(balances.values(), ZERO) < quantity:
        raise ValueError(f"{quantity} is more than the bins hold")
    order = sorted(balances, key=lambda bin: (bin != first, -balances[bin], bin))
    taken: list[tuple[str, Decimal]] = []
    for bin in order:
        part = min(balances[bin], quantity)
        if part > 0:
            taken.append((bin, part))
            quantity -= part
    return taken
