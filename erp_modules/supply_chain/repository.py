"""All SQL of the module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select

from erp_modules.kernel.columns import ExactDecimal
from erp_modules.kernel.errors import InvalidArgument, NotFound
from erp_modules.kernel.repository import Repository
from erp_modules.supply_chain import requisition_states
from erp_modules.supply_chain.errors import AmbiguousPartNumber
from erp_modules.supply_chain.models import (
    BinRow,
    CounterRow,
    PartRow,
    RequisitionRow,
    ReservationRow,
    SettledTicketRow,
    SpareRow,
    StockMovementRow,
    VendorRow,
)
from erp_modules.supply_chain.reservations import ACTIVE_STATES
from erp_modules.supply_chain.stock import ZERO, StockLevel

_NOTHING = literal(ZERO, ExactDecimal)


class PartRepository(Repository[PartRow]):
    """Parts by site and part number, and where each stands."""

    model = PartRow
    collection = "parts"
    order_fields: ClassVar = {
        "part_number": PartRow.part_number,
        "display_name": PartRow.display_name,
        "lead_time_days": PartRow.lead_time_days,
        "update_time": PartRow.update_time,
    }

    @staticmethod
    def key(site: str, part_number: str) -> str:
        """Return the id of the part `part_number` at `site`."""
        return f"{site}~{part_number}"

    def get_by_name(self, name: str, field: str = "name", etag: str = "") -> PartRow:
        """Return `parts/{part_number}`, or `parts/{site}~{part_number}` where two sites share it.

        Raises:
            InvalidArgument: `name` is no name of a part; the error names `field`.
            NotFound: none of the caller's sites has it.
            AmbiguousPartNumber: more than one has.
            Aborted: `etag` is out of date.
        """
        number = self.id_of(name, field)
        found = list(self.all(PartRow.part_number == number))
        if not found and (exact := self.find(number)):
            found = [exact]
        if not found:
            raise NotFound(f"{name} does not exist")
        if len(found) > 1:
            raise AmbiguousPartNumber(number, sorted(row.site for row in found))
        self.check_etag(found[0], etag)
        return found[0]

    def at_site(self, site: str, name: str, field: str) -> PartRow:
        """Return the part `name` of `site`.

        Raises:
            InvalidArgument: `name` is no name of a part of that site; the error names `field`.
        """
        number = self.id_of(name, field).removeprefix(f"{site}~")
        row = self.find(self.key(site, number))
        if row is None:
            raise InvalidArgument.field(field, f"{name} does not exist at {site}")
        return row

    def level(self, part: PartRow) -> StockLevel:
        """Return where the part stands."""
        return self.levels([part])[part.id]

    def levels(self, parts: Sequence[PartRow]) -> Mapping[str, StockLevel]:
        """Return where each part stands, by id."""
        ids = [part.id for part in parts]
        on_hand = dict(
            self.session.execute(
                select(StockMovementRow.part_id, func.sum(StockMovementRow.quantity))
                .where(StockMovementRow.part_id.in_(ids))
                .group_by(StockMovementRow.part_id)
            ).all()
        )
        claimed = {
            part: (wanted, reserved)
            for part, wanted, reserved in self.session.execute(
                select(
                    ReservationRow.part_id,
                    func.sum(ReservationRow.quantity),
                    func.sum(ReservationRow.reserved_quantity),
                )
                .where(ReservationRow.part_id.in_(ids), ReservationRow.state.in_(ACTIVE_STATES))
                .group_by(ReservationRow.part_id)
            )
        }
        on_order = dict(
            self.session.execute(
                select(RequisitionRow.part_id, func.sum(RequisitionRow.quantity))
                .where(
                    RequisitionRow.part_id.in_(ids),
                    RequisitionRow.state.in_(requisition_states.OPEN_STATES),
                )
                .group_by(RequisitionRow.part_id)
            ).all()
        )
        levels = {}
        for id in ids:
            wanted, reserved = claimed.get(id, (ZERO, ZERO))
            levels[id] = StockLevel(
                on_hand=on_hand.get(id, ZERO),
                reserved=reserved,
                short=wanted - reserved,
                on_order=on_order.get(id, ZERO),
            )
        return levels

    @classmethod
    def ids_named(cls, name: str, field: str) -> Select[str]:
        """Return a statement for the ids of the parts `name`, of every site of the caller."""
        number = cls.id_of(name, field)
        return select(PartRow.id).where(or_(PartRow.part_number == number, PartRow.id == number))

    @staticmethod
    def to_reorder() -> ColumnElement[bool]:
        """Return the condition for parts of which something is to be ordered (see `reorder`)."""
        stock = (
            select(func.coalesce(func.sum(StockMovementRow.quantity), _NOTHING))
            .where(_same_part(StockMovementRow))
            .scalar_subquery()
        )
        wanted = (
            select(func.coalesce(func.sum(ReservationRow.quantity), _NOTHING))
            .where(_same_part(ReservationRow), ReservationRow.state.in_(ACTIVE_STATES))
            .scalar_subquery()
        )
        on_order = (
            select(func.coalesce(func.sum(RequisitionRow.quantity), _NOTHING))
            .where(
                _same_part(RequisitionRow),
                RequisitionRow.state.in_(requisition_states.OPEN_STATES),
            )
            .scalar_subquery()
        )
        position = stock - wanted + on_order
        return or_(
            position < PartRow.reorder_point,
            and_(position == PartRow.reorder_point, PartRow.reorder_quantity > ZERO),
        )


def _same_part(
    row: type[StockMovementRow] | type[ReservationRow] | type[RequisitionRow],
) -> ColumnElement[bool]:
    return and_(row.organisation == PartRow.organisation, row.part_id == PartRow.id)


class SpareRepository(Repository[SpareRow]):
    """Bills of spares."""

    model = SpareRow
    collection = "spares"
    order_fields: ClassVar = {
        "equipment": SpareRow.equipment,
        "equipment_class": SpareRow.equipment_class,
        "failure_mode": SpareRow.failure_mode,
    }

    def needed(
        self, site: str, equipment: str, equipment_class: str, failure_mode: str
    ) -> Sequence[SpareRow]:
        """Return the lines for this mode of a machine, one a part.

        A line of the machine itself goes before one of its class for the same part.
        """
        lines = self.all(
            SpareRow.site == site,
            SpareRow.failure_mode == failure_mode,
            or_(
                SpareRow.equipment == equipment,
                and_(SpareRow.equipment == "", SpareRow.equipment_class == equipment_class),
            ),
            order_by=(SpareRow.part_id, SpareRow.id),
        )
        by_part = {line.part_id: line for line in lines if not line.equipment}
        by_part |= {line.part_id: line for line in lines if line.equipment}
        return [by_part[part] for part in sorted(by_part)]


class BinRepository(Repository[BinRow]):
    """Places in the store."""

    model = BinRow
    collection = "bins"
    order_fields: ClassVar = {"code": BinRow.code, "display_name": BinRow.display_name}

    @staticmethod
    def key(site: str, code: str) -> str:
        """Return the id of the bin `code` at `site`."""
        return f"{site}~{code}"


class StockMovementRepository(Repository[StockMovementRow]):
    """The stock ledger."""

    model = StockMovementRow
    collection = "stockMovements"

    def balances(self, part: PartRow) -> dict[str, Decimal]:
        """Return what lies in each bin, by the bin's id; empty bins are left out."""
        rows = self.session.execute(
            select(StockMovementRow.bin_id, func.sum(StockMovementRow.quantity))
            .where(StockMovementRow.part_id == part.id)
            .group_by(StockMovementRow.bin_id)
        )
        return {bin: quantity for bin, quantity in rows if quantity}


