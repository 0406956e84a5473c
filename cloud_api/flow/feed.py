"""From what processes say to the board, and from the board to the pages that show it."""

from __future__ import annotations

import asyncio
from collections.abc import Set

import structlog
from google.protobuf.message import DecodeError
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cloud_api.flow.board import StatusBoard
from cloud_api.flow.mapping import check, flow_message
from cloud_api.live import LiveHub
from erp_modules.kernel.rest import to_json
from stream_processor.v1.status_pb2 import ProcessorStatus

SUBJECT = "headrace.processor.*"
SHOW_SECONDS = 1.0

log = structlog.get_logger(__name__)


class FlowFeed:
    """Listens to processors, and shows the flow once a second to whoever watches it."""

    def __init__(self, board: StatusBoard, hub: LiveHub) -> None:
        self._board = board
        self._hub = hub

    async def listen(self, broker: NatsClient) -> None:
        """Subscribe; the subscription outlives the broker's absences."""
        await broker.subscribe(SUBJECT, cb=self.on_status)

    async def on_status(self, message: Msg) -> None:
        """Keep what a processor says of itself."""
        try:
            status = ProcessorStatus.FromString(message.data)
            check(status)
        except (DecodeError, ValueError) as error:
            log.warning("status_not_readable", subject=message.subject, error=str(error))
            return
        if message.subject == SUBJECT.replace("*", status.id):
            self._board.take(status)

    async def run(self) -> None:
        """Show the flow until cancelled: that nobody speaks any more is news, too."""
        while True:
            self._hub.show_flow(self._text)
            await asyncio.sleep(SHOW_SECONDS)

    def _text(self, sites: Set[str] | None) -> str:
        return f'{{"type":"flow","flow":{to_json(flow_message(self._board, sites))}}}'
