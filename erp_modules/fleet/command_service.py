"""Writing to devices: proposed, confirmed, sent, answered; and what may be written at all."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty

from erp_modules.fleet.commands import (
    check_within,
    confirm,
    new_command,
    require_state,
    settle,
    value_of,
)
from erp_modules.fleet.mapping import command_message, write_limit_message
from erp_modules.fleet.models import CommandRow, WriteLimitRow
from erp_modules.fleet.repository import (
    CommandRepository,
    GatewayRepository,
    WriteLimitRepository,
)
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import AlreadyExists, InvalidArgument, PermissionDenied
from erp_modules.kernel.identifiers import check_identifiers, check_lengths
from erp_modules.kernel.service import Service


class CommandService(Service):
    """Writing to devices in two steps, and what became of every command."""

    contract = pb.DESCRIPTOR.services_by_name["CommandService"]

    def propose_write(self, ctx: Context, request: pb.ProposeWriteRequest) -> pb.Command:
        """Check a write against its limits and keep it until somebody confirms it."""
        fields.require(request, "gateway", "device", "metric", "reason")
        check_identifiers(request, "device", prefix="")
        check_lengths(request, prefix="", metric=200, reason=1000)
        gateway = GatewayRepository(ctx).get_by_name(request.gateway, "gateway")
        value_of(request.value, "value")
        limit = WriteLimitRepository(ctx).of(gateway.site, request.device, request.metric)
        check_within(limit, request.device, request.metric, request.value)
        row = new_command(
            ctx, gateway, request.device, request.metric, request.value, request.reason
        )
        row.second_person = limit is not None and limit.second_person
        CommandRepository(ctx).flush()
        return command_message(row)

    def confirm_write(self, ctx: Context, request: pb.ConfirmWriteRequest) -> pb.Command:
        """Send what was proposed, if its limits still allow it."""
        fields.require(request, "name", "etag")
        row = CommandRepository(ctx).get_by_name(request.name, etag=request.etag)
        require_state(row, "PROPOSED")
        if row.expire_time <= ctx.now():
            settle(ctx, row, "EXPIRED", "nobody confirmed it in time")
            return command_message(row)
        limit = WriteLimitRepository(ctx).of(row.site, row.device, row.metric)
        check_within(limit, row.device, row.metric, row.value)
        if row.second_person and row.proposer == ctx.principal.id:
            raise PermissionDenied(f"{request.name}: another person than who proposed it confirms")
        confirm(ctx, row)
        return command_message(row)

    def cancel_write(self, ctx: Context, request: pb.CancelWriteRequest) -> pb.Command:
        """Withdraw what was not confirmed."""
        row = CommandRepository(ctx).get_by_name(request.name)
        if row.state != "CANCELLED":
            require_state(row, "PROPOSED")
            settle(ctx, row, "CANCELLED", f"withdrawn by {ctx.principal.id}")
        return command_message(row)

    def get_command(self, ctx: Context, request: pb.GetCommandRequest) -> pb.Command:
        """Return a command."""
        return command_message(CommandRepository(ctx).get_by_name(request.name))

    def list_commands(
        self, ctx: Context, request: pb.ListCommandsRequest
    ) -> pb.ListCommandsResponse:
        """Return commands, newest first."""
        where = []
        if request.site:
            where.append(CommandRow.site == request.site)
        if request.gateway:
            id = GatewayRepository.id_of(request.gateway, "gateway")
            where.append(CommandRow.gateway_id == id)
        page = CommandRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListCommandsResponse(
            commands=map(command_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )


class WriteLimitService(Service):
    """What may be written at all."""

    contract = pb.DESCRIPTOR.services_by_name["WriteLimitService"]

    def create_write_limit(
        self, ctx: Context, request: pb.CreateWriteLimitRequest
    ) -> pb.WriteLimit:
        """Allow writing to a metric of a device, numbers within limits."""
        fields.require(request, "write_limit.site", "write_limit.device", "write_limit.metric")
        given = request.write_limit
        check_identifiers(given, "site", "device", prefix="write_limit.")
        check_lengths(given, prefix="write_limit.", metric=200, unit=32)
        minimum = given.minimum if given.HasField("minimum") else None
        maximum = given.maximum if given.HasField("maximum") else None
        if minimum is not None and maximum is not None and not minimum <= maximum:
            raise InvalidArgument.field("write_limit.maximum", "is less than the minimum")
        repository = WriteLimitRepository(ctx)
        if repository.of(given.site, given.device, given.metric) is not None:
            raise AlreadyExists(f"{given.device}/{given.metric} has limits: delete them first")
        return write_limit_message(
            repository.add(
                WriteLimitRow(
                    id=ctx.new_id("wrl"),
                    site=given.site,
                    device=given.device,
                    metric=given.metric,
                    unit=given.unit,
                    minimum=minimum,
                    maximum=maximum,
                    second_person=given.second_person,
                )
            )
        )

    def list_write_limits(
        self, ctx: Context, request: pb.ListWriteLimitsRequest
    ) -> pb.ListWriteLimitsResponse:
        """Return what may be written."""
        where = []
        if request.site:
            where.append(WriteLimitRow.site == request.site)
        if request.device:
            where.append(WriteLimitRow.device == request.device)
        page = WriteLimitRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListWriteLimitsResponse(
            write_limits=map(write_limit_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def delete_write_limit(self, ctx: Context, request: pb.DeleteWriteLimitRequest) -> Empty:
        """Allow it no more; what was proposed meanwhile is refused when it is confirmed."""
        repository = WriteLimitRepository(ctx)
        repository.delete(repository.get_by_name(request.name))
        return Empty()