class ReservationRepository(Repository[ReservationRow]):
    """Reservations."""

    model = ReservationRow
    collection = "reservations"
    order_fields: ClassVar = {
        "ticket": ReservationRow.ticket,
        "state": ReservationRow.state,
        "update_time": ReservationRow.update_time,
    }

    def active_of_part(self, part_id: str) -> Sequence[ReservationRow]:
        """Return what holds the part or waits for it, oldest first."""
        return self.all(
            ReservationRow.part_id == part_id,
            ReservationRow.state.in_(ACTIVE_STATES),
            order_by=(ReservationRow.create_time, ReservationRow.id),
        )

    def active_of_ticket(self, ticket: str, part_id: str = "") -> Sequence[ReservationRow]:
        """Return what a ticket holds or waits for, of one part or of all, by id."""
        where = [ReservationRow.ticket == ticket, ReservationRow.state.in_(ACTIVE_STATES)]
        if part_id:
            where.append(ReservationRow.part_id == part_id)
        return self.all(*where)


class RequisitionRepository(Repository[RequisitionRow]):
    """Requisitions."""

    model = RequisitionRow
    collection = "requisitions"
    order_fields: ClassVar = {
        "number": RequisitionRow.number,
        "state": RequisitionRow.state,
        "need_by_time": RequisitionRow.need_by_time,
        "update_time": RequisitionRow.update_time,
    }

    def requested(self, part_id: str) -> RequisitionRow | None:
        """Return the requisition of the part that is not approved yet, or None."""
        return self.first(
            RequisitionRow.part_id == part_id,
            RequisitionRow.state == requisition_states.RequisitionState.REQUESTED,
        )

    def next_number(self, site: str) -> str:
        """Return the next readable number of `site`, such as `PR-000004`."""
        return f"PR-{self.count_up(CounterRow, site, 'requisition'):06d}"


class VendorRepository(Repository[VendorRow]):
    """Vendors."""

    model = VendorRow
    collection = "vendors"
    order_fields: ClassVar = {
        "display_name": VendorRow.display_name,
        "lead_time_days": VendorRow.lead_time_days,
    }


class SettledTickets:
    """Tickets that have ended."""

    def __init__(self, repository: ReservationRepository) -> None:
        self._session = repository.session

    def find(self, ticket: str) -> SettledTicketRow | None:
        """Return how `ticket` ended, or None."""
        return self._session.scalars(
            select(SettledTicketRow).where(SettledTicketRow.ticket == ticket)
        ).first()

    def add(self, ticket: str, site: str, *, consumed: bool) -> None:
        """Keep how `ticket` ended; the first word counts."""
        if self.find(ticket) is None:
            self._session.add(SettledTicketRow(ticket=ticket, site=site, consumed=consumed))
            self._session.flush()
