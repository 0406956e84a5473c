"""Events from the stream to the modules' handlers: in order, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from erp_modules.kernel.application import Application
from erp_modules.kernel.delivery import deliver, set_aside
from erp_modules.kernel.errors import ServiceError, Unavailable
from erp_modules.kernel.events import Event
from erp_modules.kernel.handlers import Handler
from erp_modules.kernel.outbox import STREAM

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = (0.1, 0.5, 2.0, 5.0, 15.0)
# An acknowledgement that is lost with the broker stops a module for this long, no longer.
_ACK_SECONDS = 5.0
_PROGRESS_SECONDS = 1.5
_FETCH_SECONDS = 5.0


class EventConsumers:
    """A durable consumer for each module that handles events.

    One event is under way at a time in a module, over all replicas, so that a ticket is not closed
    before it was opened. One that fails is tried again after each of `backoff` (seconds) and then
    set aside, so that it stops the others for no longer than that.
    """

    def __init__(
        self,
        app: Application,
        jetstream: JetStreamContext,
        backoff: Sequence[float] = BACKOFF_SECONDS,
    ) -> None:
        self._app = app
        self._jetstream = jetstream
        self._backoff = tuple(backoff)

    async def run(self) -> None:
        """Consume until cancelled."""
        modules: dict[str, list[Handler]] = {}
        for handler in self._app.handlers:
            modules.setdefault(handler.module, []).append(handler)
        async with asyncio.TaskGroup() as group:
            for module, handlers in modules.items():
                group.create_task(self._consume(module, handlers))

    async def _consume(self, module: str, handlers: list[Handler]) -> None:
        failures = 0
        while True:
            try:
                subscription = await self._subscribe(module, handlers)
                while True:
                    try:
                        messages = await subscription.fetch(1, timeout=_FETCH_SECONDS)
                    except nats.errors.TimeoutError:
                        messages = []
                    failures = 0
                    for message in messages:
                        await self._take(message, handlers)
            except (nats.errors.Error, ServiceError, OSError) as error:
                wait = self._backoff[min(failures, len(self._backoff) - 1)]
                failures += 1
                log.warning("events_wait", module=module, seconds=wait, reason=repr(error))
                await asyncio.sleep(wait)

    async def _subscribe(
        self, module: str, handlers: list[Handler]
    ) -> JetStreamContext.PullSubscription:
        durable = f"erp-{module}"
        await self._jetstream.add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name=durable,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=_ACK_SECONDS,
                max_ack_pending=1,
                filter_subjects=sorted({f"events.*.{handler.event}" for handler in handlers}),
            ),
        )
        return await self._jetstream.pull_subscribe_bind(durable=durable, stream=STREAM)

    async def _take(self, message: Msg, handlers: list[Handler]) -> None:
        try:
            event = Event.from_json(message.data)
        except ValueError as error:
            log.error("event_refused", subject=message.subject, reason=str(error))
            await message.term()
            return
        progress = asyncio.create_task(_keep(message))
        try:
            for handler in handlers:
                if handler.event == event.type:
                    await self._deliver(handler, event)
        finally:
            progress.cancel()
        # Not waited for: a lost acknowledgement is a second delivery, which does nothing.
        await message.ack()

    async def _deliver(self, handler: Handler, event: Event) -> None:
        failures = 0
        while True:
            try:
                await self._app.in_thread(deliver, self._app, handler, event)
                return
            except Unavailable as error:  # not the event's fault: wait for the database
                wait = self._backoff[-1]
                log.warning("handler_waits", handler=handler.name, reason=str(error))
            except Exception as error:
                failures += 1
                log.error(
                    "handler_failed",
                    handler=handler.name,
                    event_id=event.id,
                    trace_id=event.trace_id,
                    attempt=failures,
                    exc_info=error,
                )
                if failures > len(self._backoff):
                    await self._app.in_thread(
                        set_aside, self._app, handler, event, failures, repr(error)
                    )
                    return
                wait = self._backoff[failures - 1]
            await asyncio.sleep(wait)


async def _keep(message: Msg) -> None:
    """Tell the broker that a message is worked on, so that nobody else is given it."""
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        try:
            await message.in_progress()
        except nats.errors.Error as error:
            log.warning("progress_not_told", subject=message.subject, reason=repr(error))
