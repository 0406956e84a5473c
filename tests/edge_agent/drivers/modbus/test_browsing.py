"""What a device lets be read, with and without points to go by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from edge_agent import drivers
from edge_agent.drivers.base import Point

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., dict[str, Any]]


async def browse(options: dict[str, Any]) -> list[Point]:
    return await drivers.kind("modbus").browse(drivers.options_of("modbus", options))


async def test_the_points_of_a_device_with_their_values(serve: Start, options: Make) -> None:
    server = await serve(
        {"holding": {0: 125, 5: 8}, "input": {a: a for a in range(20)}}, refused={("input", 3)}
    )
    points = [
        {
            "name": "Level",
            "unit": "%",
            "table": "holding",
            "address": 0,
            "scale": 0.1,
            "writable": True,
        },
        {"name": "Local", "table": "holding", "address": 5, "type": "bit", "bit": 3},
        {"name": "Gone", "table": "input", "address": 3, "location": "top"},
        {
            "name": "Wave",
            "table": "input",
            "address": 10,
            "type": "int16",
            "count": 8,
            "sample_rate_hz": 8.0,
            "period_s": 0.1,
        },
    ]
    found = await browse(options(server.port, points))
    assert found == [
        Point("D-1 holding 0", "Level", "uint16", "%", "12.5", writable=True),
        Point("D-1 holding 5 bit 3", "Local", "bit", "1", "1"),
        Point("D-1 input 3", "Gone", "uint16", "1", "exception 2: illegal address", False, "top"),
        Point("D-1 input 10", "Wave", "int16[8]", "1", "10"),
    ]


async def test_a_device_without_points_is_scanned_for_what_can_be_read(
    serve: Start, options: Make
) -> None:
    readable = {a: a for a in (*range(10, 15), *range(63, 66), 99)}
    server = await serve({"holding": readable, "coil": {0: 1, 1: 0, 2: 1}})
    found = await browse(options(server.port, [], scan_registers=100))
    assert [(p.address, p.kind, p.value, p.writable) for p in found if "holding" in p.address] == [
        ("D-1 holding 10", "uint16[5]", "10 11 12 13 14", True),
        ("D-1 holding 63", "uint16[3]", "63 64 65", True),
        ("D-1 holding 99", "uint16[1]", "99", True),
    ]
    (coils,) = [p for p in found if "coil" in p.address]
    assert coils.kind.startswith("bool[")
    assert coils.value.startswith("1 0 1 0")
    # Bounded, and nothing written.
    assert server.written == []
    assert all(address + count <= 100 for _, _, address, count in server.requests)


async def test_a_device_that_is_away_is_said_to_be(serve: Start, options: Make) -> None:
    server = await serve({"holding": {0: 1}})
    await server.stop()
    (point,) = await browse(
        options(server.port, [{"name": "Level", "table": "holding", "address": 0}])
    )
    assert "cannot be reached" in point.value
