"""A tap between an MQTT 3.1.1 client and its broker: what went over the wire, read by itself.

It shares no code with the client under test: packets are taken apart here, from OASIS MQTT 3.1.1.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

KINDS = {
    1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 8: "SUBSCRIBE", 9: "SUBACK",
    12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT",
}  # fmt: skip


@dataclass(frozen=True)
class Packet:
    """One control packet; fields that a kind does not have are empty."""

    connection: int
    from_client: bool
    kind: str
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    # Of a CONNECT.
    version: int = 0
    client_id: str = ""
    clean_session: bool = False
    will: Packet | None = None
    # Of a SUBSCRIBE: filters with the QoS asked for.
    filters: tuple[tuple[str, int], ...] = ()


@dataclass
class Tap:
    """Listens on a port of its own and passes on to the broker's."""

    port_of_broker: int
    packets: list[Packet] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    _sockets: list[socket.socket] = field(default_factory=list)
    _connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.port_of_broker))
            except OSError:
                client.close()
                continue
            self._sockets += [client, server]
            number, self._connections = self._connections, self._connections + 1
            for source, sink in ((client, server), (server, client)):
                threading.Thread(
                    target=self._pass_on, args=(number, source, sink, source is client), daemon=True
                ).start()

    def _pass_on(
        self, number: int, source: socket.socket, sink: socket.socket, from_client: bool
    ) -> None:
        pending = b""
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                pending += received
                # Recorded before it goes on, so that an answer never comes before its cause.
                packets, pending = _split(pending)
                for first, body in packets:
                    self._record(_read(number, from_client, first, body))
                sink.sendall(received)
        for end in (source, sink):
            _shut(end)

    def _record(self, packet: Packet) -> None:
        with self.changed:
            self.packets.append(packet)
            self.changed.notify_all()

    def until(self, enough: Callable[[], object], timeout: float = 60.0) -> None:
        """Wait until what was recorded is enough."""
        with self.changed:
            if not self.changed.wait_for(lambda: bool(enough()), timeout):
                tail = [(p.kind, p.topic) for p in self.packets[-12:]]
                raise AssertionError(f"did not come; the last were {tail}")

    def cut(self) -> None:
        """Break every connection, as a cable would."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            _shut(one)

    def close(self) -> None:
        """Stop listening and break what is open."""
        self._listener.close()
        self.cut()


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _split(stream: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return first byte and body of each whole packet, and what is left."""
    found: list[tuple[int, bytes]] = []
    while True:
        length, shift, place = 0, 0, 1
        while place < len(stream) and place < 5:
            length |= (stream[place] & 0x7F) << shift
            shift += 7
            place += 1
            if not stream[place - 1] & 0x80:
                break
        else:
            return found, stream
        if len(stream) < place + length:
            return found, stream
        found.append((stream[0], stream[place : place + length]))
        stream = stream[place + length :]


def _take(body: bytes, place: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H", body, place)
    return body[place + 2 : place + 2 + length], place + 2 + length


def _read(number: int, from_client: bool, first: int, body: bytes) -> Packet:
    kind = KINDS.get(first >> 4, str(first >> 4))
    if kind == "CONNECT":
        return _read_connect(number, body)
    if kind == "PUBLISH":
        qos = (first >> 1) & 3
        topic, place = _take(body, 0)
        payload = body[place + (2 if qos else 0) :]
        return Packet(
            number, from_client, kind, topic.decode(), payload, qos, bool(first & 1),
            bool(first & 8),
        )  # fmt: skip
    if kind == "SUBSCRIBE":
        filters, place = [], 2
        while place < len(body):
            wanted, place = _take(body, place)
            filters.append((wanted.decode(), body[place]))
            place += 1
        return Packet(number, from_client, kind, filters=tuple(filters))
    return Packet(number, from_client, kind)


def _read_connect(number: int, body: bytes) -> Packet:
    name, place = _take(body, 0)
    assert name == b"MQTT"
    version, flags = body[place], body[place + 1]
    client_id, place = _take(body, place + 4)
    will = None
    if flags & 4:
        topic, place = _take(body, place)
        payload, place = _take(body, place)
        will = Packet(
            number, True, "WILL", topic.decode(), payload, (flags >> 3) & 3, bool(flags & 0x20)
        )
    return Packet(
        number, True, "CONNECT", version=version, client_id=client_id.decode(),
        clean_session=bool(flags & 2), will=will,
    )  # fmt: skip
