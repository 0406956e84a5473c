"""The plant behind Modbus, asked by a plain client."""

from __future__ import annotations

import asyncio
import math
import struct
import tomllib
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from pymodbus.client import AsyncModbusTcpClient

from edge_agent import drivers, settings
from firmware_sim.driver import DEFAULT_START_MS, DriverOptions, PlantDriver
from firmware_sim.plant import MACHINES, Plant
from firmware_sim.servers.base import RATE_SETPOINT, LivePlant, is_slow
from firmware_sim.servers.modbus import ModbusPlant
from firmware_sim.servers.modbus_gateway import driver_options, gateway_file, table_of
from firmware_sim.servers.modbus_map import (
    FLOATS,
    NOTHING,
    WAVEFORM_STEP,
    WAVEFORMS,
    WHOLES,
    Image,
    entries,
    step,
)

DEVICES = Plant(1, 0).devices("live")


class Steps:
    """A plant that goes a block at a time."""

    def __init__(self, **options: Any) -> None:
        self._tokens = asyncio.Semaphore(0)
        self._moved = asyncio.Event()
        self.now = 1_000_000.0
        self.plant = LivePlant(
            PlantDriver(
                DriverOptions(
                    speed=1.0, start_ms=DEFAULT_START_MS, vibration_interval_s=1, **options
                ),
                lambda: self.now,
                self._sleep,
            )
        )

    async def _sleep(self, seconds: float) -> None:
        self._moved.set()
        await self._tokens.acquire()
        self.now += seconds

    async def step(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            await asyncio.wait_for(self._moved.wait(), 20)
            self._moved.clear()
            self._tokens.release()
        await asyncio.wait_for(self._moved.wait(), 20)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    running: list[Any] = []

    async def start(**options: Any) -> tuple[Steps, ModbusPlant, AsyncModbusTcpClient]:
        steps = Steps(**options)
        server = ModbusPlant(steps.plant)
        port = await server.open("127.0.0.1", 0)
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0)
        assert await client.connect()
        running.append((asyncio.create_task(steps.plant.run()), server, client))
        return steps, server, client

    yield start
    for task, server, client in running:
        client.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.close()


def floats(registers: list[int]) -> list[float]:
    data = struct.pack(f">{len(registers)}H", *registers)
    return list(struct.unpack(f">{len(registers) // 2}f", data))


async def test_every_machine_has_a_unit_that_says_what_it_says(
    serve: Callable[..., Any],
) -> None:
    steps, server, client = await serve()
    for sequence in (1, 2, 3):
        await steps.step()
        for tag, device in steps.plant.devices.items():
            unit, now = server.unit_id(tag), steps.plant.now(tag)
            head = await client.read_input_registers(0, count=5, device_id=unit)
            assert head.registers[0] == now.sequence == sequence
            data = struct.pack(">4H", *head.registers[1:5])
            assert struct.unpack(">Q", data)[0] == now.time_ms
            count = len(now.slow)
            slow = await client.read_input_registers(FLOATS, count=2 * count, device_id=unit)
            assert floats(slow.registers) == [np.float32(v) for v in now.slow.values()]
            whole = await client.read_input_registers(WHOLES, count=count, device_id=unit)
            scales = [e.scale for e in entries(device) if WHOLES <= e.address < WAVEFORMS]
            signed = np.array(whole.registers, np.uint16).astype(np.int16)
            assert signed * scales == pytest.approx(
                list(now.slow.values()), abs=max(scales) / 2 * 1.01
            )
            wave = await client.read_input_registers(WAVEFORMS, count=125, device_id=unit)
            signed = np.array(wave.registers, np.uint16).astype(np.int16)
            samples = next(iter(now.waveforms.values()))[:125]
            assert signed * WAVEFORM_STEP == pytest.approx(samples, abs=WAVEFORM_STEP / 2 * 1.01)
            running = await client.read_discrete_inputs(0, count=1 + count, device_id=unit)
            assert running.bits[: 1 + count] == [True] + [False] * count


async def test_a_sensor_that_says_nothing_has_no_value(serve: Callable[..., Any]) -> None:
    steps, _, client = await serve(
        scenario="sensor-dropout", machines=("C-301",), fault_delay_s=0.0, growth_s=1.0
    )
    await steps.step(5)
    # The first of the compressor's sensors.
    assert math.isnan(floats((await client.read_input_registers(FLOATS, count=2)).registers)[0])
    assert (await client.read_input_registers(WHOLES)).registers == [NOTHING & 0xFFFF]
    assert (await client.read_discrete_inputs(0, count=3)).bits[:3] == [True, True, False]


