"""Polling real servers: on time, through refusals, silence, garbage and restarts."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from pymodbus.constants import ExcCodes

from edge_agent.drivers.base import BAD, Block, Lost, Writer

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]


def holding(*addresses: int, **given: Any) -> list[dict[str, Any]]:
    return [{"name": f"R{a}", "table": "holding", "address": a, **given} for a in addresses]


async def test_readings_lie_on_the_grid_and_travel_together(
    serve: Start, run: Make, options: Make, clock: Any
) -> None:
    server = await serve({"holding": {0: 0, 1: 0, 2: 0}})
    clock.now = 1_000_003.4
    points = [*holding(0), *holding(1, period_s=2.5), *holding(2, period_s=20.0)]
    taking = run(options(server.port, points, period_s=1.0, block_s=10.0), clock)
    first = asyncio.ensure_future(taking.block())
    blocks: list[Block] = []
    for _ in range(60):
        await clock.asleep()
        server.tables["holding"] = dict.fromkeys(range(3), round(clock.now) % 60_000)
        await clock.advance(0.5)
        if first.done():
            blocks.append(first.result())
            first = asyncio.ensure_future(taking.block())
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    # The first begins where both channels that have several samples in it have one: every 5 s.
    assert [b.start_time_ms for b in blocks] == [1_000_005_000, 1_000_010_000, 1_000_020_000]
    assert [{n: len(s) for n, s in b.samples.items()} for b in blocks] == [
        {"R0": 5, "R1": 2},
        {"R0": 10, "R1": 4},
        {"R0": 10, "R1": 4, "R2": 1},
    ]
    assert not any(b.quality for b in blocks)
    # The value is the second at which it was read (the table changes on the way there).
    second = blocks[1].start_time_ms // 1000 % 60_000
    assert blocks[1].samples["R0"] == pytest.approx(second + np.arange(10), abs=1)
    assert taking.driver.counts()["D-1"].missed == 0


async def test_a_clock_that_is_set_moves_the_grid(
    serve: Start, run: Make, options: Make, clock: Any
) -> None:
    server = await serve({"holding": {0: 5}})
    taking = run(options(server.port, holding(0), period_s=1.0, block_s=1.0), clock)
    for step_s in (0.0, 86_400.0, -3_600.0, -86_400.0):
        clock.ahead += step_s

        def is_now(item: Any) -> bool:
            return abs(item.start_time_ms - 1000 * clock.time()) <= 2_000

        block = asyncio.ensure_future(taking.until(is_now))
        while not block.done():
            await clock.advance(0.5)
            await asyncio.sleep(0)
        assert block.result().start_time_ms % 1000 == 0
        assert block.result().samples["R0"].tolist() == [5.0]
    # A reading may have been under way at each step, none more.
    assert taking.driver.counts()["D-1"].missed <= 3


async def test_a_server_that_goes_is_lost_once_and_comes_back(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {0: 42}})
    taking = run(options(server.port, holding(0)))
    assert set((await taking.block()).samples["R0"]) == {42.0}
    for value in (43, 44):
        await server.stop()
        lost = await taking.until(lambda item: isinstance(item, Lost))
        assert lost.device == "D-1"
        assert str(server.port) in lost.reason
        server.tables["holding"][0] = value
        await server.start()
        # Nothing but a block follows: it is lost once, however often it was tried.
        block = await taking.block()
        assert set(block.samples["R0"][~np.isnan(block.samples["R0"])]) == {float(value)}
    assert taking.driver.counts()["D-1"].lost == 2


async def test_a_server_that_was_never_there_is_waited_for(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {0: 1}})
    await server.stop()
    taking = run(options(server.port, holding(0)))
    assert (await taking.lost()).device == "D-1"
    await server.start()
    assert (await taking.block()).device == "D-1"


async def test_an_address_that_is_refused_costs_that_point_only(
    serve: Start, run: Make, options: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await serve({"holding": {a: a for a in range(40)}}, refused={("holding", 7)})
    points = [*holding(*range(0, 20, 1)), *holding(30)]
    taking = run(options(server.port, points))
    for _ in range(4):
        block = await taking.block()
    assert block.quality == {"R7": BAD}
    assert np.isnan(block.samples["R7"]).all()
    for address in (*range(7), *range(8, 20), 30):
        assert block.samples[f"R{address}"].tolist() == [float(address)] * 2
    # The others are read together again, on both sides of it.
    newest = set(server.requests[-6:])
    assert newest == {(1, "holding", 0, 7), (1, "holding", 8, 12), (1, "holding", 30, 1)}
    assert capsys.readouterr().out.count("point refused") == 1

    # Back when the device is.
    server.refused.clear()
    await server.stop()
    await taking.until(lambda item: isinstance(item, Lost))
    await server.start()
    block = await taking.until(lambda item: isinstance(item, Block) and not item.quality)
    assert set(block.samples["R7"]) == {7.0}


async def test_what_a_device_is_silent_to_is_left_out_and_the_device_is_not_lost(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {a: a for a in range(40)}}, silent_at={("holding", 21)})
    taking = run(options(server.port, holding(0, 20, 21, 22), timeout_s=0.1, retries=0))
    block = await taking.until(lambda item: item.quality == {"R21": BAD})
    assert {n: v[-1] for n, v in block.samples.items() if n != "R21"} == {
        "R0": 0.0, "R20": 20.0, "R22": 22.0
    }  # fmt: skip
    assert taking.driver.counts()["D-1"].lost == 0


async def test_a_device_whose_first_point_is_refused_is_away_until_it_answers(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {0: 0, 1: 1}}, refused={("holding", 0)})
    taking = run(options(server.port, holding(0, 1)))
    await taking.until(lambda item: item.quality == {"R0": BAD})
    await server.stop()
    await taking.until(lambda item: isinstance(item, Lost))
    knocks = asyncio.Semaphore(0)

    async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        knocks.release()

    async with await asyncio.start_server(shut, "127.0.0.1", server.port):
        for _ in range(3):
            await knocks.acquire()
    await server.start()
    assert isinstance(await taking.next(), Block)
    assert taking.driver.counts()["D-1"].lost == 1


async def test_what_was_read_before_a_loss_goes_out_before_it(
    serve: Start, run: Make, options: Make, clock: Any
) -> None:
    server = await serve({"holding": {0: 6, 1: 7}})
    clock.now = 1_000_000.0
    points = [*holding(0), *holding(1, period_s=2.0)]
    taking = run(options(server.port, points, period_s=1.0, block_s=10.0), clock)
    item = asyncio.ensure_future(taking.next())
    for _ in range(5):
        await clock.advance(1.0)
    await clock.asleep()
    await server.stop()
    while not item.done():
        await clock.advance(1.0)
        await asyncio.sleep(0)
    block = item.result()
    assert block.start_time_ms == 1_000_000_000
    assert {n: v.tolist() for n, v in block.samples.items()} == {
        "R0": [6.0] * len(block.samples["R0"]),
        "R1": [7.0] * -(-len(block.samples["R0"]) // 2),
    }
    assert 5 <= len(block.samples["R0"]) < 10
    assert isinstance(await taking.next(), Lost)


async def test_a_gap_that_may_not_be_read_is_not_read_again(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {0: 10, 1: 11, 4: 14}})
    taking = run(options(server.port, holding(0, 1, 4)))
    for _ in range(3):
        block = await taking.block()
    assert {n: v[-1] for n, v in block.samples.items()} == {"R0": 10, "R1": 11, "R4": 14}
    assert not block.quality
    assert server.requests[-2:] == [(1, "holding", 0, 2), (1, "holding", 4, 1)]


async def test_a_busy_device_has_no_value_for_now(serve: Start, run: Make, options: Make) -> None:
    server = await serve({"holding": {0: 9}}, exception=ExcCodes.DEVICE_BUSY)
    taking = run(options(server.port, holding(0)))
    await taking.block()
    server.refused.add(("holding", 0))
    block = await taking.until(lambda item: item.quality == {"R0": BAD})
    assert np.isnan(block.samples["R0"]).any()
    server.refused.clear()
    assert await taking.until(lambda item: not item.quality)
    assert taking.driver.counts()["D-1"].lost == 0


def two_units(port: int, options: Make, **given: Any) -> dict[str, Any]:
    devices = [
        {
            "tag": f"D-{unit}",
            "equipment_class": "tank",
            "unit_id": unit,
            "period_s": 0.05,
            "block_s": 0.05,
            "points": holding(0),
        }
        for unit in (1, 2)
    ]
    return dict(options(port, devices=devices, **given))


async def test_units_share_a_connection_and_a_silent_one_does_not_starve_the_other(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {0: 3}}, units=(1, 2), silent={1})
    taking = run(two_units(server.port, options, timeout_s=0.2, retries=1, reconnect_max_s=0.2))
    seen: list[Any] = []
    # Through several tries to reach the silent one.
    await taking.until(
        lambda item: bool(seen.append(item)) or sum(r[0] == 1 for r in server.requests) >= 6
    )
    assert [item for item in seen if isinstance(item, Lost)] == [
        Lost("D-1", f"127.0.0.1:{server.port}, unit 1: no answer within 0.2 s")
    ]
    assert {item.device for item in seen if isinstance(item, Block)} == {"D-2"}
    assert taking.driver.counts()["D-2"].lost == 0
    # Between two tries for the silent unit the other had its turn.
    units = [request[0] for request in server.requests]
    assert all(2 in units[a + 1 : b] for a, b in pairs(units))
    server.silent.clear()
    block = await taking.until(lambda item: item.device == "D-1")
    assert isinstance(block, Block)


def pairs(units: list[int]) -> list[tuple[int, int]]:
    places = [i for i, unit in enumerate(units) if unit == 1]
    return list(itertools.pairwise(places))


async def test_one_connection_for_all_units(serve: Start, run: Make, options: Make) -> None:
    server = await serve({"holding": {0: 3}}, units=(1, 2))
    taking = run(two_units(server.port, options))
    await taking.until(lambda item: item.device == "D-1")
    await taking.until(lambda item: item.device == "D-2")
    assert len(server.server.active_connections) == 1


async def test_a_device_slower_than_its_period_misses_readings(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {0: 3}}, slow_s={1: 0.12})
    taking = run(options(server.port, holding(0), period_s=0.05, block_s=0.5))
    block = await taking.until(lambda item: len(item.samples["R0"]) == 10)
    missing = np.isnan(block.samples["R0"])
    assert 0 < missing.sum() < 10
    assert block.quality == {"R0": BAD}
    assert taking.driver.counts()["D-1"].missed >= missing.sum()
    assert taking.driver.counts()["D-1"].lost == 0


async def test_what_goes_wrong_inside_ends_the_driver(
    serve: Start, run: Make, options: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve({"holding": {0: 3}})
    taking = run(options(server.port, holding(0)))
    await taking.block()

    async def broken(*_: Any) -> None:
        raise ArithmeticError("no such number")

    monkeypatch.setattr("edge_agent.drivers.modbus.reading.Reading.values", broken)
    with pytest.raises(ArithmeticError, match="no such number"):
        await taking.until(lambda item: False)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x00\x00\x00\x05\x01\x03\x04\x00\x01",  # cut off
        b"\x00\x01\x00\x00\x00\x03\x01\x63\x00",  # no such function
        b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00",  # shorter than it says
        b"\x00\x01\x00\x00\x00\x07\x01\x03\x04\x00\x01\x00\x02",  # two registers for one
        b"\x00\x01\x99\x99\x00\x05\x01\x03\x02\x00\x01",  # another protocol
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 600,
        b"\x00" * 8,
    ],
)
async def test_garbage_is_no_answer(garbage: bytes, serve: Start, run: Make, options: Make) -> None:
    server = await serve({"holding": {0: 3}})
    bad = 3

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal bad
        real_reader, real_writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            while request := await reader.read(1024):
                if bad:
                    bad -= 1
                    writer.write(request[:2] + garbage[2:])
                    continue
                real_writer.write(request)
                writer.write(await real_reader.read(1024))
        finally:
            writer.close()
            real_writer.close()

    proxy = await asyncio.start_server(between, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    taking = run(options(port, holding(0), timeout_s=0.1, retries=0))
    block = await taking.until(lambda item: isinstance(item, Block) and not item.quality)
    assert set(block.samples["R0"]) == {3.0}
    assert bad == 0
    await taking.driver.close()
    proxy.close()


WAVE = {
    "name": "Vibration",
    "table": "input",
    "address": 10,
    "type": "int16",
    "count": 8,
    "sample_rate_hz": 80.0,
    "sequence_address": 0,
}


async def test_a_waveform_is_taken_once_and_whole(serve: Start, run: Make, options: Make) -> None:
    server = await serve({"input": {0: 1, 1: 0, **dict.fromkeys(range(10, 18), 1)}})
    points = [{"name": "Level", "table": "input", "address": 1}, WAVE]
    taking = run(options(server.port, points, period_s=0.1, max_registers=4))

    def has(item: Any) -> bool:
        return isinstance(item, Block) and "Vibration" in item.samples

    assert (await taking.until(has)).samples["Vibration"].tolist() == [1.0] * 8
    # The same one is not read again.
    assert not has(await taking.block())
    assert not has(await taking.block())
    # One that changes while it is read: its half is dropped, the new one read.
    server.tables["input"] |= {0: 2, **dict.fromkeys(range(10, 18), 2)}
    torn = asyncio.Event()
    requests = server.requests

    class Tearing(list[tuple[int, str, int, int]]):
        def append(self, request: tuple[int, str, int, int]) -> None:
            if request[2] == 14 and not torn.is_set():
                torn.set()
                server.tables["input"] |= {0: 3, **dict.fromkeys(range(10, 18), 3)}
            requests.append(request)

    server.requests = Tearing()
    assert (await taking.until(has)).samples["Vibration"].tolist() == [3.0] * 8
    assert torn.is_set()


WRITABLE = [
    {"name": "Level", "table": "holding", "address": 0},
    {"name": "Rate", "unit": "%", "table": "holding", "address": 1, "scale": 0.1, "offset": -10.0},
    {"name": "Flow", "unit": "m3/h", "table": "holding", "address": 2, "type": "float32"},
    {"name": "Valve", "table": "coil", "address": 0},
    {"name": "Valves", "table": "coil", "address": 1, "write_function": 15},
    {"name": "Enable", "table": "holding", "address": 4, "type": "bit", "bit": 3},
    {"name": "Long", "table": "holding", "address": 5, "write_function": 16},
]


async def test_values_are_written_with_the_function_that_fits(
    serve: Start, run: Make, options: Make
) -> None:
    server = await serve(
        {"holding": dict.fromkeys(range(8), 0), "coil": dict.fromkeys(range(16), 0)}
    )
    points = [{**p, "writable": p["name"] != "Level"} for p in WRITABLE]
    driver = run(options(server.port, points, word_order="little")).driver
    assert isinstance(driver, Writer)
    assert driver.writable("D-1") == {
        "Rate": "%", "Flow": "m3/h", "Valve": "1", "Valves": "1", "Enable": "1", "Long": "1"
    }  # fmt: skip
    assert driver.writable("D-2") == {}
    for name, value in (
        ("Rate", 12.5),
        ("Flow", 123.456),
        ("Valve", True),
        ("Valves", 1.0),
        ("Enable", True),
        ("Long", "77"),
    ):
        await driver.write("D-1", name, value)
    assert server.written == [
        (6, 1, [225]),
        (16, 2, [0xE979, 0x42F6]),
        (5, 0, [1]),
        (15, 1, [1]),
        (22, 4, [0x0008]),
        (16, 5, [77]),
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Level", 1.0, "not writable"),
        ("Colour", 1.0, "not writable"),
        ("Rate", 1e6, "uint16"),
        ("Rate", math.nan, "uint16"),
        ("Rate", "fast", "fast"),
        ("Valve", 0.5, "neither on nor off"),
        ("Flow", 1.0, "exception 2: illegal address"),
    ],
)
async def test_a_write_that_fails_says_why(
    name: str, value: Any, said: str, serve: Start, run: Make, options: Make
) -> None:
    server = await serve({"holding": {0: 0, 1: 0}, "coil": {0: 0}})
    points = [{**p, "writable": p["name"] != "Level"} for p in WRITABLE[:4]]
    driver = run(options(server.port, points)).driver
    with pytest.raises(Exception, match=said) as failed:
        await driver.write("D-1", name, value)
    assert type(failed.value).__name__ == "WriteError"
    assert server.written == []
