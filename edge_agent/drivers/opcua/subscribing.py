"""Have the server say what changes, or ask it in turn when it will not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol

import structlog
from asyncua import ua

from edge_agent.cancellation import end
from edge_agent.drivers.opcua.library import (
    FAILURES,
    AttributeIds,
    StatusCodes,
    UaStatusCodeError,
    reason_of,
)
from edge_agent.drivers.opcua.nodes import Address
from edge_agent.drivers.opcua.options import Options
from edge_agent.drivers.opcua.session import Session, chunks, milliseconds

log = structlog.get_logger(__name__)

# A gap in the numbers of messages that is longer than this is not asked for: no server keeps it.
_MAX_REPUBLISHED: Final = 1000
_LAST_NUMBER: Final = 0xFFFFFFFF
_SILENT_AFTER_PERIODS: Final = 3
_BAD_FILTER: Final = frozenset(
    {
        StatusCodes.BadFilterNotAllowed,
        StatusCodes.BadMonitoredItemFilterUnsupported,
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadDeadbandFilterInvalid,
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """A node to be watched; `handle` is what its values are handed on by."""

    handle: int
    address: Address
    deadband: float = 0.0
    waveform: bool = False


Take = Callable[[int, ua.DataValue], None]


class Feed(Protocol):
    """Where values come from."""

    @property
    def outlives_breaks(self) -> bool:
        """True when the server keeps what changes while the connection is broken."""
        ...

    @property
    def failure(self) -> str | None:
        """Why no more will come, or None."""
        ...

    @property
    def is_complete(self) -> bool:
        """False while something of what the server has for us is on its way."""
        ...

    def resumed(self) -> None:
        """Go on after a break."""
        ...

    async def add(self, items: Mapping[int, ua.NodeId], given: Mapping[int, Item]) -> list[int]:
        """Watch nodes by handle; return the handles of those that the server refused."""
        ...

    async def close(self) -> None:
        """Stop."""
        ...


async def feed_of(
    session: Session, options: Options, take: Take, saw_time: Callable[[float], None]
) -> Feed:
    """Return a subscription, or polling when that is wanted or the server refuses the other."""
    if options.mode != "poll":
        subscription = Subscription(session, options, take, saw_time)
        try:
            await subscription.create()
        except UaStatusCodeError as error:
            if options.mode == "subscribe":
                raise
            log.warning(
                "server refuses subscriptions, reading in turn",
                endpoint=options.endpoint,
                reason=reason_of(error),
            )
        else:
            return subscription
    return Polling(session, options, take)


class Subscription:
    """A subscription of the server; messages that got lost on the way are asked for again."""

    outlives_breaks = True

    def __init__(
        self, session: Session, options: Options, take: Take, saw_time: Callable[[float], None]
    ) -> None:
        self._session, self._options = session, options
        self._take, self._saw_time = take, saw_time
        self._id = 0
        self._last: int | None = None
        self._heard = time.monotonic()
        self._silence_s = 0.0
        self._dead: str | None = None
        self._fetching: set[asyncio.Task[None]] = set()
        self._has_more = True

    async def create(self) -> None:
        """Create it on the server."""
        interval_ms = self._options.publishing_interval_ms
        parameters = ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = interval_ms
        keep_alive = max(1, ceil(self._options.keep_alive_s * 1000 / interval_ms))
        parameters.RequestedMaxKeepAliveCount = keep_alive
        # It must outlive a break as long as the session does; and three keep-alives at least.
        parameters.RequestedLifetimeCount = max(
            3 * keep_alive, ceil(self._options.session_timeout_s * 1000 / interval_ms)
        )
        parameters.MaxNotificationsPerPublish = 0
        result = await self._session.client.uaclient.session.create_subscription(
            parameters, self._took
        )
        self._id = result.SubscriptionId
        self._silence_s = (
            result.RevisedPublishingInterval / 1000 * result.RevisedMaxKeepAliveCount
        ) * _SILENT_AFTER_PERIODS + self._options.request_timeout_s
        self._heard = time.monotonic()

    @property
    def failure(self) -> str | None:
        """Why no more will come, or None."""
        if self._dead is None and time.monotonic() - self._heard > self._silence_s:
            return "the subscription is silent"
        return self._dead

    @property
    def is_complete(self) -> bool:
        """False while something of what the server has for us is on its way."""
        return not (self._fetching or self._has_more)

    def resumed(self) -> None:
        """Begin to listen anew after a break: something may wait, and silence was no failure."""
        self._heard = time.monotonic()
        self._has_more = True

    async def add(self, items: Mapping[int, ua.NodeId], given: Mapping[int, Item]) -> list[int]:
        """Watch nodes by handle; return the handles of those that the server refused."""
        refused: list[int] = []
        for some in chunks(list(items), self._session.limits.monitor):
            results = await self._create(some, items, given, filtered=True)
            plain = [h for h, status in results.items() if status.value in _BAD_FILTER]
            if plain:
                results |= await self._create(plain, items, given, filtered=False)
            for handle, status in results.items():
                if not status.is_good():
                    refused.append(handle)
                    log.warning("node refused", node=str(given[handle].address), reason=status.name)
        return refused

    async def close(self) -> None:
        """Stop; the session's end takes the subscription with it."""
        if self._fetching:
            await end(*self._fetching, again_s=2 * self._options.request_timeout_s)

    async def _create(
        self,
        handles: Sequence[int],
        items: Mapping[int, ua.NodeId],
        given: Mapping[int, Item],
        filtered: bool,
    ) -> dict[int, ua.StatusCode]:
        parameters = ua.CreateMonitoredItemsParameters()
        parameters.SubscriptionId = self._id
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        parameters.ItemsToCreate = [
            self._request(given[handle], items[handle], filtered) for handle in handles
        ]
        results = await self._session.client.uaclient.session.create_monitored_items(parameters)
        return {handle: result.StatusCode for handle, result in zip(handles, results, strict=True)}

    def _request(
        self, item: Item, node: ua.NodeId, filtered: bool
    ) -> ua.MonitoredItemCreateRequest:
        wanted = ua.MonitoringParameters()
        wanted.ClientHandle = item.handle
        wanted.SamplingInterval = self._options.sampling_interval_ms
        wanted.QueueSize = self._options.queue_size
        wanted.DiscardOldest = True
        if filtered and (item.deadband or item.waveform):
            change = ua.DataChangeFilter()
            change.Trigger = ua.DataChangeTrigger.StatusValue
            if item.waveform:
                # The same samples at another time are another waveform.
                change.Trigger = ua.DataChangeTrigger.StatusValueTimestamp
            if item.deadband:
                change.DeadbandType = ua.DeadbandType.Absolute
                change.DeadbandValue = item.deadband
            wanted.Filter = change
        request = ua.MonitoredItemCreateRequest()
        request.ItemToMonitor = ua.ReadValueId(node, AttributeIds.Value)
        request.MonitoringMode = ua.MonitoringMode.Reporting
        request.RequestedParameters = wanted
        return request

    def _took(self, result: ua.PublishResult) -> None:
        """Hear a message of the publish loop."""
        self._heard = time.monotonic()
        self._has_more = bool(result.MoreNotifications)
        message = result.NotificationMessage
        self._saw_time(milliseconds(message.PublishTime))
        number, has_data = int(message.SequenceNumber), bool(message.NotificationData)
        if self._last is not None:
            missing = self._missing(self._last, number)
            if missing:
                fetching = asyncio.create_task(self._fetch(missing))
                self._fetching.add(fetching)
                fetching.add_done_callback(self._fetching.discard)
        # A keep-alive has the number that the next message will have.
        self._last = number if has_data else _before(number)
        self._hand_on(message)

    @staticmethod
    def _missing(last: int, number: int) -> range:
        if number <= last:  # counted round, or told twice
            return range(0)
        if number - last - 1 > _MAX_REPUBLISHED:
            log.warning("messages lost", count=number - last - 1)
            return range(0)
        return range(last + 1, number)

    async def _fetch(self, numbers: range) -> None:
        """Ask for messages that were sent into a broken connection."""
        for number in numbers:
            try:
                message = await self._session.client.uaclient.session.republish(self._id, number)
            except FAILURES as error:
                log.warning("message lost", number=number, reason=reason_of(error))
                continue
            self._hand_on(message)

    def _hand_on(self, message: ua.NotificationMessage) -> None:
        for part in message.NotificationData or ():
            if isinstance(part, ua.DataChangeNotification):
                for item in part.MonitoredItems:
                    self._take(item.ClientHandle, item.Value)
            elif isinstance(part, ua.StatusChangeNotification) and not part.Status.is_good():
                self._dead = f"the server ended the subscription: {part.Status.name}"


