"""When to buy and how much: a continuous review with reorder point and reorder quantity.

The rule is the (s, Q) policy of inventory theory (Silver, Pyke and Thomas, *Inventory and
Production Management in Supply Chains*, 4th edition, chapter 6) on the inventory position.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from erp_modules.supply_chain.stock import ZERO, StockLevel

_CENT = Decimal("0.01")


def quantity_to_order(
    level: StockLevel, reorder_point: Decimal, reorder_quantity: Decimal
) -> Decimal:
    """Return how much to order now; zero above the reorder point.

    At or under it: the reorder quantity, and at least what brings the position back to the reorder
    point, which includes every shortfall of a reservation.

    >>> level = StockLevel(on_hand=Decimal(2), reserved=Decimal(1))
    >>> quantity_to_order(level, reorder_point=Decimal(1), reorder_quantity=Decimal(4))
    Decimal('4')
    """
    if level.position > reorder_point:
        return ZERO
    return max(reorder_quantity, reorder_point - level.position)


def estimated_cost(quantity: Decimal, unit_price: Decimal) -> Decimal:
    """Return the price of `quantity`, rounded half up to hundredths of the currency.

    >>> estimated_cost(Decimal("1.5"), Decimal("0.99"))
    Decimal('1.49')
    """
    return (quantity * unit_price).quantize(_CENT, ROUND_HALF_UP)
