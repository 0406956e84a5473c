"""`WS /v1/live`: values, alarms, tickets and the running flow as they happen."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from starlette.websockets import WebSocket, WebSocketDisconnect

from cloud_api import points
from cloud_api.counters import LIVE_CLIENTS, LIVE_LAGGING
from cloud_api.sign_in.origin import check_origin
from erp_modules.kernel.authorisation import Authenticator, Authorisation, Principal
from erp_modules.kernel.errors import ServiceError
from erp_modules.kernel.events import Event
from erp_modules.kernel.rest import problem
from stream_processor.v1.points_pb2 import Points

QUEUE_MESSAGES = 256
# How often it is asked whether the caller is still signed in.
CHECK_SECONDS = 30.0
POLICY_VIOLATION = 1008
POINTS_SCOPE = "historian.point.read"
FLOW_SCOPE = "stream.processor.read"

log = structlog.get_logger(__name__)


class SubscriptionError(ValueError):
    """What the client sent is no subscription; names the field."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a client wants; None is everything. `equipment` narrows points, not events.

    The flow comes only to who asks for it.
    """

    site: str | None = None
    equipment: frozenset[str] | None = None
    flow: bool = False

    @classmethod
    def parse(cls, text: str) -> Subscription:
        """Return what the client asks for.

        Raises:
            SubscriptionError: it is not of the form of docs/contracts.md.
        """
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SubscriptionError("not JSON") from error
        wanted = body.get("subscribe") if isinstance(body, dict) else None
        if not isinstance(wanted, dict):
            raise SubscriptionError('subscribe: is missing, send {"subscribe": {}}')
        unknown = set(wanted) - {"site", "equipment", "flow"}
        if unknown:
            raise SubscriptionError(f"subscribe.{min(unknown)}: no such field")
        site, equipment = wanted.get("site"), wanted.get("equipment")
        if site is not None and not isinstance(site, str):
            raise SubscriptionError("subscribe.site: is not a string")
        if equipment is not None and not (
            isinstance(equipment, list) and all(isinstance(tag, str) for tag in equipment)
        ):
            raise SubscriptionError("subscribe.equipment: is not a list of tags")
        flow = wanted.get("flow", False)
        if not isinstance(flow, bool):
            raise SubscriptionError("subscribe.flow: is not true or false")
        return cls(site or None, None if equipment is None else frozenset(equipment), flow)


class LiveClient:
    """One browser: what it wants, what it may see, and what waits to be sent to it."""

    def __init__(self, principal: Principal, authorisation: Authorisation) -> None:
        self.principal = principal
        self.subscription: Subscription | None = None
        self.waiting = asyncio.Event()
        self._authorisation = authorisation
        self._queue: deque[tuple[bool, str]] = deque()
        self._lagging = False

    def wants_points(self, site: str, equipment: str) -> bool:
        """Say whether points of a piece of equipment are for this client."""
        wanted = self.subscription
        return (
            wanted is not None
            and self._sees(wanted, site)
            and (wanted.equipment is None or equipment in wanted.equipment)
            and self._authorisation.allows(self.principal, POINTS_SCOPE)
        )

    def wants_event(self, event: Event) -> bool:
        """Say whether an event is for this client: who may read the thing hears of it."""
        wanted = self.subscription
        return (
            wanted is not None
            and event.organisation == self.principal.organisation
            and self._sees(wanted, event.site)
            and self._authorisation.allows(self.principal, f"{event.type.rsplit('.', 1)[0]}.read")
        )

    def wants_flow(self) -> bool:
        """Say whether the running flow is for this client."""
        wanted = self.subscription
        return (
            wanted is not None
            and wanted.flow
            and self._authorisation.allows(self.principal, FLOW_SCOPE)
        )

    def _sees(self, wanted: Subscription, site: str) -> bool:
        sites = self.principal.sites
        return (not site or wanted.site in (None, site)) and (
            sites is None or not site or site in sites
        )

    def offer(self, text: str, *, is_event: bool) -> None:
        """Put a message in the queue; when that is full, points are skipped before events."""
        if len(self._queue) >= QUEUE_MESSAGES:
            if not self._lagging:
                LIVE_LAGGING.inc()
            self._lagging = True
            events = [item for item in self._queue if item[0]]
            self._queue = deque(events[-QUEUE_MESSAGES // 2 :])
        self._queue.append((is_event, text))
        self.waiting.set()

    def take(self) -> list[str]:
        """Return what waits, after word of what was skipped."""
        self.waiting.clear()
        texts = [text for _, text in self._queue]
        self._queue.clear()
        if self._lagging:
            self._lagging = False
            texts.insert(0, '{"type":"lagging"}')
        return texts


class LiveHub:
    """Hands what the broker brings to the clients that want it.

    It listens to the subjects themselves: what it gets has waited for nobody, and what it misses
    while the broker is away is in the historian and the modules.
    """

    def __init__(
        self, authenticator: Authenticator, authorisation: Authorisation, version: str
    ) -> None:
        self._authenticator = authenticator
        self._authorisation = authorisation
        self._version = version
        self._clients: set[LiveClient] = set()

    async def listen(self, broker: NatsClient) -> None:
        """Subscribe; the subscriptions outlive the broker's absences."""
        await broker.subscribe("points.>", cb=self.on_points)
        await broker.subscribe("events.>", cb=self.on_event)

    async def on_points(self, message: Msg) -> None:
        """Send points to who wants them; nobody wanting them costs next to nothing."""
        if not self._clients:
            return
        # What cannot be read is set aside by the historian's consumer, which says so.
        with suppress(points.PointsError):
            for part in points.unpack(message.subject, message.data):
                self._send_points(part)

    def _send_points(self, part: Points) -> None:
        wanting = [c for c in self._clients if c.wants_points(part.site, part.equipment)]
        if not wanting:
            return
        try:
            points.check(part)
        except points.PointsError:
            return
        text = _json(points.live_message(part))
        for client in wanting:
            client.offer(text, is_event=False)

    async def on_event(self, message: Msg) -> None:
        """Send an event to who may read the thing it is about."""
        if not self._clients:
            return
        try:
            event = Event.from_json(message.data)
        except ValueError as error:
            log.warning("event_not_readable", subject=message.subject, error=str(error))
            return
        body = {"type": "event", "event": str(event.type), "time": event.time.isoformat()}
        text = _json({**body, "data": dict(event.data)})
        for client in self._clients:
            if client.wants_event(event):
                client.offer(text, is_event=True)

    def show_flow(self, text_for: Callable[[Set[str] | None], str]) -> None:
        """Send the flow to who wants it, as those of the same sites may see it."""
        texts: dict[frozenset[str] | None, str] = {}
        for client in self._clients:
            if client.wants_flow():
                sites = client.principal.sites
                if sites not in texts:
                    texts[sites] = text_for(sites)
                client.offer(texts[sites], is_event=False)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one client until it leaves or is signed out."""
        headers = dict(websocket.headers)
        try:
            check_origin(headers)
            principal = await self._authenticator.authenticate(headers)
        except ServiceError as error:
            await websocket.send_denial_response(problem(error))
            return
        await websocket.accept()
        client = LiveClient(principal, self._authorisation)
        self._clients.add(client)
        LIVE_CLIENTS.inc()
        try:
            hello = {"type": "hello", "serverTime": datetime.now(UTC).isoformat()}
            await websocket.send_text(_json({**hello, "version": self._version}))
            await self._exchange(websocket, client, headers)
        except WebSocketDisconnect:
            pass
        except ServiceError:
            await _close(websocket, "signed out")
        except SubscriptionError as error:
            await _close(websocket, str(error))
        finally:
            self._clients.discard(client)
            LIVE_CLIENTS.dec()

    async def _exchange(
        self, websocket: WebSocket, client: LiveClient, headers: Mapping[str, str]
    ) -> None:
        """Read, send and check until one of the three ends, and raise what ended it."""
        tasks = [
            asyncio.create_task(_read(websocket, client)),
            asyncio.create_task(_send(websocket, client)),
            asyncio.create_task(self._check(headers)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _check(self, headers: Mapping[str, str]) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self._authenticator.authenticate(headers)


async def _read(websocket: WebSocket, client: LiveClient) -> None:
    while True:
        client.subscription = Subscription.parse(await websocket.receive_text())


async def _send(websocket: WebSocket, client: LiveClient) -> None:
    while True:
        await client.waiting.wait()
        for text in client.take():
            await websocket.send_text(text)


async def _close(websocket: WebSocket, reason: str) -> None:
    # A close frame has room for 123 bytes.
    await websocket.close(POLICY_VIOLATION, reason.encode()[:120].decode(errors="ignore"))


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
