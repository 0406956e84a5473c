"""One session with one server: opened, looked after, and picked up again after a break."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from asyncua import ua

from edge_agent.cancellation import end
from edge_agent.drivers.opcua.library import (
    FAILURES,
    AttributeIds,
    Client,
    ObjectIds,
    UaClientState,
    UaStatusCodeError,
    certificate_of,
    node_id,
    reason_of,
)
from edge_agent.drivers.opcua.nodes import NodeAddress
from edge_agent.drivers.opcua.options import Options
from edge_agent.drivers.opcua.security import check_trust, client_of, password_of

# A renewed token is asked for after this share of a secure channel's life (OPC 10000-4, 5.5.2.1).
_RENEW_AT: Final = 0.75
FAREWELL_S: Final = 2.0
# Of a server that names no limit, or a larger one.
_MOST_A_CALL: Final = 1000

T = TypeVar("T")


class PlainPasswordError(ConnectionError):
    """The server offers no way to send a password that others cannot read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server takes in one call."""

    read: int = _MOST_A_CALL
    browse: int = _MOST_A_CALL
    monitor: int = _MOST_A_CALL


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in order, at most `size` at a time."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


def milliseconds(time: datetime) -> float:
    """Return milliseconds since the epoch, UTC."""
    return time.timestamp() * 1000


class Session:
    """A session over a secure channel.

    Every method that asks the server may raise one of `FAILURES`.
    """

    def __init__(self, options: Options, saw_time: Callable[[float], None]) -> None:
        """Prepare a session; `saw_time` hears the server's clock, ms since the epoch."""
        self._options = options
        self._saw_time = saw_time
        self._client: Client | None = None
        self._renewal: asyncio.Task[None] | None = None
        self.namespaces: list[str] = []
        self.limits = Limits()

    @property
    def client(self) -> Client:
        """The client; connected once `open` has returned."""
        if self._client is None:
            raise ConnectionError("the session was not opened")
        return self._client

    async def open(self) -> None:
        """Connect and begin a session."""
        self._client = client = await client_of(self._options)
        try:
            await self._channel(client)
            await client.create_session()
            theirs = client.security_policy.peer_certificate
            check_trust(self._options, certificate_of(theirs))
            self._check_password(client)
            await self._activate(client)
            self._renewal = asyncio.create_task(self._renew(client))
            self.namespaces = await client.get_namespace_array()
            self.limits = await self._read_limits()
        except BaseException:
            await self.close()
            raise

    async def resume(self) -> bool:
        """Connect again and take the session up where it was; False when the server forgot it."""
        client = self.client
        await self._end_renewal()
        client.disconnect_socket()
        await self._channel(client)
        client.uaclient.session.rebind_authentication_token()
        try:
            await self._activate(client)
        except UaStatusCodeError:
            return False
        client.uaclient.ensure_publish_loop()
        self._renewal = asyncio.create_task(self._renew(client))
        return True

    async def close(self) -> None:
        """End the session; a server that does not answer is left."""
        await self._end_renewal()
        if self._client is not None:
            await self._leave(self._client)

    async def look(self) -> str | None:
        """Wait for one period; return why the connection is lost, or None when it is well."""
        client = self.client
        async with client.subscribe_state() as changes:
            if client.state is UaClientState.CONNECTED:
                with contextlib.suppress(TimeoutError):
                    await changes.next_change(self._options.keep_alive_s)
        if client.state is not UaClientState.CONNECTED:
            return "the connection broke"
        try:
            (now,) = await self.read(
                [node_id(ObjectIds.Server_ServerStatus_CurrentTime)], AttributeIds.Value
            )
        except FAILURES as error:
            return f"the server does not answer: {reason_of(error)}"
        for time in (now.ServerTimestamp, now.Value.Value if now.Value else None):
            if isinstance(time, datetime):
                self._saw_time(milliseconds(time))
                break
        return None

    def node_id(self, address: NodeAddress) -> ua.NodeId:
        """Return the node's id as this server counts its namespaces now.

        Raises:
            LookupError: it has no such namespace.
        """
        types = {
            "i": ua.NodeIdType.Numeric,
            "s": ua.NodeIdType.String,
            "g": ua.NodeIdType.Guid,
            "b": ua.NodeIdType.ByteString,
        }
        return node_id(address.identifier, address.index_in(self.namespaces), types[address.kind])

    def address(self, node: ua.NodeId) -> NodeAddress:
        """Return the lasting address of a node.

        Raises:
            LookupError: its namespace is not in the server's array.
        """
        kinds = {int: "i", str: "s", bytes: "b"}
        index = node.NamespaceIndex
        uri = self.namespaces[index] if index else None
        return NodeAddress(kinds.get(type(node.Identifier), "g"), node.Identifier, uri)  # type: ignore[arg-type]

    async def read(self, nodes: Sequence[ua.NodeId], attribute: AttributeIds) -> list[ua.DataValue]:
        """Return an attribute of each node with both timestamps."""
        values: list[ua.DataValue] = []
        for some in chunks(nodes, self.limits.read):
            parameters = ua.ReadParameters()
            parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            parameters.NodesToRead = [ua.ReadValueId(node, attribute) for node in some]
            values += await self.client.uaclient.session.read(parameters)
        return values

    async def write(self, node: ua.NodeId, value: ua.Variant) -> ua.StatusCode:
        """Write a value without a time, which many servers refuse; return what was said to it."""
        (status,) = await self.client.uaclient.session.write_attributes(
            [node], [ua.DataValue(value)], AttributeIds.Value
        )
        return status

    async def browse(self, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
        """Return what is below each node, by hierarchical references."""
        found: list[list[ua.ReferenceDescription]] = []
        for some in chunks(nodes, self.limits.browse):
            parameters = ua.BrowseParameters()
            parameters.NodesToBrowse = [_down(node) for node in some]
            for result in await self.client.uaclient.browse(parameters):
                references = list(result.References or ())
                while result.ContinuationPoint:
                    more = ua.BrowseNextParameters(False, [result.ContinuationPoint])
                    (result,) = await self.client.uaclient.browse_next(more)
                    references += result.References or ()
                found.append(references)
        return found

    async def _channel(self, client: Client) -> None:
        await client.connect_socket()
        await client.send_hello()
        await client.open_secure_channel()

    async def _activate(self, client: Client) -> None:
        await client.activate_session(self._options.user or None, password_of(self._options), None)

    def _check_password(self, client: Client) -> None:
        if not self._options.user or self._options.allow_plain_password:
            return
        policy = client.server_policy(ua.UserTokenType.UserName)
        is_plain = policy.SecurityPolicyUri.endswith("#None")
        if is_plain and self._options.security != "sign_and_encrypt":
            raise PlainPasswordError(
                "the server takes the password only as everybody on the network can read it: "
                "use security, or set allow_plain_password"
            )

    async def _read_limits(self) -> Limits:
        ids = ObjectIds
        nodes = [
            node_id(ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead),
            node_id(ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse),
            node_id(ids.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall),
        ]
        told = [
            value.Value.Value if value.Value else None
            for value in await self.read(nodes, AttributeIds.Value)
        ]
        # 0, or nothing, is no limit.
        return Limits(
            *(min(n, _MOST_A_CALL) if isinstance(n, int) and n > 0 else _MOST_A_CALL for n in told)
        )

    async def _renew(self, client: Client) -> None:
        """Renew the channel's token for as long as it lives; `look` finds a channel that died."""
        with contextlib.suppress(*FAILURES):
            while True:
                await asyncio.sleep(client.secure_channel_timeout / 1000 * _RENEW_AT)
                await client.open_secure_channel(renew=True)
                client.uaclient.revolve_security_token()

    async def _end_renewal(self) -> None:
        if self._renewal is not None:
            await end(self._renewal, again_s=2 * self._options.request_timeout_s)

    async def _leave(self, client: Client) -> None:
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(FAREWELL_S):
                await client.close_session()
                await client.close_secure_channel()
        client.disconnect_socket()


def _down(node: ua.NodeId) -> ua.BrowseDescription:
    description = ua.BrowseDescription()
    description.NodeId = node
    description.BrowseDirection = ua.BrowseDirection.Forward
    description.ReferenceTypeId = node_id(ObjectIds.HierarchicalReferences)
    description.IncludeSubtypes = True
    description.NodeClassMask = ua.NodeClass.Object | ua.NodeClass.Variable
    description.ResultMask = ua.BrowseResultMask.All
    return description


@asynccontextmanager
async def connected(options: Options) -> AsyncIterator[Session]:
    """Open a session and close it after use.

    Raises:
        OSError: the server is away or refused.
    """
    session = Session(options, lambda _: None)
    try:
        await session.open()
    except OSError:
        raise
    except FAILURES as error:
        raise ConnectionError(f"{options.endpoint}: {reason_of(error)}") from error
    try:
        yield session
    finally:
        await session.close()
