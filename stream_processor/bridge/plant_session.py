"""The persistent session at the plant's broker, confirmed by hand.

paho itself, without the house's aiomqtt around it: aiomqtt neither lets a message be confirmed
later than it was read nor lets reading wait. paho's network loop is driven from asyncio's, so that
all of the bridge is one thread.

Subscribed is with QoS 1, whatever QoS the publisher has: with QoS 2, paho sends PUBREC before
anybody has seen the message, and only keeps in memory that it must still be passed on. A kill
between the two would lose it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from stream_processor.bridge.errors import SessionError, text_of
from stream_processor.bridge.settings import Settings
from stream_processor.bridge.tls import context_of

CONNECT_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 30.0
FAREWELL_TIMEOUT_S = 2.0
KEEPALIVE_S = 15
TICK_S = 1.0
# For ever: what the plant said must wait for us, however long we are away.
NEVER_EXPIRES = 0xFFFFFFFF
NOT_ON_SUBSCRIBE = 2

Take = Callable[[paho.MQTTMessage], None]


class PlantSession:
    """One connection under the session's client identifier; when it fails once, it is done."""

    def __init__(self, settings: Settings, will: tuple[str, bytes], take: Take) -> None:
        """Prepare; nothing touches the network yet.

        `will` is a topic and what is retained on it when the connection breaks. `take` hears of
        each message, in order; one of QoS 1 is delivered again until `acknowledge` was called.
        """
        self._settings = settings
        self._is_5 = settings.mqtt_version == "5"
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        # Ends with the connection; its result says why.
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._greeted: asyncio.Future[bool] = self._loop.create_future()
        self._asked: dict[int | None, asyncio.Future[Sequence[Any]]] = {}
        self._socket: paho.SocketLike | None = None
        self._paused = self._abandoned = False
        self._take = take
        self._client = self._make(will)

    def _make(self, will: tuple[str, bytes]) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if self._is_5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if self._is_5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if settings.user and settings.certificate is None:
            client.username_pw_set(settings.user, settings.password or None)
        client.will_set(*will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_answer
        client.on_unsubscribe = self._on_answer
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        return client

    async def connect(self) -> bool:
        """Connect; return whether the broker still had the session.

        Nothing is read after the broker's answer until `resume`.

        Raises:
            SessionError: the broker does not answer, or refuses.
        """
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            await asyncio.to_thread(self._open)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._either(self._greeted)
        except (OSError, ValueError) as error:
            raise SessionError(f"the plant's broker at {where}: {text_of(error)}") from error
        if not self._greeted.done():
            raise SessionError(f"the plant's broker at {where}: {self.lost.result()}")
        return self._greeted.result()

    def _open(self) -> None:
        settings, properties = self._settings, None
        tls = context_of(settings.authority, settings.certificate)
        if tls is not None:
            self._client.tls_set_context(tls)
        if self._is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = NEVER_EXPIRES
            properties.ReceiveMaximum = settings.in_flight
            self._client.connect(
                settings.host,
                settings.port,
                KEEPALIVE_S,
                clean_start=False,
                properties=properties,
            )
        else:
            self._client.connect(settings.host, settings.port, KEEPALIVE_S)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe to `filters`; what the broker had retained on them does not come.

        Raises:
            SessionError: the broker refuses one, or does not answer.
        """
        if self._is_5:
            options = SubscribeOptions(qos=1, retainHandling=NOT_ON_SUBSCRIBE)
            _, mid = self._client.subscribe([(one, options) for one in filters])
        else:
            _, mid = self._client.subscribe([(one, 1) for one in filters])
        for one, code in zip(filters, await self._answered(mid), strict=True):
            if code.is_failure:
                raise SessionError(f"the plant's broker refuses the subscription {one}: {code}")

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """End subscriptions of the session.

        Raises:
            SessionError: the broker does not answer.
        """
        _, mid = self._client.unsubscribe(list(filters))
        await self._answered(mid)

    async def _answered(self, mid: int | None) -> Sequence[Any]:
        """Return the codes by which the broker answers to a subscription or its end.

        Raises:
            SessionError: it does not answer.
        """
        answer: asyncio.Future[Sequence[Any]] = self._loop.create_future()
        self._asked[mid] = answer
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                await self._either(answer)
        except TimeoutError:
            pass
        if not answer.done():
            raise SessionError("the plant's broker did not answer to a subscription")
        return answer.result()

    async def _either(self, answer: asyncio.Future[Any]) -> None:
        """Wait for an answer or the end of the connection."""
        waited: set[asyncio.Future[Any]] = {answer, self.lost}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)

    def acknowledge(self, packet_id: int) -> None:
        """Confirm a message of QoS 1; in the order in which they came, as MQTT asks (4.6)."""
        self._client.ack(packet_id, 1)

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish a retained message."""
        self._client.publish(topic, payload, qos=1, retain=True)

    def pause(self) -> None:
        """Read nothing more: the broker has to wait, also with what it needs no answer to."""
        self._paused = True
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        if self._socket is not None:
            self._loop.add_reader(self._socket.fileno(), self._read)
            # What TLS has read already wakes nobody.
            self._loop.call_soon(self._read)

    async def tick(self) -> None:
        """Keep the connection alive until it ends.

        Raises:
            SessionError: it ended.
        """
        while not self.lost.done():
            self._client.loop_misc()
            await asyncio.wait({self.lost}, timeout=TICK_S)
        raise SessionError(f"the plant's broker: {self.lost.result()}")

    async def close(self) -> None:
        """Send what waits and leave; the broker keeps the session and not the will."""
        if not self.lost.done():
            self._client.disconnect()
            await asyncio.wait({self.lost}, timeout=FAREWELL_TIMEOUT_S)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the connection as it is."""
        self._abandoned = True
        self._on_socket_gone()
        closing = self._client.socket()
        if closing is not None:
            closing.close()

    def _read(self) -> None:
        while self._socket is not None and not self._paused:
            result = self._client.loop_read()
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._end(paho.error_string(result))
            # One packet is read at a time, and TLS may hold more than the socket shows.
            pending = getattr(self._socket, "pending", None)
            if pending is None or not pending():
                return

    def _end(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._take(message)

    def _on_connect(
        self,
        _client: paho.Client,
        _data: object,
        flags: paho.ConnectFlags,
        reason: Any,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._end(f"refused: {reason}")
        elif not self._greeted.done():
            self.pause()
            self._greeted.set_result(flags.session_present)

    def _on_disconnect(self, _client: paho.Client, _data: object, _flags: Any, *rest: Any) -> None:
        self._end(str(rest[0]))

    def _on_answer(
        self, _client: paho.Client, _data: object, mid: int, codes: Sequence[Any], *_rest: Any
    ) -> None:
        answer = self._asked.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(codes)

    # The socket is opened in a thread of its own, since paho waits for it.

    def _on_socket_open(self, _client: paho.Client, _data: object, sock: paho.SocketLike) -> None:
        def opened() -> None:
            if self._abandoned:
                sock.close()
                return
            self._socket = sock
            if isinstance(sock, socket.socket):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.resume()

        self._loop.call_soon_threadsafe(opened)

    def _on_socket_close(self, _client: paho.Client, _data: object, _sock: object) -> None:
        self._on_socket_gone()

    def _on_socket_gone(self) -> None:
        if self._socket is not None:
            number = self._socket.fileno()
            self._socket = None
            if number >= 0:
                self._loop.remove_reader(number)
                self._loop.remove_writer(number)

    def _on_register_write(self, client: paho.Client, _data: object, sock: paho.SocketLike) -> None:
        def register() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock.fileno(), client.loop_write)

        if threading.get_ident() == self._thread:
            register()
        else:
            self._loop.call_soon_threadsafe(register)

    def _on_unregister_write(
        self, _client: paho.Client, _data: object, sock: paho.SocketLike
    ) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock.fileno())
