"""A real OPC UA server for the whole run, a connection that can be cut, and the driver's taker."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from asyncua import Server, ua
from asyncua.crypto import cert_gen
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge_agent.drivers.base import Block, Lost
from edge_agent.drivers.opcua import Options, open_driver

T = TypeVar("T")
PATIENCE_S = 30.0


class Users:
    """Everybody is let in, and a named user by the password."""

    def get_user(
        self,
        iserver: Any,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        if username is not None and (username, password) != ("operator", "Gäste 1"):
            return None
        return User(role=UserRole.User, name=username)


class House:
    """A server in a loop of its own, so that tests share what takes seconds to build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trusted = folder / "trusted"
        self.trusted.mkdir(parents=True)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.nodes: dict[tuple[str, str], Any] = {}

    def start(self) -> None:
        self._thread.start()
        self.run(self._start())

    def stop(self) -> None:
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something in the server's loop."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    @property
    def port(self) -> int:
        return self.server.bserver.port

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/house/"

    async def _start(self) -> None:
        self.server = server = Server(user_manager=Users())
        await server.init()
        await server.set_application_uri("urn:house")
        server.set_endpoint("opc.tcp://127.0.0.1:0/house/")
        server.set_security_policy(
            [
                ua.SecurityPolicyType.NoSecurity,
                ua.SecurityPolicyType.Basic256Sha256_Sign,
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
            ]
        )
        key, certificate = self.folder / "server.pem", self.folder / "server.der"
        await cert_gen.setup_self_signed_certificate(
            key, certificate, "urn:house", "localhost", [ExtendedKeyUsageOID.SERVER_AUTH], {}
        )
        await server.load_certificate(certificate)
        await server.load_private_key(key)
        # Nobody is trusted until a test puts a certificate there and loads it.
        self.store = TrustStore([self.trusted], [])
        options = CertificateValidatorOptions
        server.iserver.certificate_validator = CertificateValidator(
            options.TIME_RANGE | options.URI | options.TRUSTED | options.PEER_CLIENT, self.store
        )
        # Sessions of these tests end sooner than the standard's servers let them.
        server.iserver.min_session_timeout_ms = 200
        await server.start()

    async def add(
        self,
        uri: str,
        name: str,
        value: Any,
        kind: ua.VariantType = ua.VariantType.Double,
        parent: str | None = None,
        node: str | None = None,
        writable: bool = False,
    ) -> Any:
        """Add a variable below Objects, or below an object that is made for it."""
        index = await self.server.register_namespace(uri)
        place = self.server.nodes.objects
        if parent is not None:
            key = (uri, parent)
            if key not in self.nodes:
                self.nodes[key] = await place.add_object(ua.NodeId(parent, index), parent)
            place = self.nodes[key]
        given = ua.NodeId(name, index) if node is None else ua.NodeId.from_string(node)
        given = ua.NodeId(given.Identifier, index, given.NodeIdType)
        variable = await place.add_variable(given, f"{index}:{name}", value, kind)
        if writable:
            await variable.set_writable()
        self.nodes[uri, name] = variable
        return variable

    async def say(
        self,
        uri: str,
        name: str,
        value: Any,
        at_ms: float | None = None,
        status: int = 0,
        server_ms: float | None = None,
    ) -> None:
        """Give a variable a value with a source's time; no value is none."""
        node = self.nodes[uri, name]
        kind = await node.read_data_type_as_variant_type()
        now = datetime.now(UTC)
        said = ua.DataValue(
            ua.Variant(value, kind) if value is not None else ua.Variant(None),
            ua.StatusCode(status),
            SourceTimestamp=None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC),
            ServerTimestamp=now
            if server_ms is None
            else datetime.fromtimestamp(server_ms / 1000, UTC),
        )
        await self.server.write_attribute_value(node.nodeid, said)

    async def restart(self, namespaces: list[str]) -> None:
        """Forget every session, and number the namespaces anew; the port stays."""
        port = self.port
        # Whoever comes back while the connections are closed finds no door.
        self.server.bserver._server.close()
        await self.server.bserver.stop()
        for session in list(self.server.iserver._external_sessions.values()):
            await session.close_session(True)
        said = {key: await node.read_value() for key, node in self.nodes.items()}
        for node in self.nodes.values():
            await self.server.delete_nodes([node])
        self.nodes.clear()
        array = await self.server.get_namespace_array()
        rest = [uri for uri in array[2:] if uri not in namespaces]
        await self.server.nodes.namespace_array.write_value([*array[:2], *namespaces, *rest])
        for (uri, name), value in said.items():
            await self.add(uri, name, value)
        self.server.bserver.port = port
        await self.server.bserver.start()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    server = House(tmp_path_factory.mktemp("house"))
    server.start()
    yield server
    server.stop()


class Wire:
    """A connection to the server that can be cut, and refused."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_whole = True
        self.made = 0
        self.deaf = False

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.cut()
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def cut(self) -> None:
        self.is_whole = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        self.is_whole, self.deaf = True, False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_whole:
            writer.transport.abort()
            return
        self.made += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, there_writer}
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            pipe = asyncio.create_task(self._pump(source, sink))
            self._pipes.add(pipe)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                if not self.deaf:
                    sink.write(data)
                    await sink.drain()
        sink.close()


@pytest.fixture
async def wire(house: House) -> AsyncIterator[Wire]:
    made = Wire(house.port)
    await made.open()
    yield made
    await made.close()


class Taking:
    """A driver's blocks as they come."""

    def __init__(self, options: Options) -> None:
        self.driver: Any = open_driver(options)
        self._task: asyncio.Task[None] | None = None
        self._queue: asyncio.Queue[Block | Lost] = asyncio.Queue()

    async def _run(self) -> None:
        async for item in self.driver.blocks():
            self._queue.put_nowait(item)

    async def take(self) -> Block | Lost:
        """Return what the driver says next."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        getting = asyncio.create_task(self._queue.get())
        done, _ = await asyncio.wait(
            {getting, self._task}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        if getting not in done:
            getting.cancel()
            if self._task in done:
                self._task.result()
            raise TimeoutError("the driver says nothing")
        return getting.result()

    async def until(self, wanted: Callable[[Block | Lost], bool]) -> Block | Lost:
        """Return the first thing that is as wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while not wanted(item := await self.take()):
                pass
        return item

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
def make() -> Callable[..., Options]:
    """Make quick options."""
    return lambda endpoint, **given: msgspec.convert(
        {"endpoint": endpoint, **QUICK, **given}, Options
    )


Take = Callable[..., Taking]


@pytest.fixture
async def taking() -> AsyncIterator[Take]:
    """Begin to take the blocks of a driver with quick options."""
    all_: list[Taking] = []

    def begin(endpoint: str, **given: Any) -> Taking:
        document = {"endpoint": endpoint, **QUICK, **given}
        made = Taking(msgspec.convert(document, Options))
        all_.append(made)
        return made

    yield begin
    for made in all_:
        await made.close()


QUICK: dict[str, Any] = {
    "publishing_interval_ms": 50,
    "sampling_interval_ms": 20,
    "settle_s": 0.1,
    "block_s": 0.1,
    "keep_alive_s": 0.25,
    "request_timeout_s": 3,
    "lost_after_s": 0.4,
    "reconnect_max_s": 0.3,
    "session_timeout_s": 20,
}
