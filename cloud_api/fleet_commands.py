"""From the server to a gateway: Sparkplug commands, sent once and never kept."""

from __future__ import annotations

import asyncio
from datetime import datetime

import nats.errors
from nats.aio.client import Client as NatsClient

from edge_agent.v1 import sparkplug_b_pb2 as sparkplug
from erp_modules.fleet.ports import Order
from erp_modules.kernel.errors import Unavailable

COMMAND_ID = "Headrace/Command Id"
REQUESTED_BY = "Headrace/Requested By"
CONFIRMED_BY = "Headrace/Confirmed By"
SECONDS = 5.0


class CommandSender:
    """Sends through the broker's own protocol; the broker hands it to the MQTT subscriber.

    Sparkplug wants QoS 0 for commands [tck-id-topics-ncmd-mqtt, tck-id-topics-dcmd-mqtt]: what is
    published so is kept by no session, so a gateway that comes back is not told hours later.
    """

    def __init__(self, broker: NatsClient, loop: asyncio.AbstractEventLoop) -> None:
        self._broker, self._loop = broker, loop

    def send(self, order: Order, now: datetime) -> None:
        """Send it once, from a thread that is not the loop's.

        Raises:
            Unavailable: the broker is away.
        """
        sent = asyncio.run_coroutine_threadsafe(self._send(order, now), self._loop)
        try:
            sent.result(2 * SECONDS)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Unavailable("the broker is away") from error

    async def _send(self, order: Order, now: datetime) -> None:
        if not self._broker.is_connected:
            # The client would keep it and send it when the broker is back.
            raise nats.errors.ConnectionClosedError
        await self._broker.publish(subject_of(order), payload_of(order, now).SerializeToString())
        await self._broker.flush(timeout=SECONDS)  # type: ignore[arg-type]


def subject_of(order: Order) -> str:
    """Return the subject of the command's topic: `spBv1.0/{site}/NCMD/{edge_node}` or DCMD."""
    if order.device:
        return f"spBv1//0.{order.site}.DCMD.{order.edge_node}.{order.device}"
    return f"spBv1//0.{order.site}.NCMD.{order.edge_node}"


def payload_of(order: Order, now: datetime) -> sparkplug.Payload:
    """Return the command: its id, whose it is, and the one metric that is written."""
    sent_ms = round(now.timestamp() * 1000)
    payload = sparkplug.Payload(timestamp=sent_ms)
    for name, text in (
        (COMMAND_ID, order.command_id),
        (REQUESTED_BY, order.proposer),
        (CONFIRMED_BY, order.confirmer),
    ):
        payload.metrics.add(
            name=name,
            timestamp=sent_ms,
            datatype=sparkplug.DATA_TYPE_STRING,
            string_value=text,
        )
    metric = payload.metrics.add(name=order.metric, timestamp=sent_ms)
    if isinstance(order.value, bool):
        metric.datatype = sparkplug.DATA_TYPE_BOOLEAN
        metric.boolean_value = order.value
    elif isinstance(order.value, str):
        metric.datatype = sparkplug.DATA_TYPE_STRING
        metric.string_value = order.value
    else:
        metric.datatype = sparkplug.DATA_TYPE_DOUBLE
        metric.double_value = order.value
    return payload
