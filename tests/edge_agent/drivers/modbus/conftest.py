"""Servers with a real Modbus stack, and a clock that stands until it is told."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent import drivers
from edge_agent.drivers.base import Block, Lost
from edge_agent.drivers.modbus import ModbusDriver, Options

PATIENCE_S = 20.0
TABLES = ("coil", "discrete", "holding", "input")
READS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


class Clock:
    """Time that moves only by `advance`; sleepers wake in the order of their times.

    `ahead` is what the wall clock was set by; sleepers do not see it.
    """

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.ahead = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._changed = asyncio.Condition()

    def time(self) -> float:
        return self.now + self.ahead

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with self._changed:
            heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
            self._changed.notify_all()
        await woken

    async def asleep(self, sleepers: int = 1) -> None:
        """Wait until so many sleep."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self._sleepers) >= sleepers)

    async def advance(self, seconds: float, sleepers: int = 1) -> None:
        """Move on; first wait until so many sleep, so that nobody is left behind."""
        await self.asleep(sleepers)
        until = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= until + 1e-9:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        self.now = until


@dataclass
class Served:
    """A Modbus server with given tables; it counts requests and can refuse, stall or be away."""

    tables: dict[str, dict[int, int]]
    units: tuple[int, ...] = (1,)
    refused: set[tuple[str, int]] = field(default_factory=set)
    exception: ExcCodes = ExcCodes.ILLEGAL_ADDRESS
    silent: set[int] = field(default_factory=set)
    silent_at: set[tuple[str, int]] = field(default_factory=set)
    slow_s: Mapping[int, float] = field(default_factory=dict)
    requests: list[tuple[int, str, int, int]] = field(default_factory=list)
    written: list[tuple[int, int, list[int]]] = field(default_factory=list)
    port: int = 0
    server: ModbusTcpServer | None = None

    async def start(self) -> None:
        devices = [
            SimDevice(unit, simdata=self._blocks(), action=self._action(unit))
            for unit in self.units
        ]
        self.server = ModbusTcpServer(devices, address=("127.0.0.1", self.port))
        await self.server.serve_forever(background=True)
        transport = self.server.transport
        assert isinstance(transport, asyncio.Server)
        self.port = transport.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self.server is not None:
            server, self.server = self.server, None
            await server.shutdown()

    def _blocks(self) -> Any:
        def run(table: str) -> list[SimData]:
            values = self.tables.get(table) or {0: 0}
            if table in ("coil", "discrete"):
                bits = [bool(values.get(i)) for i in range(max(values) + 1)]
                return [SimData(0, values=bits, datatype=DataType.BITS)]
            return [
                SimData(address, values=values[address], datatype=DataType.REGISTERS)
                for address in sorted(values)
            ]

        return tuple(run(table) for table in TABLES)

    def _action(self, unit: int) -> Callable[..., Awaitable[ExcCodes | None]]:
        async def action(
            function: int,
            first: int,
            address: int,
            number: int,
            registers: list[int],
            values: list[int] | None,
        ) -> ExcCodes | None:
            if values is not None:
                self.written.append((function, address, [int(v) for v in values]))
                return None
            table = READS.get(function)
            if table is None:
                return None
            self.requests.append((unit, table, address, number))
            if delay := self.slow_s.get(unit):
                await asyncio.sleep(delay)
            asked = {(table, at) for at in range(address, address + number)}
            if unit in self.silent or asked & self.silent_at:
                await asyncio.Event().wait()
            if asked & self.refused:
                return self.exception
            if table in ("holding", "input"):
                for at, value in self.tables.get(table, {}).items():
                    registers[at - first] = value
            return None

        return action


@dataclass
class Taking:
    """A driver that runs, and what it yields, one by one."""

    driver: ModbusDriver
    items: AsyncIterator[Block | Lost]

    async def next(self) -> Block | Lost:
        async with asyncio.timeout(PATIENCE_S):
            return await anext(self.items)

    async def block(self) -> Block:
        item = await self.next()
        assert isinstance(item, Block), item
        return item

    async def lost(self) -> Lost:
        item = await self.next()
        assert isinstance(item, Lost), item
        return item

    async def until(self, enough: Callable[[Block | Lost], bool]) -> Block | Lost:
        while not enough(item := await self.next()):
            pass
        return item


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Start servers; they are gone after the test."""
    running: list[Served] = []

    async def start(tables: dict[str, dict[int, int]], **given: Any) -> Served:
        server = Served(tables, **given)
        running.append(server)
        await server.start()
        return server

    yield start
    for server in running:
        await server.stop()


@pytest.fixture
async def run() -> AsyncIterator[Callable[..., Taking]]:
    """Run drivers; they are closed after the test."""
    running: list[Taking] = []

    def start(options: Mapping[str, Any], clock: Clock | None = None) -> Taking:
        checked = drivers.options_of("modbus", options)
        assert isinstance(checked, Options)
        driver = (
            ModbusDriver(checked)
            if clock is None
            else ModbusDriver(checked, clock.time, clock.sleep)
        )
        taking = Taking(driver, driver.blocks())
        running.append(taking)
        return taking

    yield start
    for taking in running:
        await taking.driver.close()
        await taking.items.aclose()


@pytest.fixture
def options() -> Callable[..., dict[str, Any]]:
    """Make the options of one device, or of several."""

    def make(port: int, points: Any = None, devices: Any = None, **given: Any) -> dict[str, Any]:
        device = {"tag": "D-1", "equipment_class": "tank", "period_s": 0.05, "block_s": 0.1}
        own = {k: given.pop(k) for k in list(given) if k in OF_A_DEVICE}
        if devices is None:
            devices = [{**device, "points": points, **own}]
        return {
            "tcp": {"host": "127.0.0.1", "port": port},
            "timeout_s": 0.3,
            "reconnect_max_s": 0.1,
            "devices": devices,
            **given,
        }

    return make


OF_A_DEVICE = {
    "unit_id",
    "period_s",
    "block_s",
    "word_order",
    "byte_order",
    "max_registers",
    "max_gap",
    "scan_registers",
}
