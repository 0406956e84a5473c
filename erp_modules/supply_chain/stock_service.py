"""The door of the store: one method per RPC of movements and reservations."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement

from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from erp_modules.kernel.identifiers import check_lengths
from erp_modules.kernel.service import Service
from erp_modules.supply_chain import demand, ledger, purchasing, stock
from erp_modules.supply_chain.mapping import (
    bounded_of,
    money_of,
    movement_message,
    movement_type_of,
    quantity_of,
    reservation_message,
)
from erp_modules.supply_chain.models import ReservationRow, StockMovementRow
from erp_modules.supply_chain.repository import (
    BinRepository,
    PartRepository,
    ReservationRepository,
    SettledTickets,
    StockMovementRepository,
)
from erp_modules.supply_chain.reservations import ReservationState
from erp_modules.supply_chain.stock import ZERO, MovementType
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

_TICKET = re.compile(r"tickets/[^/\s]{1,128}")


class StockMovementService(Service):
    """The stock ledger: append only."""

    contract = pb.DESCRIPTOR.services_by_name["StockMovementService"]

    def create_stock_movement(
        self, ctx: Context, request: pb.CreateStockMovementRequest
    ) -> pb.StockMovement:
        """Post a movement; what it brings fills reservations, what it takes may be reordered.

        A transfer is asked for with the bin and the quantity that arrive, and the bin it comes from
        as reference; it makes two lines, and the one that arrives is returned.
        """
        fields.require(
            request,
            "stock_movement.site",
            "stock_movement.part",
            "stock_movement.type",
            "stock_movement.quantity",
        )
        given = request.stock_movement
        ctx.require_site(given.site)
        part = PartRepository(ctx).at_site(given.site, given.part, "stock_movement.part")
        kind = movement_type_of(given.type, "stock_movement.type")
        quantity = bounded_of(given.quantity, "stock_movement.quantity")
        if wrong := stock.wrong_sign(kind, quantity):
            raise InvalidArgument.field("stock_movement.quantity", wrong)
        currency, cost = "", None
        if given.HasField("unit_cost"):
            currency, cost = money_of(given.unit_cost, "stock_movement.unit_cost")
        movement = ledger.Movement(
            kind,
            quantity,
            purchasing.bin_of(ctx, part, given.bin, "stock_movement.bin"),
            reference=given.reference,
            note=given.note,
            cost_currency=currency,
            unit_cost=cost,
        )
        id = ctx.new_id("mov")
        if kind is MovementType.TRANSFER:
            if not given.reference:
                raise InvalidArgument.field(
                    "stock_movement.reference", "names the bin a transfer comes from"
                )
            origin = purchasing.bin_of(ctx, part, given.reference, "stock_movement.reference")
            if origin == movement.bin_id:
                raise InvalidArgument.field("stock_movement.reference", "is the bin itself")
            return movement_message(ledger.transfer(ctx, id, part, origin, movement))
        post = ledger.issue if kind is MovementType.ISSUE else ledger.post
        row = post(ctx, id, part, movement)
        ledger.balance(ctx, part)
        if quantity < ZERO:
            purchasing.replenish(ctx, part, reference=f"stockMovements/{id}")
        return movement_message(row)

    def get_stock_movement(
        self, ctx: Context, request: pb.GetStockMovementRequest
    ) -> pb.StockMovement:
        """Return a line of the ledger."""
        return movement_message(StockMovementRepository(ctx).get_by_name(request.name))

    def list_stock_movements(
        self, ctx: Context, request: pb.ListStockMovementsRequest
    ) -> pb.ListStockMovementsResponse:
        """Return lines of the ledger by site, part and bin."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(StockMovementRow.site == request.site)
        if request.part:
            parts = PartRepository.ids_named(request.part, "part")
            where.append(StockMovementRow.part_id.in_(parts))
        if request.bin:
            where.append(StockMovementRow.bin_id == BinRepository.id_of(request.bin, "bin"))
        page = StockMovementRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListStockMovementsResponse(
            stock_movements=map(movement_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )


class ReservationService(Service):
    """Parts kept for tickets."""

    contract = pb.DESCRIPTOR.services_by_name["ReservationService"]

    def create_reservation(
        self, ctx: Context, request: pb.CreateReservationRequest
    ) -> pb.Reservation:
        """Keep a part for a ticket; a ticket has one active reservation a part."""
        fields.require(
            request,
            "reservation.site",
            "reservation.ticket",
            "reservation.part",
            "reservation.quantity",
        )
        given = request.reservation
        check_lengths(given, prefix="reservation.", equipment=64)
        ctx.require_site(given.site)
        if not _TICKET.fullmatch(given.ticket):
            raise InvalidArgument.field(
                "reservation.ticket", f"{given.ticket!r} is not tickets/{{id}}"
            )
        part = PartRepository(ctx).at_site(given.site, given.part, "reservation.part")
        quantity = quantity_of(given.quantity, "reservation.quantity")
        repository = ReservationRepository(ctx)
        if SettledTickets(repository).find(given.ticket) is not None:
            raise FailedPrecondition(f"{given.ticket} has ended: it needs no parts")
        for known in repository.active_of_ticket(given.ticket, part.id):
            raise AlreadyExists(f"reservations/{known.id} keeps {given.part} for {given.ticket}")
        id = demand.reservation_id(given.ticket, part.id)
        if repository.find(id) is not None:
            id = ctx.new_id("rsv")
        row = ledger.reserve(
            ctx, id, part, quantity, ticket=given.ticket, equipment=given.equipment
        )
        purchasing.replenish(ctx, part, reference=f"reservations/{row.id}")
        return reservation_message(row)

    def get_reservation(self, ctx: Context, request: pb.GetReservationRequest) -> pb.Reservation:
        """Return a reservation."""
        return reservation_message(ReservationRepository(ctx).get_by_name(request.name))

    def list_reservations(
        self, ctx: Context, request: pb.ListReservationsRequest
    ) -> pb.ListReservationsResponse:
        """Return reservations by site, ticket, part and state."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(ReservationRow.site == request.site)
        if request.ticket:
            where.append(ReservationRow.ticket == request.ticket)
        if request.part:
            parts = PartRepository.ids_named(request.part, "part")
            where.append(ReservationRow.part_id.in_(parts))
        if request.states:
            names = {
                pb.ReservationState.Name(s).removeprefix("RESERVATION_STATE_")
                for s in request.states
            }
            where.append(ReservationRow.state.in_(sorted(names)))
        page = ReservationRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListReservationsResponse(
            reservations=map(reservation_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def release_reservation(
        self, ctx: Context, request: pb.ReleaseReservationRequest
    ) -> pb.Reservation:
        """Give the quantity back; a second time changes nothing."""
        repository = ReservationRepository(ctx)
        row = repository.get_by_name(request.name)
        if row.state != ReservationState.RELEASED:
            repository.check_etag(row, request.etag)
        return reservation_message(ledger.release(ctx, row))

    def consume_reservation(
        self, ctx: Context, request: pb.ConsumeReservationRequest
    ) -> pb.Reservation:
        """Take it out of stock; a second time changes nothing."""
        repository = ReservationRepository(ctx)
        row = repository.get_by_name(request.name)
        if row.state != ReservationState.CONSUMED:
            repository.check_etag(row, request.etag)
        return reservation_message(ledger.consume(ctx, row))
