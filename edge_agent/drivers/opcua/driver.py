"""Keep a session with an OPC UA server, whatever it takes, and yield what it says."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from asyncua import ua

from edge_agent.cancellation import end
from edge_agent.drivers import layout_file
from edge_agent.drivers.base import Block, Channel, Device, Lost, WriteError
from edge_agent.drivers.opcua import layout
from edge_agent.drivers.opcua.browsing import resolve
from edge_agent.drivers.opcua.clock import ServerClock
from edge_agent.drivers.opcua.intake import Intake, Target, targets_of
from edge_agent.drivers.opcua.library import FAILURES, reason_of
from edge_agent.drivers.opcua.nodes import NodeAddress
from edge_agent.drivers.opcua.options import DeviceOptions, Options
from edge_agent.drivers.opcua.sampling import Sampler
from edge_agent.drivers.opcua.security import check_files
from edge_agent.drivers.opcua.session import FAREWELL_S, Session
from edge_agent.drivers.opcua.subscribing import Feed, Item, feed_of
from edge_agent.drivers.opcua.writing import variant_of

log = structlog.get_logger(__name__)

_FIRST_WAIT_S: Final = 0.5
# Before the first attempt after a break: who closes a door first closes it.
_PAUSE_S: Final = 0.1
# Nodes that the server did not know are asked for again after this long: a program may be loaded.
_ASK_AGAIN_S: Final = 60.0
# A clock that is further off is worth a word.
_SKEW_MS: Final = 5000.0


@dataclass(slots=True)
class _Connection:
    """A session with what is watched over it; `is_spoiled` when it is not worth taking up again."""

    session: Session
    feed: Feed
    nodes: dict[int, ua.NodeId]
    asked_again: float
    is_spoiled: bool = False


class OpcUaDriver:
    """The machines behind one server."""

    def __init__(self, options: Options) -> None:
        """Prepare; nothing touches the network yet.

        Raises:
            ValueError: there is no device, or a file is missing or no such.
        """
        if not options.devices and not options.whole_machines:
            raise ValueError("devices: name one, or a machine in whole_machines")
        check_files(options)
        self._options = options
        found = layout.load(options) if options.whole_machines else []
        self._is_known = found is not None
        self._devices: list[DeviceOptions] = [*options.devices, *(found or ())]
        self._targets: Sequence[Target] = targets_of(self._devices)
        self._sampler = Sampler(self._devices, options.block_s)
        self._clock = ServerClock()
        self._intake = Intake(options, self._targets, self._sampler, self._clock)
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._resumed_at: float | None = None
        # When a break is to be told, and that it is, or was, to be.
        self._lost_at: float | None = None
        self._to_tell = self._is_told = False
        self._reason = "not connected yet"

    def devices(self) -> Sequence[Device]:
        """Return the machines; whole ones once they were found, see `LayoutLearnedError`."""
        return [
            Device(
                tag=device.tag,
                equipment_class=device.equipment_class,
                path=device.path,
                channels=tuple(
                    Channel(p.name, p.unit, p.sample_rate_hz, p.quantity, p.location)
                    for p in device.points
                ),
                description=device.description,
                facts=device.facts,
            )
            for device in self._devices
        ]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield blocks as long as anybody listens.

        Raises:
            LayoutLearnedError: machines that are taken whole were found for the first time.
        """
        self._lost_at = time.monotonic() + self._options.lost_after_s
        self._keeper = asyncio.create_task(self._keep())
        try:
            while True:
                self._changed.clear()
                if self._keeper.done():
                    self._keeper.result()
                if self._lost_at is not None and time.monotonic() >= self._lost_at:
                    self._tell_lost()
                if self._to_tell:
                    self._to_tell, reason = False, self._reason
                    for device in self._devices:
                        yield Lost(device.tag, reason)
                if self._is_flowing():
                    for block in self._sampler.due(self._clock.now_ms(), self._settling_ms):
                        yield block
                await self._wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """End the session with the server."""
        if self._keeper is not None:
            # Longer than it takes to leave a server that does not answer.
            again_s = 2 * (FAREWELL_S + self._options.request_timeout_s)
            await end(self._keeper, again_s=again_s)

    def writable(self, device: str) -> Mapping[str, str]:
        """Return the points of a device that are set to be written to, with their units."""
        return {
            target.point.name: target.point.unit
            for target in self._targets
            if target.device == device and target.point.writable
        }

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        """Write a value in the variable's type, within the range that the server says it has.

        Raises:
            WriteError: the point is none, the value does not fit, or the server refused or is away.
        """
        target = next(
            (t for t in self._targets if (t.device, t.point.name) == (device, name)), None
        )
        if target is None or not target.point.writable:
            raise WriteError(f"{device} has no writable point {name!r}")
        connection = self._connection
        node = connection.nodes.get(target.item.handle) if connection else None
        if connection is None or node is None:
            raise WriteError(f"{device} {name}: {self._reason if not connection else 'no node'}")
        try:
            variant = await variant_of(connection.session, node, value, target.point.unit)
            status = await connection.session.write(node, variant)
        except FAILURES as error:
            raise WriteError(f"{device} {name}: {reason_of(error)}") from error
        if not status.is_good():
            raise WriteError(f"{device} {name}: the server refused it: {status.name}")

    @property
    def _settling_ms(self) -> float:
        """How long after its time a value may still come: it is looked at, sent, and on its way."""
        options = self._options
        travelling_ms = options.sampling_interval_ms + options.settle_s * 1000
        if self._connection is not None and self._connection.feed.outlives_breaks:
            travelling_ms += options.publishing_interval_ms
        return travelling_ms

    def _is_flowing(self) -> bool:
        """Return True while everything that happened up to now is known, but for what settles."""
        if self._connection is None or self._resumed_at is None:
            return False
        settled = time.monotonic() - self._resumed_at >= self._settling_ms / 1000
        return settled and self._connection.feed.is_complete

    async def _wait(self) -> None:
        """Wait until a block may be due, or something happened."""
        pause_s = min(self._options.block_s / 4, 0.25)
        try:
            async with asyncio.timeout(pause_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _keep(self) -> None:
        """Connect, watch, and connect again."""
        wait_s = 0.0
        session: Session | None = None
        try:
            while True:
                await asyncio.sleep(wait_s)
                try:
                    if self._connection is None:
                        session = Session(self._options, self._clock.saw)
                        await session.open()
                        await self._begin(session)
                    elif not await self._resume(self._connection):
                        # What changes until there is another is never known: told at once.
                        self._reason = (
                            self._reason
                            if self._connection.is_spoiled
                            else "the server forgot the session"
                        )
                        self._tell_lost()
                        await self._leave()
                        continue
                except FAILURES as error:
                    self._failed(reason_of(error))
                    if self._connection is None and session is not None:
                        await session.close()
                    wait_s = min(max(2 * wait_s, _FIRST_WAIT_S), self._options.reconnect_max_s)
                    wait_s *= random.uniform(0.8, 1.2)
                    continue
                wait_s = _PAUSE_S
                assert self._connection is not None
                await self._watch(self._connection)
        finally:
            if self._connection is not None:
                await self._leave()
            elif session is not None:
                await session.close()

    async def _begin(self, session: Session) -> None:
        """Watch every point over a new session."""
        for target in self._targets:
            address = target.item.address
            if isinstance(address, NodeAddress) and not address.is_lasting:
                log.warning(
                    "a namespace by its index may be another after the server's restart; "
                    "`headrace edge browse` lists nsu= addresses",
                    node=str(address),
                )
        if self._options.whole_machines:
            await self._look_for_machines(session)
        feed = await feed_of(session, self._options, self._intake.take, self._clock.saw)
        connection = _Connection(session, feed, {}, time.monotonic())
        self._sampler.begin(self._clock.now_ms())
        try:
            await self._add(connection, [target.item for target in self._targets])
        except BaseException:
            await feed.close()
            raise
        self._connection = connection
        self._back()
        log.info("connected", endpoint=self._options.endpoint, nodes=len(connection.nodes))
        if abs(self._clock.skew_ms) > _SKEW_MS:
            log.warning(
                "the server's clock is off; its times are kept",
                ahead_s=round(self._clock.skew_ms / 1000),
            )

    async def _resume(self, connection: _Connection) -> bool:
        if connection.is_spoiled or not await connection.session.resume():
            return False
        connection.feed.resumed()
        if not connection.feed.outlives_breaks:
            self._sampler.begin(self._clock.now_ms())
        self._back()
        log.info("connected again", endpoint=self._options.endpoint)
        return True

    async def _watch(self, connection: _Connection) -> None:
        """Return when the connection or its feed has failed."""
        while True:
            reason = await connection.session.look()
            if reason is None and (reason := connection.feed.failure) is not None:
                connection.is_spoiled = True
            if reason is not None:
                log.warning("connection lost", endpoint=self._options.endpoint, reason=reason)
                self._away(reason)
                return
            if time.monotonic() - connection.asked_again >= _ASK_AGAIN_S:
                connection.asked_again = time.monotonic()
                items = [t.item for t in self._targets if t.item.handle not in connection.nodes]
                try:
                    await self._add(connection, items)
                except FAILURES as error:
                    log.warning("nodes not added", reason=reason_of(error))

    async def _add(self, connection: _Connection, items: Sequence[Item]) -> None:
        """Watch points; those whose nodes are not there are left for later."""
        found, missing = await resolve(connection.session, {item.address for item in items})
        for address, reason in missing.items():
            log.warning("node not found", node=str(address), reason=reason)
        nodes = {item.handle: found[item.address] for item in items if item.address in found}
        if not nodes:
            return
        refused = await connection.feed.add(nodes, {item.handle: item for item in items})
        connection.nodes |= {h: node for h, node in nodes.items() if h not in refused}

    async def _look_for_machines(self, session: Session) -> None:
        found = await layout.discover(session, self._options)
        known = {(target.device, target.point.name) for target in self._targets}
        new = {
            device.tag
            for device in found
            for point in device.points
            if (device.tag, point.name) not in known
        }
        if not self._is_known and not found:
            raise LookupError("none of the whole machines is there")
        if not new:
            return
        path = layout.save(self._options, found)
        if self._is_known:
            log.warning(
                "machines offer more than is known; it is taken at the next start",
                machines=sorted(new),
                layout=str(path),
            )
            return
        raise layout_file.LayoutLearnedError(
            f"{self._options.endpoint}: machines found and written to {path}: {len(found)}; "
            "the agent has to be started again to take them up"
        )

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.feed.close()
            await connection.session.close()

    def _failed(self, reason: str) -> None:
        """Note why an attempt to connect failed; the same reason is said once."""
        if reason != self._reason:
            log.warning("no connection", endpoint=self._options.endpoint, reason=reason)
        self._reason = reason

    def _away(self, reason: str) -> None:
        self._reason = reason
        self._resumed_at = None
        self._lost_at = time.monotonic() + self._options.lost_after_s
        self._changed.set()

    def _tell_lost(self) -> None:
        self._to_tell = self._to_tell or not self._is_told
        self._is_told = True
        self._lost_at = None
        self._changed.set()

    def _back(self) -> None:
        self._lost_at = None
        self._is_told = False
        self._resumed_at = time.monotonic()
        self._changed.set()
