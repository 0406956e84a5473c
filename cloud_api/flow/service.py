"""The running flow, for a caller."""

from __future__ import annotations

from cloud_api.flow.board import StatusBoard
from cloud_api.flow.mapping import flow_message, processor_messages
from cloud_api.v1 import flow_pb2 as pb
from erp_modules.kernel.context import Context
from erp_modules.kernel.service import Service


class FlowService(Service):
    """Reads the board; a process is of all sites, the devices it names are of the caller's."""

    contract = pb.DESCRIPTOR.services_by_name["FlowService"]

    def __init__(self, board: StatusBoard) -> None:
        self._board = board

    def list_processors(
        self, ctx: Context, request: pb.ListProcessorsRequest
    ) -> pb.ListProcessorsResponse:
        """List the processes heard of in the last minute."""
        return pb.ListProcessorsResponse(
            processors=processor_messages(self._board.heard(), ctx.sites)
        )

    def get_flow(self, ctx: Context, request: pb.GetFlowRequest) -> pb.Flow:
        """Get the flow as a whole."""
        return flow_message(self._board, ctx.sites)
