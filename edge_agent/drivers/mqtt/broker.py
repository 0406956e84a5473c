"""The broker that devices speak to, and a connection with it that is made again and again."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import aiomqtt
import msgspec
import structlog
from msgspec import Meta

from edge_agent.subscription import subscribe

log = structlog.get_logger(__name__)

# Messages that wait to be read; beyond, the oldest go and are counted.
MAX_WAITING: Final = 2000
_FIRST_WAIT_S: Final = 0.5
# A connection that held for so long was a good one.
_GOOD_S: Final = 10.0
_FAREWELL_S: Final = 2.0


class MqttTlsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the connection is secured."""

    ca: Annotated[
        str, Meta(description="PEM file of the authority of the broker; else the system's.")
    ] = ""
    certificate: Annotated[str, Meta(description="PEM file of our own certificate.")] = ""
    key: Annotated[str, Meta(description="PEM file of its private key.")] = ""

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate: and `key` go together")


class MqttBrokerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The broker that the devices speak to; it may be another than the agent's own."""

    host: Annotated[str, Meta(min_length=1, description="Its name or address.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="1883, or 8883 with TLS.")] = 1883
    client_id: Annotated[str, Meta(description="Else one of chance.")] = ""
    user: Annotated[str, Meta(description="Empty for none.")] = ""
    password_env: Annotated[str, Meta(description="Environment variable of the password.")] = ""
    password_file: Annotated[str, Meta(description="File whose first line is the password.")] = ""
    tls: MqttTlsOptions | None = None
    keep_alive_s: Annotated[
        int, Meta(ge=5, le=3600, description="A broker silent for longer is away.")
    ] = 30
    clean_session: Annotated[
        bool, Meta(description="`false`: the broker keeps what comes at QoS 1 while we are away.")
    ] = True
    reconnect_max_s: Annotated[
        float, Meta(gt=0, le=3600, description="Longest wait between two attempts to connect.")
    ] = 30.0
    lost_after_s: Annotated[
        float, Meta(ge=0, description="A break that is over sooner is not told to the cloud.")
    ] = 10.0

    def __post_init__(self) -> None:
        if self.password_env and self.password_file:
            raise ValueError("password_file: the password comes from the environment already")
        if (self.password_env or self.password_file) and not self.user:
            raise ValueError("user: is needed with a password")
        if not self.clean_session and not self.client_id:
            raise ValueError("client_id: is needed for a session that the broker keeps")

    def password(self) -> str | None:
        """Return the password.

        Raises:
            ValueError: the variable is not set, or the file cannot be read.
        """
        if self.password_env:
            password = os.environ.get(self.password_env)
            if password is None:
                raise ValueError(f"broker.password_env: {self.password_env} is not set")
            return password
        if self.password_file:
            try:
                text = Path(self.password_file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"broker.password_file: {error}") from error
            return text.partition("\n")[0].rstrip("\r")
        return None

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what TLS needs, None without.

        Raises:
            ValueError: a file cannot be read, or is no certificate or key.
        """
        if self.tls is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls.ca or None)
            if self.tls.certificate:
                context.load_cert_chain(self.tls.certificate, self.tls.key)
        except OSError as error:
            raise ValueError(f"broker.tls: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def client(self, will: aiomqtt.Will | None = None, **more: Any) -> aiomqtt.Client:
        """Return a client that is not connected yet.

        Raises:
            ValueError: a password, certificate or key is missing or no such.
        """
        return aiomqtt.Client(
            self.host,
            self.port,
            identifier=self.client_id or None,
            username=self.user or None,
            password=self.password(),
            tls_context=self.tls_context(),
            keepalive=self.keep_alive_s,
            clean_session=self.clean_session,
            will=will,
            max_queued_incoming_messages=MAX_WAITING,
            **more,
        )


Take = Callable[[str, bytes, bool], None]
Greet = Callable[[aiomqtt.Client], Awaitable[None]]


class Listener:
    """Keeps a connection and its subscriptions, and hands on every message.

    `take` is told topic, payload and whether it was retained; `greet` may say something once all
    is subscribed to, and `farewell` before it leaves; `will` makes what the broker says when the
    connection breaks.
    """

    def __init__(
        self,
        broker: MqttBrokerOptions,
        filters: Sequence[tuple[str, int]],
        take: Take,
        greet: Greet | None = None,
        will: Callable[[], aiomqtt.Will] | None = None,
        farewell: Greet | None = None,
    ) -> None:
        """Prepare.

        Raises:
            ValueError: a password, certificate or key is missing or no such.
        """
        broker.password()
        broker.tls_context()
        self._broker, self._filters = broker, list(dict.fromkeys(filters))
        self._take, self._greet, self._will = take, greet, will
        self._farewell = farewell
        self.client: aiomqtt.Client | None = None
        self.connected = asyncio.Event()
        self.reason = "not connected yet"
        # When the connection went, by `time.monotonic`; None while it is there.
        self.away_since: float | None = None
        self.dropped = 0

    async def run(self) -> None:
        """Connect, listen, and connect again, until cancelled."""
        self.away_since = time.monotonic()
        wait_s = 0.0
        while True:
            began = time.monotonic()
            try:
                will = self._will() if self._will else None
                async with self._broker.client(will, queue_type=self._queue()) as client:
                    for topic, qos in self._filters:
                        await subscribe(client, topic, qos)
                    if self._greet is not None:
                        await self._greet(client)
                    self._connected(client)
                    try:
                        await self._hear(client)
                    except asyncio.CancelledError:
                        await self._leave(client)
                        raise
            except (aiomqtt.MqttError, ValueError) as error:
                # A file of the password or a key may be replaced just now: it is tried again.
                self._disconnected(str(error) or type(error).__name__)
            finally:
                self.client = None
                self.connected.clear()
            held_s = time.monotonic() - began
            wait_s = _FIRST_WAIT_S if held_s > _GOOD_S else max(2 * wait_s, _FIRST_WAIT_S)
            wait_s = min(wait_s, self._broker.reconnect_max_s)
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))

    async def _hear(self, client: aiomqtt.Client) -> None:
        heard = 0
        async for message in client.messages:
            payload = message.payload
            content = payload if isinstance(payload, bytes) else str(payload or "").encode()
            self._take(str(message.topic), content, message.retain)
            heard += 1
            if heard % 64 == 0:
                # A flood must not keep the agent's other tasks from their work.
                await asyncio.sleep(0)

    async def _leave(self, client: aiomqtt.Client) -> None:
        if self._farewell is None:
            return
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._farewell(client)
        except (aiomqtt.MqttError, TimeoutError) as error:
            log.info("left without a farewell", reason=str(error))

    def _connected(self, client: aiomqtt.Client) -> None:
        self.client, self.away_since = client, None
        self.connected.set()
        self.reason = ""
        log.info("connected", broker=f"{self._broker.host}:{self._broker.port}")

    def _disconnected(self, reason: str) -> None:
        if reason != self.reason:
            log.warning(
                "no connection", broker=f"{self._broker.host}:{self._broker.port}", reason=reason
            )
        self.reason = reason
        if self.away_since is None:
            self.away_since = time.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether the broker has been away for as long as the cloud is to be told."""
        since = self.away_since
        return since is not None and time.monotonic() - since >= self._broker.lost_after_s

    def _queue(self) -> type[asyncio.Queue[aiomqtt.Message]]:
        listener = self

        class Newest(asyncio.Queue[aiomqtt.Message]):
            """Lets the oldest go when it is full; the client would let go of the newest."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                if self.full():
                    self.get_nowait()
                    listener.dropped += 1
                super().put_nowait(item)

        return Newest
