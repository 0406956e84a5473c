"""Ask a device what it lets be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from edge_agent.drivers.base import Point
from edge_agent.drivers.modbus.connection import Answer, Connection, NoAnswer, Refused
from edge_agent.drivers.modbus.options import ADDRESSES, BITS, DeviceTable, Options, Table
from edge_agent.drivers.modbus.point import PointReader

_TABLES: Final[tuple[Table, ...]] = ("holding", "input", "coil", "discrete")
_WINDOW: Final = 64
_SHOWN: Final = 8


async def browse(options: Options) -> list[Point]:
    """Return the points of each device with their values now; of one without points, what it has.

    Such a device is scanned: each table from 0 on, `scan_registers` far. What it lets be read comes
    as ranges with their first registers; nothing is written.
    """
    connection = Connection(options)
    try:
        found: list[Point] = []
        for device in options.devices:
            if device.points:
                found += [await _asked(connection, device, p) for p in _readers(device)]
            else:
                found += await _scanned(connection, device)
        return found
    finally:
        await connection.close()


def _readers(device: DeviceTable) -> list[PointReader]:
    return [PointReader.of(device, point) for point in device.points]


async def _asked(connection: Connection, device: DeviceTable, point: PointReader) -> Point:
    try:
        raw = await connection.read(
            device.unit_id, point.table, point.span.address, point.registers
        )
        value = f"{point.value(raw):.6g}"
    except (NoAnswer, Refused) as error:
        value = str(error)
    kind = point.options.kind
    return Point(
        address=f"{device.tag} {point.address}",
        name=point.name,
        kind=f"{kind}[{point.options.count}]" if point.options.is_waveform else kind,
        unit=point.options.unit,
        value=value,
        writable=point.options.writable,
        description=point.options.location,
    )


async def _scanned(connection: Connection, device: DeviceTable) -> list[Point]:
    points: list[Point] = []
    for table in _TABLES:
        async for first, raw in _ranges(connection, device, table):
            shown = " ".join(str(int(value)) for value in raw[:_SHOWN])
            points.append(
                Point(
                    address=f"{device.tag} {table} {first}",
                    name=f"{table} {first} to {first + len(raw) - 1}",
                    kind=f"{'bool' if table in BITS else 'uint16'}[{len(raw)}]",
                    value=shown + (" …" if len(raw) > _SHOWN else ""),
                    writable=table in ("holding", "coil"),
                )
            )
    return points


async def _ranges(
    connection: Connection, device: DeviceTable, table: Table
) -> AsyncIterator[tuple[int, list[int]]]:
    """Yield the readable ranges of a table: where each begins and what it holds."""
    end = min(device.scan_registers, ADDRESSES)
    window = min(_WINDOW, device.max_registers)
    first, held = 0, list[int]()
    for at in range(0, end, window):
        for start, raw in await _window(connection, device, table, at, min(window, end - at)):
            if start != first + len(held):
                if held:
                    yield first, held
                first, held = start, []
            held += [int(value) for value in raw]
    if held:
        yield first, held


async def _window(
    connection: Connection, device: DeviceTable, table: Table, address: int, count: int
) -> list[tuple[int, Answer]]:
    """Return the readable parts of a window, halving it as long as a whole is refused.

    A table whose very first window is refused down to the last register costs two requests a
    register; a device that stays silent where it should refuse ends the scan of the window.
    """
    try:
        return [(address, await connection.read(device.unit_id, table, address, count))]
    except NoAnswer:
        return []
    except Refused:
        if count == 1:
            return []
    half = count // 2
    return [
        *await _window(connection, device, table, address, half),
        *await _window(connection, device, table, address + half, count - half),
    ]
