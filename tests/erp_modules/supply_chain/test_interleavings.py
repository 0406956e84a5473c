"""Laws of the store that hold whatever happens, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import count, permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erp_modules.kernel.errors import FailedPrecondition
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from stream_processor.v1 import alert_pb2

Call = Callable[..., Any]
_numbers = count()
# One database serves all examples: each has a part and tickets of its own.
ONE_DATABASE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ACTIVE = (pb.RESERVATION_STATE_RESERVED, pb.RESERVATION_STATE_SHORT)


class Shelf:
    """One part of its own, needed by one machine of its own."""

    def __init__(self, call: Call, tell: Call, quantity: str = "1") -> None:
        self.id = next(_numbers)
        self.call, self.tell_ = call, tell
        self.part = f"parts/X-{self.id}"
        call(
            "PartService.CreatePart",
            pb.CreatePartRequest(
                part=pb.Part(
                    site="bottling",
                    part_number=f"X-{self.id}",
                    reorder_point="2",
                    reorder_quantity="3",
                    default_bin="bins/bottling~A1",
                )
            ),
        )
        spare = pb.Spare(
            site="bottling",
            equipment=f"E-{self.id}",
            failure_mode=alert_pb2.FAILURE_MODE_BEARING_OUTER_RACE,
            part=self.part,
            quantity=quantity,
        )
        call("SpareService.CreateSpare", pb.CreateSpareRequest(spare=spare))

    def ticket(self, n: int) -> str:
        return f"tickets/{self.id}-{n}"

    def tell(self, verb: str, ticket: int = 0, delivery: str = "") -> None:
        name = self.ticket(ticket)
        event_id = f"evt-{name}-{verb}-{delivery}"
        self.tell_(verb, name, event_id=event_id, equipment=f"E-{self.id}")

    def move(self, kind: str, quantity: str) -> None:
        movement = pb.StockMovement(
            site="bottling",
            part=self.part,
            type=pb.MovementType.Value(f"MOVEMENT_TYPE_{kind}"),
            quantity=quantity,
        )
        self.call(
            "StockMovementService.CreateStockMovement",
            pb.CreateStockMovementRequest(stock_movement=movement),
        )

    def level(self) -> pb.Part:
        found: pb.Part = self.call("PartService.GetPart", pb.GetPartRequest(name=self.part))
        return found

    def reservations(self) -> list[pb.Reservation]:
        request = pb.ListReservationsRequest(part=self.part, page_size=1000)
        return list(self.call("ReservationService.ListReservations", request).reservations)

    def requisitions(self) -> list[pb.Requisition]:
        request = pb.ListRequisitionsRequest(part=self.part, page_size=1000)
        return list(self.call("RequisitionService.ListRequisitions", request).requisitions)

    def buy(self, verb: str) -> None:
        """Take the oldest requisition that allows it one step on."""
        before = {
            "ApproveRequisition": pb.REQUISITION_STATE_REQUESTED,
            "OrderRequisition": pb.REQUISITION_STATE_APPROVED,
            "ReceiveRequisition": pb.REQUISITION_STATE_ORDERED,
        }[verb]
        for found in sorted(self.requisitions(), key=lambda r: r.number):
            if found.state == before:
                request = getattr(pb, f"{verb}Request")(name=found.name)
                if verb == "OrderRequisition":
                    request.order_number = "1"
                self.call(f"RequisitionService.{verb}", request)
                return

    def check(self) -> None:
        request = pb.ListStockMovementsRequest(part=self.part, page_size=1000)
        lines = self.call("StockMovementService.ListStockMovements", request).stock_movements
        level = self.level()
        on_hand = Decimal(level.on_hand_quantity)
        reserved = Decimal(level.reserved_quantity)
        assert sum((Decimal(line.quantity) for line in lines), Decimal(0)) == on_hand >= 0
        active = [r for r in self.reservations() if r.state in ACTIVE]
        assert sum((Decimal(r.reserved_quantity) for r in active), Decimal(0)) == reserved
        assert 0 <= reserved <= on_hand
        assert Decimal(level.available_quantity) == on_hand - reserved
        short = [r for r in active if r.state == pb.RESERVATION_STATE_SHORT]
        assert not (short and on_hand > reserved), "something lies free while a ticket waits"
        for r in active:
            waits = Decimal(r.reserved_quantity) < Decimal(r.quantity)
            assert waits is (r.state == pb.RESERVATION_STATE_SHORT)
        requested = [r for r in self.requisitions() if r.state == pb.REQUISITION_STATE_REQUESTED]
        assert len(requested) <= 1
        if short:
            missing = sum(
                (Decimal(r.quantity) - Decimal(r.reserved_quantity) for r in short), Decimal(0)
            )
            assert Decimal(level.on_order_quantity) >= missing, "what is short is on order"


tickets = st.integers(0, 5)
acts = st.one_of(
    st.tuples(st.just("tell"), st.sampled_from(["opened", "closed", "cancelled"]), tickets),
    st.tuples(st.just("move"), st.just("RECEIPT"), st.integers(1, 4).map(str)),
    st.tuples(st.just("move"), st.just("ISSUE"), st.integers(-3, -1).map(str)),
    st.tuples(st.just("move"), st.just("ADJUSTMENT"), st.integers(-3, -1).map(str)),
    st.tuples(
        st.just("buy"),
        st.sampled_from(["ApproveRequisition", "OrderRequisition", "ReceiveRequisition"]),
    ),
)


@given(st.lists(acts, min_size=3, max_size=14), st.sampled_from(["1", "2", "0.5"]))
@ONE_DATABASE
def test_the_books_balance_after_every_act(
    store: pb.Part, call: Call, tell: Call, script: list[tuple[Any, ...]], quantity: str
) -> None:
    shelf = Shelf(call, tell, quantity)
    shelf.move("RECEIPT", "3")
    refused = []
    for what, *arguments in script:
        try:
            getattr(shelf, what)(*arguments)
        except FailedPrecondition as error:
            refused.append((what, error.message))
        shelf.check()
    assert all(what == "move" and "never negative" in why for what, why in refused)


@pytest.mark.parametrize(
    ("end", "state", "on_hand"),
    [
        ("closed", pb.RESERVATION_STATE_CONSUMED, "2"),
        ("cancelled", pb.RESERVATION_STATE_RELEASED, "3"),
        ("rejected", pb.RESERVATION_STATE_RELEASED, "3"),
    ],
)
def test_a_ticket_ends_the_same_in_every_order_of_its_events(
    store: pb.Part, call: Call, tell: Call, end: str, state: int, on_hand: str
) -> None:
    for order in permutations(["opened", "updated", end]):
        shelf = Shelf(call, tell)
        shelf.move("RECEIPT", "3")
        for verb in order:
            shelf.tell(verb)
        (kept,) = shelf.reservations()
        assert kept.state == state, order
        assert shelf.level().on_hand_quantity == on_hand, order
        assert shelf.level().reserved_quantity == "0", order


@given(st.data())
@ONE_DATABASE
def test_any_interleaving_of_tickets_and_any_replay_end_the_same(
    store: pb.Part, call: Call, tell: Call, data: st.DataObject
) -> None:
    """With parts for all, the order of events and how often each comes make no difference."""
    events = [("opened", 0), ("closed", 0), ("opened", 1), ("cancelled", 1), ("opened", 2)]
    replays = data.draw(st.lists(st.sampled_from(events), max_size=4))
    shelf = Shelf(call, tell)
    shelf.move("RECEIPT", "9")
    for n, (verb, ticket) in enumerate(data.draw(st.permutations([*events, *replays]))):
        # A replay under its own id is dropped by the kernel, one under another must do no harm.
        shelf.tell(verb, ticket, delivery=data.draw(st.sampled_from(["", str(n)])))
    shelf.check()
    states = {r.ticket: r.state for r in shelf.reservations()}
    assert states == {
        shelf.ticket(0): pb.RESERVATION_STATE_CONSUMED,
        shelf.ticket(1): pb.RESERVATION_STATE_RELEASED,
        shelf.ticket(2): pb.RESERVATION_STATE_RESERVED,
    }
    level = shelf.level()
    assert (level.on_hand_quantity, level.reserved_quantity) == ("8", "1")
    assert shelf.requisitions() == []
