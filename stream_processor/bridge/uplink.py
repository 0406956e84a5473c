"""From the plant to the log: nothing is confirmed to the plant before the log has it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
import structlog

from stream_processor.bridge.lease import SessionRecord, StoredSession
from stream_processor.bridge.log_writer import LogWriter
from stream_processor.bridge.metrics import Metrics
from stream_processor.bridge.plant_session import PlantSession
from stream_processor.bridge.settings import Settings
from stream_processor.bridge.topics import Misfit, bridge_topic, message_id, route, upward
from stream_processor.messages import SetAside
from stream_processor.tasks import first_of
from stream_processor.v1 import dead_letter_pb2 as dl

# Of payloads, above which reading waits whatever their number.
MAX_BYTES = 64 << 20
# Of a message: its headers, or what a dead letter adds to it.
OVERHEAD = 4096
DRAIN_TIMEOUT_S = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message of the plant and when it came, by the monotonic clock in seconds."""

    message: paho.MQTTMessage
    at: float


class Uplink:
    """One session with the plant's broker, and what of it the log has not confirmed."""

    def __init__(
        self,
        settings: Settings,
        writer: LogWriter,
        stored: StoredSession,
        listening: asyncio.Event,
        metrics: Metrics,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; `listening` is set once the broker keeps for us what it hears."""
        self._settings, self._writer, self._listening = settings, writer, listening
        self._stored, self._metrics = stored, metrics
        self._wall_clock = wall_clock
        self._topic = bridge_topic(settings.title)
        self._plant = PlantSession(settings, (self._topic, self._state(False)), self._take)
        self._filters = tuple(upward(settings.sites, settings.share))
        self._session = SessionRecord("", ())
        self._arrived: deque[Arrived] = deque()
        self._sent: deque[tuple[Arrived, asyncio.Future[Any] | None]] = deque()
        self._bytes = 0
        self._waits = self._draining = False
        self._news, self._written, self._empty = (asyncio.Event() for _ in range(3))

    async def run(self, stopping: asyncio.Event) -> None:
        """Bridge until `stopping`, then let the log confirm what is here and leave.

        Raises:
            SessionError: plant or log are gone.
        """
        plant, metrics = self._plant, self._metrics
        try:
            metrics.in_flight.set_function(lambda: len(self._arrived) + len(self._sent))
            metrics.lag.set_function(self._lag_s)
            present = await plant.connect()
            await self._know_session(present)
            plant.resume()
            plant.retain(self._topic, self._state(True))
            await first_of(plant.tick(), self._write(), self._confirm(), self._begin(stopping))
            await plant.close()
        finally:
            plant.abandon()
            here = [*(arrived for arrived, _ in self._sent), *self._arrived]
            metrics.abandoned.inc(sum(arrived.message.qos == 0 for arrived in here))
            self._sent.clear()
            self._arrived.clear()
            metrics.connected.labels("up").set(0)

    async def _know_session(self, present: bool) -> None:
        """Give the broker's session a name: packet identifiers mean something within it only."""
        known = await self._stored.read() if present else None
        if known is None:
            known = SessionRecord(f"{self._settings.title}-{secrets.token_hex(8)}", ())
            await self._stored.write(known)
        self._session = known
        log.info("session at the plant's broker", name=known.name, resumed=present)

    async def _begin(self, stopping: asyncio.Event) -> None:
        session = self._session
        if not set(session.filters) <= set(self._filters):
            await self._plant.unsubscribe([f for f in session.filters if f not in self._filters])
        if session.filters != self._filters:
            await self._stored.write(SessionRecord(session.name, self._filters))
        await self._plant.subscribe(self._filters)
        self._listening.set()
        self._metrics.sessions.inc()
        self._metrics.connected.labels("up").set(1)
        log.info("bridging", broker=f"{self._settings.host}:{self._settings.port}")
        await stopping.wait()
        self._draining = True
        self._plant.pause()
        await self._drain()
        self._plant.retain(self._topic, self._state(False))

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                while self._arrived or self._sent:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            # The plant's broker keeps them.
            log.warning("left unconfirmed", messages=len(self._arrived) + len(self._sent))

    def _take(self, message: paho.MQTTMessage) -> None:
        self._metrics.received.inc()
        self._arrived.append(Arrived(message, time.monotonic()))
        self._bytes += len(message.payload)
        self._news.set()
        # QoS 1 is bounded by what we told the broker; QoS 0 is by this alone.
        if self._is_full(1.0) and not self._waits:
            self._waits = True
            self._plant.pause()

    def _is_full(self, share: float) -> bool:
        number = len(self._arrived) + len(self._sent)
        return number > 2 * share * self._settings.in_flight or self._bytes > share * MAX_BYTES

    async def _write(self) -> None:
        while True:
            while self._arrived:
                arrived = self._arrived[0]
                sent = await self._send(arrived.message)
                self._sent.append((self._arrived.popleft(), sent))
                self._written.set()
            self._news.clear()
            await self._news.wait()

    async def _send(self, message: paho.MQTTMessage) -> asyncio.Future[Any] | None:
        """Send a message to where it belongs; None when that is nowhere."""
        if message.retain:
            self._metrics.retained.inc()
            return None
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = message._topic.decode(errors="replace")
            return await self._set_aside(
                message, topic, Misfit("the topic is no UTF-8", "", ""), ""
            )
        payload = bytes(message.payload)
        # Nobody sends QoS 0 again, and a node may well say the same twice.
        known_as = (
            message_id(self._session.name, message.mid, topic, payload) if message.qos else ""
        )
        place = route(topic)
        if isinstance(place, Misfit):
            return await self._set_aside(message, topic, place, known_as)
        if len(payload) > self._writer.max_payload - OVERHEAD:
            detail = f"{topic}: {len(payload)} bytes are more than the log takes"
            return await self._set_aside(
                message,
                topic,
                Misfit(detail, place.site, place.edge_node),
                known_as,
                dl.DEAD_LETTER_REASON_UNDECODABLE,
            )
        return await self._writer.publish(place.subject, payload, known_as)

    async def _set_aside(
        self,
        message: paho.MQTTMessage,
        topic: str,
        misfit: Misfit,
        known_as: str,
        reason: dl.DeadLetterReason.ValueType = dl.DEAD_LETTER_REASON_UNKNOWN_TOPIC,
    ) -> asyncio.Future[Any]:
        payload = bytes(message.payload)
        known_as = known_as or message_id(self._session.name, message.mid, topic, payload)
        letter = dl.DeadLetter(
            dead_letter_id=f"bridge-{known_as}",
            reason=reason,
            detail=misfit.detail,
            topic=topic,
            payload=payload[: self._writer.max_payload - 2 * OVERHEAD],
        )
        letter.receive_time.FromMilliseconds(int(self._wall_clock() * 1000))
        aside = SetAside(misfit.site, misfit.edge_node, letter)
        self._metrics.dead_letters.labels(aside.reason).inc()
        return await self._writer.set_aside(aside)

    async def _confirm(self) -> None:
        """Confirm to the plant what the log has, in the order in which it came."""
        while True:
            while self._sent:
                arrived, sent = self._sent[0]
                if sent is not None:
                    if await self._writer.confirmed(sent):
                        self._metrics.repeated.inc()
                    self._metrics.stored.inc()
                self._sent.popleft()
                self._bytes -= len(arrived.message.payload)
                if arrived.message.qos:
                    self._plant.acknowledge(arrived.message.mid)
                    self._metrics.acknowledged.inc()
                if self._waits and not self._draining and not self._is_full(0.5):
                    self._waits = False
                    self._plant.resume()
            self._empty.set()
            self._written.clear()
            await self._written.wait()

    def _lag_s(self) -> float:
        oldest = self._sent[0][0] if self._sent else self._arrived[0] if self._arrived else None
        return time.monotonic() - oldest.at if oldest else 0.0

    def _state(self, online: bool) -> bytes:
        said = {
            "online": online,
            "timestamp": int(self._wall_clock() * 1000),
            "instance": self._settings.instance,
        }
        return json.dumps(said).encode()
