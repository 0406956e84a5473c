"""The devices behind one Modbus connection as a driver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from edge_agent.drivers.base import Block, Device, Lost, WriteError
from edge_agent.drivers.modbus.connection import Connection, NoAnswer, Refused
from edge_agent.drivers.modbus.options import Options
from edge_agent.drivers.modbus.point import PointReader
from edge_agent.drivers.modbus.poller import Counts, Poller, Sleep
from edge_agent.drivers.modbus.registers import EncodeError

# Blocks that wait for an agent that is busy; when there are more, polls wait too.
_WAITING: Final = 256


class ModbusDriver:
    """Polls its devices side by side, and writes to them in between."""

    def __init__(
        self,
        options: Options,
        wall: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Prepare to poll; the clock comes in from outside.

        Raises:
            ValueError: a device has no points, or a certificate cannot be read.
        """
        for number, device in enumerate(options.devices):
            if not device.points:
                raise ValueError(
                    f"devices[{number}].points: {device.tag} has none; "
                    "`headrace edge browse` shows what it lets be read"
                )
            if all(point.is_waveform or not point.read for point in device.points):
                raise ValueError(
                    f"devices[{number}].points: {device.tag} has no single value to read; add one, "
                    "such as a waveform's sequence register"
                )
        self._connection = Connection(options)
        self._pollers = [
            Poller(device, self._connection, options.reconnect_max_s, wall, sleep)
            for device in options.devices
        ]
        self._writable = {
            device.tag: {
                point.name: (device.unit_id, PointReader.of(device, point))
                for point in device.points
                if point.writable
            }
            for device in options.devices
        }
        self._tasks: list[asyncio.Task[None]] = []

    def devices(self) -> Sequence[Device]:
        """Return the devices of the options."""
        return [poller.device() for poller in self._pollers]

    def counts(self) -> Mapping[str, Counts]:
        """Return what happened to the readings of each device."""
        return {poller.options.tag: poller.counts for poller in self._pollers}

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield the blocks of all devices as they are complete; of each one in order."""
        ready: asyncio.Queue[Block | Lost] = asyncio.Queue(_WAITING)
        self._tasks = [asyncio.create_task(poller.run(ready.put)) for poller in self._pollers]
        failed = asyncio.ensure_future(
            asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        )
        try:
            while not failed.done():
                if ready.empty():
                    item = asyncio.ensure_future(ready.get())
                    await asyncio.wait((item, failed), return_when=asyncio.FIRST_COMPLETED)
                    if not item.done():
                        item.cancel()
                        break
                    yield item.result()
                else:
                    yield ready.get_nowait()
            for task in self._tasks:
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            failed.cancel()
            await self.close()

    def writable(self, device: str) -> Mapping[str, str]:
        """Return the writable points of a device with their units."""
        return {
            name: point.options.unit for name, (_, point) in self._writable.get(device, {}).items()
        }

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        """Write a value to its coil or registers, in the point's unit.

        Raises:
            WriteError: there is no such point, the value does not fit, or the device refused it.
        """
        found = self._writable.get(device, {}).get(name)
        if found is None:
            raise WriteError(f"{device}: {name!r} is not writable")
        unit_id, point = found
        try:
            raw = point.raw(float(value))
            await self._connection.write(unit_id, point.options.function, point.span.address, raw)
        except (EncodeError, NoAnswer, Refused, ValueError) as error:
            raise WriteError(f"{device} {name}: {error}") from error

    async def close(self) -> None:
        """Stop polling and close the connection."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.close()