def _before(number: int) -> int:
    return number - 1 if number > 1 else _LAST_NUMBER


class Polling:
    """Reads every node in turn."""

    outlives_breaks = False
    is_complete = True

    def __init__(self, session: Session, options: Options, take: Take) -> None:
        self._session, self._take = session, take
        self._period_s = (options.sampling_interval_ms or options.publishing_interval_ms) / 1000
        self._again_s = 2 * options.request_timeout_s
        self._items: dict[int, ua.NodeId] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def failure(self) -> str | None:
        """Why no more will come, or None."""
        return None

    def resumed(self) -> None:
        """Go on after a break."""

    async def add(self, items: Mapping[int, ua.NodeId], given: Mapping[int, Item]) -> list[int]:
        """Read nodes by handle from now on; return the handles of those that cannot be read."""
        values = await self._session.read(list(items.values()), AttributeIds.NodeClass)
        refused = [
            handle
            for handle, value in zip(items, values, strict=True)
            if value.StatusCode and not value.StatusCode.is_good()
        ]
        for handle in refused:
            log.warning("node refused", node=str(given[handle].address))
        self._items |= {h: node for h, node in items.items() if h not in refused}
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return refused

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            await end(self._task, again_s=self._again_s)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                items = dict(self._items)
                values = await self._session.read(list(items.values()), AttributeIds.Value)
            except FAILURES as error:
                # Whoever looks after the session finds out by itself.
                log.debug("reading failed", reason=reason_of(error))
            else:
                for handle, value in zip(items, values, strict=True):
                    self._take(handle, value)
            due = max(due + self._period_s, loop.time())
            await asyncio.sleep(due - loop.time())
