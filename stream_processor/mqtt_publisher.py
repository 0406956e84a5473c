"""Speak to the edge nodes over MQTT from a thread of its own: commands and acknowledgements.

The connection is that of a Sparkplug host application: its will, and the first message after every
connect, are the STATE messages by which edge nodes know whether the host is there.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections import deque
from typing import Any

import aiomqtt
import structlog

from stream_processor.settings import Settings
from stream_processor.tasks import first_of

RETRY_S = 0.5
FAREWELL_TIMEOUT_S = 2.0
# Commands while the broker is away; acquisition asks again for what it still misses.
MAX_COMMANDS = 1000
MAX_RETAINED = 10_000

log = structlog.get_logger(__name__)


def state(online: bool, timestamp_ms: int) -> bytes:
    """Return a STATE message (Sparkplug 3.0, 6.4.29)."""
    return json.dumps({"online": online, "timestamp": timestamp_ms}).encode()


def is_offline(payload: bytes | bytearray | str | float | None) -> bool:
    """Return whether a STATE message says that its host is away."""
    try:
        said = json.loads(payload if isinstance(payload, bytes) else b"")
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("online") is False


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS session's files as they are now, None for a broker without TLS.

    Raises:
        OSError: one cannot be read, or is no certificate or key.
    """
    if settings.mqtt_authority is None:
        return None
    context = ssl.create_default_context(cafile=str(settings.mqtt_authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.mqtt_certificate is not None:
        context.load_cert_chain(str(settings.mqtt_certificate))
    return context


class MqttPublisher:
    """Publish retained messages, of each topic the last ones in order, and commands."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # One host application, however many processes.
        is_host = settings.process == 0 and bool(settings.host_id)
        self._state_topic = f"spBv1.0/STATE/{settings.host_id}" if is_host else ""
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
        """Publish a command, once and with QoS 0, as Sparkplug has it."""
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
            connected_ms = time.time_ns() // 1_000_000
            will = (
                aiomqtt.Will(self._state_topic, state(False, connected_ms), qos=1, retain=True)
                if self._state_topic
                else None
            )
            try:
                tls = tls_context(self._settings)
                known = self._settings.mqtt_certificate is not None
                async with aiomqtt.Client(
                    self._settings.mqtt_host,
                    self._settings.mqtt_port,
                    # A certificate says who we are, in place of user and password.
                    username=None if known else self._settings.broker_user or None,
                    password=None if known else self._settings.broker_password or None,
                    tls_context=tls,
                    will=will,
                    clean_session=True,
                    timeout=5.0,
                ) as client:
                    await self._session(client, connected_ms)
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

    async def _session(self, client: aiomqtt.Client, connected_ms: int) -> None:
        birth = state(True, connected_ms)
        if self._state_topic:
            granted: Any = await client.subscribe(self._state_topic, qos=1)
            # MQTT 3.1.1, 3.9.3: a server of a cluster without a majority refuses.
            if any(int(getattr(code, "value", code)) >= 0x80 for code in granted):
                raise aiomqtt.MqttError(f"{self._state_topic}: the broker refused to subscribe")
            await client.publish(self._state_topic, birth, qos=1, retain=True)
        # The second is the one who notices that the broker is gone.
        await first_of(self._publish(client), self._stay_online(client, birth))
        if self._state_topic:
            death = state(False, time.time_ns() // 1_000_000)
            await client.publish(
                self._state_topic, death, qos=1, retain=True, timeout=FAREWELL_TIMEOUT_S
            )

    async def _stay_online(self, client: aiomqtt.Client, birth: bytes) -> None:
        """Contradict whoever says that this host is away, such as the will of its last session."""
        async for message in client.messages:
            if is_offline(message.payload):
                await client.publish(self._state_topic, birth, qos=1, retain=True)

    async def _publish(self, client: aiomqtt.Client) -> None:
        while True:
            while self._retained or self._commands:
                retain = bool(self._retained)
                queue = self._retained if retain else self._commands
                topic, payload = queue[0]
                await client.publish(topic, payload, qos=1 if retain else 0, retain=retain)
                with self._lock:
                    if queue and queue[0] == (topic, payload):
                        queue.popleft()
            if self._stopping:
                return
            await self._wake.wait()
            self._wake.clear()
