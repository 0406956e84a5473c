"""One connection to a Modbus server or line, shared by the devices behind it."""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
import termios
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusTlsClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from edge_agent.drivers.modbus.options import BITS, Options, Table, TlsTable

Answer = Sequence[int] | Sequence[bool]

# Modbus Application Protocol V1.1b3, 7.
_EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still at work",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}
_FOR_GOOD: Final = frozenset({1, 2, 3})
_GATEWAY: Final = frozenset({10, 11})
_PARITY: Final = {"none": "N", "even": "E", "odd": "O"}

# What this driver has to say it says itself, once.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class NoAnswer(Exception):  # noqa: N818 (it is what happened)
    """A device, or the way to it, does not answer."""


class Refused(Exception):  # noqa: N818 (it is what happened)
    """A device does not give what was asked for; `for_good` when asking again will not help."""

    def __init__(self, reason: str, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good

    @classmethod
    def by(cls, code: int) -> Refused:
        """Return the refusal of an exception code."""
        reason = f"exception {code}: {_EXCEPTIONS.get(code, 'unknown')}"
        return cls(reason, code in _FOR_GOOD)


class Connection:
    """Requests one at a time, in the order in which they were asked.

    It connects when there is something to ask and the last connection is gone. `generation` grows
    with the first answer on each, so that who gave a device up can see that trying pays again.
    """

    def __init__(self, options: Options) -> None:
        """Prepare a connection; nothing touches the network yet.

        Raises:
            ValueError: a certificate or key cannot be read.
        """
        self._options = options
        self._tls = _context(options.tcp.tls) if options.tcp and options.tcp.tls else None
        self._gap_s = max(
            options.request_gap_s, options.serial.silence_s if options.serial else 0.0
        )
        self._client: ModbusBaseClient | None = None
        self._down: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()
        # RTU frames have no number: an answer that comes late would be taken for the next one.
        rtu = options.serial is not None or (options.tcp and options.tcp.framing == "rtu")
        self._quiet_s = options.timeout_s if rtu else 0.0
        self._quiet_until: dict[int, float] = {}
        self._tries = 0
        self._silent = self._proved = False
        self.generation = 0

    async def read(self, unit_id: int, table: Table, address: int, count: int) -> Answer:
        """Return registers, or bits of the tables that hold bits.

        Raises:
            NoAnswer: nothing came back, or not what was asked for.
            Refused: the device answered with an exception.
        """

        def ask(client: ModbusBaseClient) -> Awaitable[ModbusPDU]:
            read = {
                "holding": client.read_holding_registers,
                "input": client.read_input_registers,
                "coil": client.read_coils,
                "discrete": client.read_discrete_inputs,
            }[table]
            return read(address, count=count, device_id=unit_id)

        answer = await self._ask(unit_id, ask)
        if table in BITS:
            # Bits come in whole bytes.
            if len(answer.bits) >= count:
                return answer.bits[:count]
        elif len(answer.registers) == count:
            return answer.registers
        raise NoAnswer(f"{self._options.endpoint}, unit {unit_id}: not as many values as asked for")

    async def write(self, unit_id: int, function: int, address: int, raw: Sequence[int]) -> None:
        """Write coils (functions 5 and 15), registers (6 and 16) or a mask (22: and, or).

        Raises:
            NoAnswer: nothing came back; whether it was written is not known.
            Refused: the device answered with an exception.
        """

        def ask(client: ModbusBaseClient) -> Awaitable[ModbusPDU]:
            if function == 5:
                return client.write_coil(address, bool(raw[0]), device_id=unit_id)
            if function == 6:
                return client.write_register(address, raw[0], device_id=unit_id)
            if function == 15:
                return client.write_coils(address, [bool(r) for r in raw], device_id=unit_id)
            if function == 22:
                return client.mask_write_register(
                    address=address, and_mask=raw[0], or_mask=raw[1], device_id=unit_id
                )
            return client.write_registers(address, list(raw), device_id=unit_id)

        await self._ask(unit_id, ask)

    async def close(self) -> None:
        """Close it; the next request would open it again."""
        self._drop()

    async def _ask(
        self, unit_id: int, ask: Callable[[ModbusBaseClient], Awaitable[ModbusPDU]]
    ) -> ModbusPDU:
        """Ask, and ask again; other devices have their turn in between."""
        reason = ""
        for _ in range(self._options.retries + 1):
            await self._quiet(unit_id)
            tries = self._tries
            async with self._turn:
                if self._client is None and self._tries != tries:
                    # Another tried to connect while this one waited.
                    raise NoAnswer(f"{self._options.endpoint} cannot be reached")
                client, down = await self._open()
                try:
                    answer = await self._answered(ask(client), down)
                except ModbusException:
                    reason = (
                        "the connection was closed"
                        if down.done()
                        else f"no answer within {self._options.timeout_s:g} s"
                    )
                    if self._quiet_s:
                        self._quiet_until[unit_id] = time.monotonic() + self._quiet_s
                    continue
                finally:
                    if self._gap_s:
                        await asyncio.sleep(self._gap_s)
            self._silent = False
            if not self._proved:
                self._proved = True
                self.generation += 1
            if not answer.isError():
                return answer
            if answer.exception_code in _GATEWAY:
                said = _EXCEPTIONS[answer.exception_code]
                raise NoAnswer(f"{self._options.endpoint}, unit {unit_id}: {said}")
            raise Refused.by(answer.exception_code)
        if self._silent:
            # Nobody has answered since the last silence: perhaps nobody is there any more.
            self._drop()
        self._silent = True
        raise NoAnswer(f"{self._options.endpoint}, unit {unit_id}: {reason}")

    async def _quiet(self, unit_id: int) -> None:
        """Wait until an answer that a unit still owes would have come, and been dropped."""
        if until := self._quiet_until.pop(unit_id, 0.0):
            await asyncio.sleep(max(0.0, until - time.monotonic()))

    async def _answered(self, asked: Awaitable[ModbusPDU], down: asyncio.Future[None]) -> ModbusPDU:
        request = asyncio.ensure_future(asked)
        try:
            await asyncio.wait((request, down), return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                raise ModbusException("the connection was closed")
            return request.result()
        finally:
            request.cancel()

    async def _open(self) -> tuple[ModbusBaseClient, asyncio.Future[None]]:
        """Return the connection, made anew when there is none.

        Raises:
            NoAnswer: it cannot be made.
        """
        if self._client is not None and self._down is not None and not self._down.done():
            return self._client, self._down
        self._drop()
        self._tries += 1
        down: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def connected(there: bool) -> None:
            if not there and not down.done():
                down.set_result(None)

        client = self._made(connected)
        try:
            reached = await client.connect()
        except (OSError, ValueError, termios.error) as error:
            # A serial device that does not take the line's settings.
            raise NoAnswer(f"{self._options.endpoint} cannot be opened: {error}") from error
        if not reached:
            client.close()
            raise NoAnswer(f"{self._options.endpoint} cannot be reached")
        guard(client)
        self._client, self._down = client, down
        self._silent = self._proved = False
        return client, down

    def _made(self, connected: Callable[[bool], None]) -> ModbusBaseClient:
        options = self._options
        if options.serial is not None:
            line = options.serial
            return AsyncModbusSerialClient(
                line.device,
                baudrate=line.baudrate,
                parity=_PARITY[line.parity],
                stopbits=line.stop_bits,
                handle_local_echo=line.local_echo,
                timeout=options.timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_connect=connected,
            )
        assert options.tcp is not None
        if self._tls is not None:
            return AsyncModbusTlsClient(
                options.tcp.host,
                port=options.tcp.port,
                sslctx=self._tls,
                timeout=options.timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_connect=connected,
            )
        return AsyncModbusTcpClient(
            options.tcp.host,
            port=options.tcp.port,
            framer=FramerType.RTU if options.tcp.framing == "rtu" else FramerType.SOCKET,
            timeout=options.timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=connected,
        )

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._down is not None and not self._down.done():
            self._down.set_result(None)
        self._client = self._down = None


def guard(client: ModbusBaseClient) -> None:
    """Let what cannot be decoded pass as silence; the library would end the connection with it."""
    decode = client.ctx.callback_data

    def guarded(data: bytes, addr: tuple[str, int] | None = None) -> int:
        try:
            return decode(data, addr)
        except (ModbusException, ValueError, IndexError, struct.error):
            return len(data)

    client.ctx.callback_data = guarded  # type: ignore[method-assign]


def _context(table: TlsTable) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=table.ca)
        if table.certificate:
            context.load_cert_chain(table.certificate, table.key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tcp.tls: {table.ca} or {table.certificate}: {error}") from error
    return context