async def test_a_set_point_in_three_ways(serve: Callable[..., Any]) -> None:
    steps, _, client = await serve(machines=("CV-402",))

    def taken() -> float:
        return float(steps.plant.setpoints("CV-402")[0].value)

    async def shown() -> tuple[int, float, bool]:
        holding = (await client.read_holding_registers(0)).registers
        real = (await client.read_holding_registers(2, count=2)).registers
        coil = (await client.read_coils(0)).bits
        return holding[0], floats(real)[0], coil[0]

    # Before the plant runs nobody takes it.
    assert (await client.write_register(0, 500)).exception_code == 3
    await steps.step(2)
    assert await shown() == (0, 0.0, True)
    assert not (await client.write_register(0, 500)).isError()
    assert taken() == 50.0
    assert await shown() == (500, 50.0, False)
    value = list(struct.unpack(">2H", struct.pack(">f", 72.5)))
    assert not (await client.write_registers(2, value)).isError()
    assert taken() == 72.5
    assert await shown() == (725, 72.5, False)
    assert not (await client.write_coil(0, True)).isError()
    assert taken() == 0.0
    assert await shown() == (0, 0.0, True)


async def test_what_is_not_there_is_refused(serve: Callable[..., Any]) -> None:
    steps, _, client = await serve(machines=("P-101",))
    await steps.step()
    nan = list(struct.unpack(">2H", struct.pack(">f", math.nan)))
    for answer, code in (
        (client.read_input_registers(5), 2),
        (client.read_input_registers(4, count=7), 2),
        (client.read_input_registers(60_000), 2),
        (client.read_holding_registers(1), 2),
        (client.write_register(1, 5), 2),
        (client.write_register(2, 5), 3),
        (client.write_register(0, 65_535), 3),
        (client.write_registers(2, nan), 3),
        (client.write_coil(0, False), 3),
    ):
        said = await answer
        assert (said.isError(), said.exception_code) == (True, code)
    assert steps.plant.setpoints("P-101")[0].value == 0.0


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.tag)
def test_the_map_overlaps_nowhere_and_its_runs_cover_it(device: Any) -> None:
    used: dict[str, list[int]] = {}
    for entry in entries(device):
        used.setdefault(entry.table, []).extend(range(entry.address, entry.address + entry.size))
    assert all(len(set(a)) == len(a) and max(a) < 65_536 for a in used.values())
    image = Image(device)
    for table, addresses in used.items():
        runs = [a for at, count in image.runs(table) for a in range(at, at + count)]
        assert runs == sorted(addresses)
    # Every slow channel fits an int16 with room for a fault, and is finer than its noise.
    machine, _ = MACHINES[device.tag]
    true = Plant(1, DEFAULT_START_MS).machines[device.tag]
    scales = {e.name: e.scale for e in entries(device) if e.kind == "int16" and e.count == 1}
    for sensor in machine.sensors:
        name = sensor.channel.name
        assert abs(true.true(name, 1800)) + 10 * sensor.span < 32_767 * scales[name]
        assert scales[name] <= sensor.noise / 2 * 1.000001


@pytest.mark.parametrize(
    ("noise", "wanted"), [(0.004, 0.002), (0.01, 0.005), (0.1, 0.05), (120.0, 50.0), (0.6, 0.2)]
)
def test_a_register_step_is_round(noise: float, wanted: float) -> None:
    assert step(noise) == wanted


@pytest.mark.parametrize("whole", [False, True])
def test_the_gateway_file_reads_every_channel(whole: bool) -> None:
    gateway = settings.gateway_of(
        tomllib.loads(gateway_file(driver_options(DEVICES, "10.0.0.9", 502, whole)))
    )
    (table,) = gateway.drivers
    driver = drivers.open_driver(*table.chosen)
    assert list(driver.devices()) == list(DEVICES)
    assert isinstance(driver, drivers.base.Writer)
    for device in DEVICES:
        assert driver.writable(device.tag) == {RATE_SETPOINT: "%"}


def test_the_table_has_a_row_a_value() -> None:
    rows = table_of(DEVICES).splitlines()[2:]
    assert len(rows) == sum(len(list(entries(device))) for device in DEVICES)
    assert len(rows[0].split("|")) == 10
    assert sum(is_slow(c) for d in DEVICES for c in d.channels) * 3 + 2 * len(DEVICES) < len(rows)
