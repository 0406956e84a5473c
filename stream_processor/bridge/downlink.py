"""From the cloud to the plant: acknowledgements, commands, and whether the host is there."""

from __future__ import annotations

import asyncio
import logging

import aiomqtt
import structlog

from stream_processor.bridge.errors import SessionError
from stream_processor.bridge.metrics import Metrics
from stream_processor.bridge.mqtt_client import connected
from stream_processor.bridge.outbox import Downward, HostState, Outbox
from stream_processor.bridge.settings import Settings
from stream_processor.bridge.tls import context_of
from stream_processor.bridge.topics import downward, is_command
from stream_processor.mqtt_publisher import is_offline
from stream_processor.tasks import first_of

FAREWELL_TIMEOUT_S = 2.0
# A broker that syncs to a busy disk may take its time.
REPLY_TIMEOUT_S = 30.0
KEEPALIVE_S = 15

log = structlog.get_logger(__name__)
# What the client has to say is in its errors, and not in our form.
_unheard = logging.getLogger(f"{__name__}.client")
_unheard.addHandler(logging.NullHandler())
_unheard.propagate = False


class _StateChanged(Exception):  # noqa: N818
    """The host was born anew: the will with the plant's broker is of its former birth."""


class Downlink:
    """A connection to each broker; the plant's has the host's death as its will."""

    def __init__(self, settings: Settings, listening: asyncio.Event, metrics: Metrics) -> None:
        """Prepare; the plant hears of the host when `listening` is set.

        Before that, edge nodes that wait for the host would speak to a broker that forgets what
        they say.
        """
        self._settings, self._listening, self._metrics = settings, listening, metrics
        self._outbox = Outbox()
        self._host = HostState(settings.host_id)
        # Set when there is something to be sent.
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Pass on what the cloud says until cancelled; then the plant hears that it is away.

        Raises:
            SessionError: plant or cloud are gone.
        """
        settings = self._settings
        known = settings.mqtt_certificate is not None
        try:
            client = aiomqtt.Client(
                settings.mqtt_host,
                settings.mqtt_port,
                identifier=f"{settings.client_id}-cloud",
                # A certificate says who we are, in place of user and password.
                username=None if known else settings.broker_user or None,
                password=None if known else settings.broker_password or None,
                tls_context=context_of(settings.mqtt_authority, settings.mqtt_certificate),
                clean_session=True,
                keepalive=KEEPALIVE_S,
                timeout=REPLY_TIMEOUT_S,
                logger=_unheard,
            )
            async with connected(client) as cloud:
                for one in downward(settings.sites, settings.host_id):
                    await cloud.subscribe(one, qos=1)
                await first_of(self._hear(cloud), self._speak(), self._wake())
        except (aiomqtt.MqttError, OSError) as error:
            raise SessionError(f"the cloud's MQTT door: {error}") from error

    async def _hear(self, cloud: aiomqtt.Client) -> None:
        async for message in cloud.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            topic = message.topic.value
            if topic == self._host.topic:
                if not self._host.take(payload):
                    log.warning("the host's state cannot be read", topic=topic)
                    continue
            elif why := self._outbox.put(topic, payload, message.qos, message.retain):
                self._metrics.dropped.labels(why).inc()
            self._news.set()
        raise SessionError("the cloud's MQTT door was closed")

    async def _wake(self) -> None:
        await self._listening.wait()
        self._news.set()
        # The others say when it ends.
        await asyncio.Event().wait()

    async def _speak(self) -> None:
        while True:
            try:
                await self._session()
            except _StateChanged:
                log.info("the host was born", timestamp=self._host.timestamp)
            except (aiomqtt.MqttError, OSError) as error:
                raise SessionError(f"the plant's broker: {error}") from error

    async def _session(self) -> None:
        settings, host = self._settings, self._host
        born, death = host.timestamp, host.death()
        known = settings.certificate is not None
        client = aiomqtt.Client(
            settings.host,
            settings.port,
            identifier=f"{settings.client_id}-down",
            username=None if known else settings.user or None,
            password=None if known else settings.password or None,
            tls_context=context_of(settings.authority, settings.certificate),
            will=aiomqtt.Will(death.topic, death.payload, qos=1, retain=True),
            clean_session=True,
            keepalive=KEEPALIVE_S,
            timeout=REPLY_TIMEOUT_S,
            logger=_unheard,
        )
        async with connected(client) as plant:
            try:
                await plant.subscribe(host.topic, qos=1)
                self._metrics.connected.labels("down").set(1)
                await first_of(self._publish(plant, born), self._contradict(plant))
            except _StateChanged:
                raise
            except BaseException:
                # The will would not be sent: we leave politely.
                await self._farewell(plant)
                raise
            finally:
                self._metrics.connected.labels("down").set(0)

    async def _publish(self, plant: aiomqtt.Client, born: int) -> None:
        told = None
        while True:
            self._news.clear()
            if self._host.timestamp != born:
                raise _StateChanged
            said = self._host.told() if self._listening.is_set() else None
            if said is not None and said != told:
                await self._send(plant, said, "state")
                told = said
            while (message := self._outbox.next()) is not None:
                kind = "command" if is_command(message.topic) else "acknowledgement"
                await self._send(plant, message, kind)
            await self._news.wait()

    async def _send(self, plant: aiomqtt.Client, message: Downward, kind: str) -> None:
        await plant.publish(message.topic, message.payload, message.qos, message.retain)
        self._metrics.forwarded.labels(kind).inc()

    async def _contradict(self, plant: aiomqtt.Client) -> None:
        """Contradict whoever says that the host is away, such as the will of a former session."""
        async for message in plant.messages:
            said = self._host.told() if self._listening.is_set() else None
            if said is not None and self._host.online and is_offline(message.payload):
                await self._send(plant, said, "state")

    async def _farewell(self, plant: aiomqtt.Client) -> None:
        death = self._host.death()
        try:
            await plant.publish(death.topic, death.payload, 1, True, timeout=FAREWELL_TIMEOUT_S)
        except aiomqtt.MqttError as error:
            log.warning("the plant was not told that the host is away", why=str(error))
