"""The plant as a Modbus server: TCP, TLS, or RTU on a serial line.

The register map is firmware_sim/servers/modbus_map.py's, which prints it too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Final, get_args

import structlog
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusBaseServer, ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from firmware_sim.servers.base import RATE_SETPOINT, LivePlant, Now
from firmware_sim.servers.modbus_map import FOLLOW_PLAN, Image, Order, Table

log = structlog.get_logger(__name__)

_READ: Final[dict[int, Table]] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_WRITE: Final[dict[int, Table]] = {5: "coil", 15: "coil", 6: "holding", 16: "holding"}

Action = Callable[..., Coroutine[None, None, ExcCodes | None]]


class ModbusPlant:
    """A plant behind Modbus: a unit id a machine, tables that follow it, set-points."""

    def __init__(
        self, plant: LivePlant, word_order: Order = "big", byte_order: Order = "big"
    ) -> None:
        self._plant = plant
        self._images = {
            tag: Image(device, word_order, byte_order) for tag, device in plant.devices.items()
        }
        self._changed: dict[tuple[str, Table], bool] = {}
        self._server: ModbusBaseServer | None = None
        self.reads = 0
        plant.listen(self._show)

    def unit_id(self, tag: str) -> int:
        """Return the unit id of a machine."""
        return 1 + list(self._images).index(tag)

    async def open(self, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Listen on TCP, with a context on TLS; return the port, a free one for 0.

        Raises:
            OSError: the port is taken.
        """
        address = (host, port)
        self._server = (
            ModbusTcpServer(self._devices(), address=address)
            if context is None
            else ModbusTlsServer(self._devices(), address=address, sslctx=context)
        )
        await self._begin(f"{host}:{port}")
        listening = self._server.transport
        assert isinstance(listening, asyncio.Server)
        bound: int = listening.sockets[0].getsockname()[1]
        self._say(f"{host}:{bound}")
        return bound

    async def open_serial(self, device: str, baudrate: int = 19_200, parity: str = "E") -> None:
        """Answer RTU frames on a serial line.

        Raises:
            OSError: the line cannot be opened.
        """
        self._server = ModbusSerialServer(
            self._devices(),
            framer=FramerType.RTU,
            port=device,
            baudrate=baudrate,
            parity=parity,
            ignore_missing_devices=True,
        )
        await self._begin(device)
        self._say(device)

    async def close(self) -> None:
        """Stop listening and end every connection; the machines run on."""
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()  # type: ignore[no-untyped-call]

    async def _begin(self, place: str) -> None:
        assert self._server is not None
        try:
            await self._server.serve_forever(background=True)
        except RuntimeError as error:
            self._server = None
            raise OSError(f"cannot listen on {place}") from error

    def _say(self, place: str) -> None:
        log.info("listening", protocol="modbus", place=place, units=len(self._images))

    def _devices(self) -> list[SimDevice]:
        return [
            SimDevice(self.unit_id(tag), simdata=_blocks(image), action=self._action(tag))
            for tag, image in self._images.items()
        ]

    async def _show(self, now: Now) -> None:
        tag = now.device.tag
        self._images[tag].show(now)
        self._changed[tag, "input"] = self._changed[tag, "discrete"] = True

    def _action(self, tag: str) -> Action:
        image = self._images[tag]
        for table in image.tables:
            self._changed[tag, table] = True

        async def action(
            function: int,
            first: int,
            address: int,
            count: int,
            registers: list[int],
            values: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            # The server's copy is brought up to date in one go, so that an answer is of one moment.
            if values is not None:
                return self._written(tag, _WRITE[function], address, list(map(int, values)))
            self.reads += 1
            table = _READ.get(function)
            if table is not None and self._changed.pop((tag, table), False):
                shown = image.tables[table]
                if table in ("coil", "discrete"):
                    shown = _packed(shown)
                registers[: len(shown) - first] = shown[first:]
            return None

        return action

    def _written(self, tag: str, table: Table, address: int, values: list[int]) -> ExcCodes | None:
        """Give a machine what was written, if it is a set-point that it takes."""
        image = self._images[tag]
        if table == "coil":
            if address != FOLLOW_PLAN or values != [1]:
                return ExcCodes.ILLEGAL_VALUE
            rate: float | None = 0.0
        else:
            rate = image.rate(address, values)
        if rate is None:
            return ExcCodes.ILLEGAL_VALUE
        try:
            self._plant.write(tag, RATE_SETPOINT, rate)
        except ValueError as error:
            log.warning("set-point refused", device=tag, reason=str(error))
            return ExcCodes.ILLEGAL_VALUE
        image.set_rate(rate)
        self._changed[tag, "holding"] = self._changed[tag, "coil"] = True
        return None


def _blocks(
    image: Image,
) -> tuple[list[SimData], list[SimData], list[SimData], list[SimData]]:
    """Return coils, discrete inputs, holding and input registers; what lies between is illegal."""

    def bits(table: Table) -> list[SimData]:
        values = [bool(bit) for bit in image.tables[table]]
        return [SimData(0, values=values, datatype=DataType.BITS)]

    def words(table: Table) -> list[SimData]:
        return [
            SimData(at, values=image.tables[table][at : at + count], datatype=DataType.REGISTERS)
            for at, count in image.runs(table)
        ]

    return bits("coil"), bits("discrete"), words("holding"), words("input")


def _packed(bits: list[int]) -> list[int]:
    """Return bits in registers, the first in the lowest place."""
    return [
        sum(bit << place for place, bit in enumerate(bits[at : at + 16]))
        for at in range(0, len(bits), 16)
    ]


def _order(name: str, given: str) -> Order:
    if given not in get_args(Order):
        raise ValueError(f"{name}: {given!r} is neither big nor little")
    return "big" if given == "big" else "little"


async def serve(
    plant: LivePlant,
    host: str,
    port: int,
    word_order: str = "big",
    byte_order: str = "big",
    serial: str = "",
    certificate: str = "",
    key: str = "",
) -> None:
    """Serve a plant until it ends; `serial` is a line's device, `certificate` and `key` make TLS.

    Raises:
        ValueError: an order is unknown.
        OSError: the port or line is taken, or the certificate cannot be read.
    """
    server = ModbusPlant(plant, _order("word_order", word_order), _order("byte_order", byte_order))
    if serial:
        await server.open_serial(serial)
    else:
        context = None
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, key or None)
        await server.open(host, port, context)
    try:
        await plant.run()
    finally:
        await server.close()
