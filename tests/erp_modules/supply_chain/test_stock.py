from __future__ import annotations

import doctest
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_modules.supply_chain import reorder, requisition_states, reservations, stock
from erp_modules.supply_chain.errors import RequisitionStepNotAllowed
from erp_modules.supply_chain.reorder import estimated_cost, quantity_to_order
from erp_modules.supply_chain.requisition_states import RequisitionState, Step, next_state
from erp_modules.supply_chain.reservations import Claim, ReservationState, fill, shorten
from erp_modules.supply_chain.stock import MovementType, StockLevel, draw, on_hand, wrong_sign
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

amounts = st.decimals(0, 1000, places=3)
bins = st.dictionaries(st.sampled_from("abcdef"), amounts)


@pytest.mark.parametrize("module", [stock, reservations, reorder, requisition_states])
def test_examples_of_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0


def test_enumerations_are_those_of_the_contract() -> None:
    for ours, contract, prefix in (
        (MovementType, pb.MovementType, "MOVEMENT_TYPE_"),
        (ReservationState, pb.ReservationState, "RESERVATION_STATE_"),
        (RequisitionState, pb.RequisitionState, "REQUISITION_STATE_"),
    ):
        assert {prefix + member for member in ours} == set(contract.keys()) - {
            f"{prefix}UNSPECIFIED"
        }


@given(st.lists(st.decimals(-1000, 1000, places=6)))
def test_on_hand_is_the_exact_sum_in_any_order(movements: list[Decimal]) -> None:
    total = on_hand(movements)
    assert total == on_hand(list(reversed(movements)))
    assert total * 10**6 == sum(int(m * 10**6) for m in movements)


@given(bins, amounts, st.sampled_from("abcdefg"))
def test_draw_takes_just_that_much_and_no_bin_below_zero(
    balances: dict[str, Decimal], quantity: Decimal, first: str
) -> None:
    if sum(balances.values()) < quantity:
        with pytest.raises(ValueError, match="more than the bins hold"):
            draw(balances, quantity, first)
        return
    taken = draw(balances, quantity, first)
    assert sum(part for _, part in taken) == quantity
    assert all(0 < part <= balances[bin] for bin, part in taken)
    assert len({bin for bin, _ in taken}) == len(taken)
    if quantity > 0 and balances.get(first, 0) > 0:
        assert taken[0][0] == first


@pytest.mark.parametrize(
    ("type", "quantity", "fine"),
    [
        (MovementType.RECEIPT, 1, True),
        (MovementType.RECEIPT, -1, False),
        (MovementType.RETURN, -1, False),
        (MovementType.TRANSFER, -1, False),
        (MovementType.ISSUE, 1, False),
        (MovementType.ISSUE, -1, True),
        (MovementType.ADJUSTMENT, 1, True),
        (MovementType.ADJUSTMENT, -1, True),
        (MovementType.ADJUSTMENT, 0, False),
    ],
)
def test_signs(type: MovementType, quantity: int, fine: bool) -> None:
    assert (wrong_sign(type, Decimal(quantity)) == "") is fine


@st.composite
def claims(draw_: st.DrawFn) -> list[Claim]:
    pairs: Sequence[tuple[Decimal, Decimal]] = draw_(
        st.lists(st.tuples(st.decimals("0.001", 100, places=3), st.decimals(0, 1, places=2)))
    )
    return [
        Claim(str(n), quantity, (quantity * share).quantize(Decimal("0.001")))
        for n, (quantity, share) in enumerate(pairs)
    ]


@given(amounts, claims())
def test_fill_leaves_nothing_free_while_someone_waits(
    available: Decimal, waiting: list[Claim]
) -> None:
    filled = fill(available, waiting)
    after = [Claim(c.id, c.quantity, filled.get(c.id, c.reserved)) for c in waiting]
    given_away = sum((b.reserved - a.reserved for a, b in zip(waiting, after, strict=True)), 0)
    assert all(a.reserved <= b.reserved <= b.quantity for a, b in zip(waiting, after, strict=True))
    assert given_away <= available
    assert given_away == available or all(c.missing == 0 for c in after)
    # Oldest first: whoever still waits is followed only by claims that got nothing.
    waits = next((n for n, c in enumerate(after) if c.missing > 0), len(after))
    assert all(c.id not in filled for c in after[waits + 1 :])


@given(amounts, claims())
def test_shorten_fits_the_claims_into_what_there_is(there: Decimal, held: list[Claim]) -> None:
    shortened = shorten(there, held)
    after = [shortened.get(c.id, c.reserved) for c in held]
    before = sum((c.reserved for c in held), Decimal(0))
    assert all(0 <= quantity <= c.reserved for quantity, c in zip(after, held, strict=True))
    assert sum(after, Decimal(0)) == min(before, there)


levels = st.builds(StockLevel, on_hand=amounts, reserved=amounts, short=amounts, on_order=amounts)


@given(levels, amounts, amounts)
def test_reordering_brings_the_position_to_the_reorder_point(
    level: StockLevel, reorder_point: Decimal, reorder_quantity: Decimal
) -> None:
    quantity = quantity_to_order(level, reorder_point, reorder_quantity)
    if level.position > reorder_point:
        assert quantity == 0
    else:
        assert quantity >= reorder_quantity
        assert level.position + quantity >= reorder_point
        assert quantity >= level.short - level.on_order - level.available


def test_cost_is_rounded_half_up() -> None:
    assert estimated_cost(Decimal(1), Decimal("0.005")) == Decimal("0.01")
    assert estimated_cost(Decimal(8), Decimal("12.50")) == Decimal("100.00")


def test_life_of_a_requisition() -> None:
    state = RequisitionState.REQUESTED
    for step in (Step.APPROVE, Step.ORDER, Step.RECEIVE):
        state = next_state(state, step)
    assert state is RequisitionState.RECEIVED
    with pytest.raises(RequisitionStepNotAllowed, match="nothing leads on"):
        next_state(state, Step.CANCEL)
    with pytest.raises(RequisitionStepNotAllowed, match="approve → APPROVED, cancel → CANCELLED"):
        next_state(RequisitionState.REQUESTED, Step.RECEIVE)
