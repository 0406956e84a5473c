"""From the log to the fleet: reports and outcomes, acknowledged when they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from cloud_api.counters import FLEET_MESSAGES, FLEET_REJECTED
from cloud_api.streams import FLEET
from edge_agent.v1.report_pb2 import CommandOutcome, GatewayReport
from erp_modules.fleet import commands, reports
from erp_modules.kernel.application import Application
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import Aborted, InvalidArgument, ServiceError, Unavailable

DURABLE = "fleet"
BATCH_MESSAGES = 256
BATCH_SECONDS = 0.5
ACK_SECONDS = 15.0
RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Read:
    """A message with the subject it came on and when the broker had it."""

    sender: str
    message: GatewayReport | CommandOutcome
    time: datetime


class FleetConsumer:
    """Reads the stream FLEET once, over restarts."""

    def __init__(self, jetstream: JetStreamContext, application: Application) -> None:
        self._jetstream, self._application = jetstream, application
        # The broker is one organisation's.
        self._principal = application.system(application.organisations[0], "fleet")
        self.running = False

    async def run(self) -> None:
        """Consume until cancelled; a broker or a database that is away is waited for."""
        while True:
            try:
                await self._consume()
            except (nats.errors.Error, ServiceError, OSError) as error:
                self.running = False
                log.warning("fleet_consumer_waits", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _consume(self) -> None:
        subscription = await self._jetstream.pull_subscribe(
            "",
            durable=DURABLE,
            stream=FLEET,
            config=ConsumerConfig(
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=4 * BATCH_MESSAGES,
                filter_subjects=["headrace.report.>", "headrace.outcome.>"],
            ),
        )
        self.running = True
        try:
            while True:
                try:
                    messages = await subscription.fetch(BATCH_MESSAGES, timeout=BATCH_SECONDS)
                except TimeoutError:
                    continue
                rejected = await self._application.in_thread(self._keep, messages)
                for message in messages:
                    await message.ack()
                FLEET_REJECTED.inc(rejected)
                FLEET_MESSAGES.inc(len(messages) - rejected)
        finally:
            self.running = False
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    def _keep(self, messages: Sequence[Msg]) -> int:
        """Keep a batch in one transaction; return how many could not be read or kept."""
        read = [one for message in messages if (one := _read(message)) is not None]
        rejected = len(messages) - len(read)
        try:
            self._record(read)
        except (Unavailable, Aborted):
            raise
        except (ServiceError, ValueError):
            # One of them cannot be kept: the others shall not suffer for it.
            for one in read:
                try:
                    self._record([one])
                except (Unavailable, Aborted):
                    raise
                except (ServiceError, ValueError) as error:
                    rejected += 1
                    log.warning("fleet_message_rejected", sender=one.sender, reason=str(error))
        return rejected

    def _record(self, read: Sequence[_Read]) -> None:
        # Of a gateway that caught up, its newest report says all that counts.
        newest = {one.sender: one for one in read if isinstance(one.message, GatewayReport)}

        def work(ctx: Context) -> None:
            for one in read:
                if isinstance(one.message, CommandOutcome):
                    commands.record_outcome(ctx, one.message)
                elif newest[one.sender] is one:
                    reports.record(ctx, one.message, one.time)

        self._application.run(self._principal, work)


def _read(message: Msg) -> _Read | None:
    """Return a message that says the same as its subject about who sent it; None for any other."""
    _, kind, *who = message.subject.split(".")
    try:
        read = (GatewayReport if kind == "report" else CommandOutcome).FromString(message.data)
        # The broker lets a gateway publish on its own subjects only, so the subject is who it is.
        if who != [read.site, read.edge_node]:
            raise InvalidArgument("it names another gateway than its topic")
        if isinstance(read, GatewayReport):
            reports.check(read)
        else:
            commands.check_outcome(read)
    except (DecodeError, InvalidArgument) as error:
        log.warning("fleet_message_rejected", sender=message.subject, reason=str(error))
        return None
    return _Read(message.subject, read, message.metadata.timestamp)
