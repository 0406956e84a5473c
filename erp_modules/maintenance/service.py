"""The door of equipment and alarms: one method per RPC; `ticket_service` is that of tickets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.identifiers import check_identifiers, check_lengths
from erp_modules.kernel.service import Service
from erp_modules.maintenance import advisories, alarms, shelving
from erp_modules.maintenance.mapping import alarm_message, equipment_message, ticket_message
from erp_modules.maintenance.models import AlarmRow, EquipmentRow
from erp_modules.maintenance.priority import Criticality
from erp_modules.maintenance.repository import AlarmRepository, EquipmentRepository
from erp_modules.maintenance.v1 import maintenance_pb2 as pb

_CONTRACTS = pb.DESCRIPTOR.services_by_name


class EquipmentService(Service):
    """The plant's equipment in its ISA-95 hierarchy."""

    contract = _CONTRACTS["EquipmentService"]

    def create_equipment(self, ctx: Context, request: pb.CreateEquipmentRequest) -> pb.Equipment:
        """Register a machine; site and tag identify it."""
        fields.require(request, "equipment.site", "equipment.tag", "equipment.equipment_class")
        given = request.equipment
        check_identifiers(given, "site", "tag", prefix="equipment.")
        check_lengths(given, prefix="equipment.", equipment_class=64, path=512)
        row = EquipmentRepository(ctx).add(
            EquipmentRow(
                id=EquipmentRepository.key(given.site, given.tag),
                site=given.site,
                tag=given.tag,
                display_name=given.display_name or given.tag,
                equipment_class=given.equipment_class,
                path=given.path,
                criticality=given.criticality or Criticality.MEDIUM,
                discovered=False,
                health=1.0,
            )
        )
        return _equipment(ctx, row)

    def get_equipment(self, ctx: Context, request: pb.GetEquipmentRequest) -> pb.Equipment:
        """Return a machine with what is open on it."""
        return _equipment(ctx, EquipmentRepository(ctx).get_by_name(request.name))

    def list_equipment(
        self, ctx: Context, request: pb.ListEquipmentRequest
    ) -> pb.ListEquipmentResponse:
        """Return machines of a site, or below a path."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(EquipmentRow.site == request.site)
        if request.path_prefix:
            where.append(EquipmentRow.path.startswith(request.path_prefix, autoescape=True))
        repository = EquipmentRepository(ctx)
        page = repository.page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        work = repository.open_work(page.items)
        return pb.ListEquipmentResponse(
            equipment=[equipment_message(row, work[row.id]) for row in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def update_equipment(self, ctx: Context, request: pb.UpdateEquipmentRequest) -> pb.Equipment:
        """Change what a person knows about a machine; a discovered one is registered by it."""
        given = request.equipment
        repository = EquipmentRepository(ctx)
        row = repository.get_by_name(given.name, "equipment.name", given.etag)
        check_lengths(given, prefix="equipment.", equipment_class=64, path=512)
        mutable = {"display_name", "equipment_class", "path", "criticality"}
        for field in fields.masked(given, request.update_mask, mutable, "equipment."):
            value: Any = getattr(given, field)
            if field in ("equipment_class", "criticality") and not value:
                raise InvalidArgument.field(f"equipment.{field}", "is required")
            setattr(row, field, value)
        row.discovered = False
        repository.flush()
        return _equipment(ctx, row)


def _equipment(ctx: Context, row: EquipmentRow) -> pb.Equipment:
    return equipment_message(row, EquipmentRepository(ctx).open_work([row])[row.id])


class AlarmService(Service):
    """Alarms in the states of ISA-18.2."""

    contract = _CONTRACTS["AlarmService"]

    def report_advisory(
        self, ctx: Context, request: pb.ReportAdvisoryRequest
    ) -> pb.ReportAdvisoryResponse:
        """Take a statement of the processor, once."""
        fields.require(request, "advisory")
        outcome = advisories.report(ctx, request.advisory)
        return pb.ReportAdvisoryResponse(
            alarm=alarm_message(outcome.alarm),
            ticket=None if outcome.ticket is None else ticket_message(outcome.ticket, ctx.now()),
            applied=outcome.applied,
        )

    def get_alarm(self, ctx: Context, request: pb.GetAlarmRequest) -> pb.Alarm:
        """Return an alarm."""
        return alarm_message(AlarmRepository(ctx).get_by_name(request.name))

    def list_alarms(self, ctx: Context, request: pb.ListAlarmsRequest) -> pb.ListAlarmsResponse:
        """Return alarms by site, equipment and state."""
        where: list[ColumnElement[bool]] = []
        if request.site:
            where.append(AlarmRow.site == request.site)
        if request.equipment:
            where.append(AlarmRow.equipment == request.equipment)
        if request.states:
            names = {pb.AlarmState.Name(s).removeprefix("ALARM_STATE_") for s in request.states}
            where.append(AlarmRow.state.in_(sorted(names)))
        page = AlarmRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListAlarmsResponse(
            alarms=map(alarm_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def acknowledge_alarm(self, ctx: Context, request: pb.AcknowledgeAlarmRequest) -> pb.Alarm:
        """Say that the caller has seen it."""
        return alarm_message(alarms.acknowledge(ctx, request.name, request.etag, request.comment))

    def shelve_alarm(self, ctx: Context, request: pb.ShelveAlarmRequest) -> pb.Alarm:
        """Silence it for a while; the reason and an end in the future are required."""
        fields.require(request, "reason", "expire_time")
        expire_time = fields.time_of(request.expire_time)
        if expire_time <= ctx.now():
            raise InvalidArgument.field("expire_time", "is not in the future")
        return alarm_message(
            alarms.shelve(ctx, request.name, request.etag, request.reason, expire_time)
        )

    def unshelve_alarm(self, ctx: Context, request: pb.UnshelveAlarmRequest) -> pb.Alarm:
        """End the shelving; an alarm that is not shelved stays as it is."""
        repository = AlarmRepository(ctx)
        alarm = repository.get_by_name(request.name)
        if alarms.condition_of(alarm).shelving is not None:
            repository.check_etag(alarm, request.etag)
            shelving.end(ctx, alarm, f"by {ctx.principal.id}")
        return alarm_message(alarm)
