"""The door of purchasing: one method per RPC of requisitions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from erp_modules.kernel.service import Service
from erp_modules.supply_chain import purchasing
from erp_modules.supply_chain.mapping import quantity_of, requisition_message
from erp_modules.supply_chain.models import PartRow, RequisitionRow
from erp_modules.supply_chain.repository import (
    PartRepository,
    RequisitionRepository,
    VendorRepository,
)
from erp_modules.supply_chain.requisition_states import RequisitionState, Step
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

_MUTABLE = frozenset({"vendor", "quantity", "reason", "need_by_time"})


class RequisitionService(Service):
    """Requests to buy."""

    contract = pb.DESCRIPTOR.services_by_name["RequisitionService"]

    def create_requisition(
        self, ctx: Context, request: pb.CreateRequisitionRequest
    ) -> pb.Requisition:
        """Ask for a part by hand; a part has one requisition that is not approved yet."""
        fields.require(request, "requisition.site", "requisition.part", "requisition.quantity")
        given = request.requisition
        ctx.require_site(given.site)
        part = PartRepository(ctx).at_site(given.site, given.part, "requisition.part")
        known = RequisitionRepository(ctx).requested(part.id)
        if known is not None:
            raise AlreadyExists(f"requisitions/{known.id} asks for {given.part}: enlarge it")
        row = purchasing.raise_requisition(
            ctx,
            ctx.new_id("prq"),
            part,
            quantity_of(given.quantity, "requisition.quantity"),
            reason=given.reason,
            reference=given.reference,
            vendor_id=_vendor(ctx, part, given.vendor),
            need_by_time=(
                fields.time_of(given.need_by_time) if given.HasField("need_by_time") else None
            ),
        )
        return requisition_message(row)

    def get_requisition(self, ctx: Context, request: pb.GetRequisitionRequest) -> pb.Requisition:
        """Return a requisition."""
        return requisition_message(RequisitionRepository(ctx).get_by_name(request.name))

    def list_requisitions(
        self, ctx: Context, request: pb.ListRequisitionsRequest
    ) -> pb.ListRequisitionsResponse:
        """Return requisitions by site, part and state."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(RequisitionRow.site == request.site)
        if request.part:
            parts = PartRepository.ids_named(request.part, "part")
            where.append(RequisitionRow.part_id.in_(parts))
        if request.states:
            names = {
                pb.RequisitionState.Name(s).removeprefix("REQUISITION_STATE_")
                for s in request.states
            }
            where.append(RequisitionRow.state.in_(sorted(names)))
        page = RequisitionRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListRequisitionsResponse(
            requisitions=map(requisition_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def update_requisition(
        self, ctx: Context, request: pb.UpdateRequisitionRequest
    ) -> pb.Requisition:
        """Change what is asked for, until it is approved."""
        given = request.requisition
        repository = RequisitionRepository(ctx)
        row = repository.get_by_name(given.name, "requisition.name", given.etag)
        if row.state != RequisitionState.REQUESTED:
            raise FailedPrecondition(
                f"{given.name} is {row.state}: what was approved stays as it is"
            )
        part = PartRepository(ctx).get(row.part_id)
        changes: dict[str, Any] = {}
        for field in fields.masked(given, request.update_mask, _MUTABLE, "requisition."):
            match field:
                case "vendor":
                    changes["vendor_id"] = _vendor(ctx, part, given.vendor)
                case "quantity":
                    changes["quantity"] = quantity_of(given.quantity, "requisition.quantity")
                case "reason":
                    changes["reason"] = given.reason
                case "need_by_time":
                    changes["need_by_time"] = (
                        fields.time_of(given.need_by_time)
                        if given.HasField("need_by_time")
                        else None
                    )
        purchasing.change(ctx, row, part, changes)
        return requisition_message(row)

    def approve_requisition(
        self, ctx: Context, request: pb.ApproveRequisitionRequest
    ) -> pb.Requisition:
        """Take it from requested to approved."""
        return requisition_message(
            purchasing.take_step(ctx, request.name, request.etag, Step.APPROVE)
        )

    def order_requisition(
        self, ctx: Context, request: pb.OrderRequisitionRequest
    ) -> pb.Requisition:
        """Take it from approved to ordered, with the vendor's order number."""
        fields.require(request, "order_number")
        return requisition_message(
            purchasing.take_step(
                ctx, request.name, request.etag, Step.ORDER, order_number=request.order_number
            )
        )

    def receive_requisition(
        self, ctx: Context, request: pb.ReceiveRequisitionRequest
    ) -> pb.Requisition:
        """Take it from ordered to received: one receipt, which fills reservations that wait."""
        return requisition_message(
            purchasing.take_step(
                ctx, request.name, request.etag, Step.RECEIVE, bin_name=request.bin
            )
        )

    def cancel_requisition(
        self, ctx: Context, request: pb.CancelRequisitionRequest
    ) -> pb.Requisition:
        """Take it to cancelled; the reason is kept in the audit trail."""
        row = purchasing.take_step(ctx, request.name, request.etag, Step.CANCEL)
        if request.reason:
            ctx.record("requisition.cancelled", request.name, site=row.site, detail=request.reason)
        return requisition_message(row)


def _vendor(ctx: Context, part: PartRow, name: str) -> str:
    """Return the id of the vendor `name` of the part's site; empty for none."""
    if not name:
        return ""
    repository = VendorRepository(ctx)
    row = repository.find(repository.id_of(name, "requisition.vendor"))
    if row is None or row.site != part.site:
        raise InvalidArgument.field("requisition.vendor", f"{name} does not exist at {part.site}")
    return row.id
