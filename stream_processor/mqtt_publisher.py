"""Speak to the edge nodes over MQTT from a thread of its own: commands and acknowledgements."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

import aiomqtt
import structlog

from stream_processor.settings import Settings

RETRY_S = 0.5
# Commands while the broker is away; acquisition asks again for what it still misses.
MAX_COMMANDS = 1000
MAX_RETAINED = 10_000

log = structlog.get_logger(__name__)


class MqttPublisher:
    """Publish retained messages, of each topic the last ones in order, and commands."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._commands: deque[tuple[str, bytes]] = deque(maxlen=MAX_COMMANDS)
        self._retained: deque[tuple[str, bytes]] = deque()
        self._last: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="mqtt-publisher", daemon=True)
        self._thread.start()

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish a retained message; kept and published again after the broker was away."""
        with self._lock:
            if len(self._retained) >= MAX_RETAINED:
                self._retained.popleft()
            self._retained.append((topic, payload))
            self._last[topic] = payload
        self._loop.call_soon_threadsafe(self._wake.set)

    def command(self, topic: str, payload: bytes) -> None:
        """Publish a message once."""
        with self._lock:
            self._commands.append((topic, payload))
        self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self, timeout: float = 3.0) -> None:
        """Send what waits, for at most `timeout` seconds, and end the thread."""
        self._stopping = True
        self._loop.call_soon_threadsafe(self._wake.set)
        self._thread.join(timeout)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._publish_for_ever())

    async def _publish_for_ever(self) -> None:
        while not (self._stopping and not self._retained):
            try:
                async with aiomqtt.Client(
                    self._settings.mqtt_host,
                    self._settings.mqtt_port,
                    username=self._settings.broker_user or None,
                    password=self._settings.broker_password or None,
                    timeout=5.0,
                ) as client:
                    await self._publish(client)
                    return
            except (aiomqtt.MqttError, OSError) as error:
                log.warning("connection to the MQTT broker", why=str(error))
                if self._stopping:
                    return
                with self._lock:
                    # Whether the broker stored what it had not confirmed is not known.
                    waiting = {topic for topic, _ in self._retained}
                    again = [(t, p) for t, p in self._last.items() if t not in waiting]
                    self._retained.extendleft(again)
                await asyncio.sleep(RETRY_S)

    async def _publish(self, client: aiomqtt.Client) -> None:
        while True:
            while self._retained or self._commands:
                retain = bool(self._retained)
                queue = self._retained if retain else self._commands
                topic, payload = queue[0]
                await client.publish(topic, payload, qos=1, retain=retain)
                with self._lock:
                    if queue and queue[0] == (topic, payload):
                        queue.popleft()
            if self._stopping:
                return
            await self._wake.wait()
            self._wake.clear()
