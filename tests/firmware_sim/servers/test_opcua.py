"""The plant behind OPC UA, asked by a plain client and read by the agent's driver."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from asyncua import Client, ua

from edge_agent.drivers.base import Block
from edge_agent.drivers.layout_file import LayoutLearnedError
from edge_agent.drivers.opcua import Options, browse, open_driver
from firmware_sim.driver import DEFAULT_START_MS, DriverOptions, PlantDriver
from firmware_sim.servers import opcua
from firmware_sim.servers.base import RATE_SETPOINT, LivePlant, is_slow
from firmware_sim.servers.opcua import NAMESPACE, OpcUaPlant, serve

PATIENCE_S = 60.0


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


class Served:
    """A plant, its server and a client of it."""

    def __init__(self, steps: Steps, served: OpcUaPlant, client: Client, index: int) -> None:
        self.steps, self.served, self.client, self.index = steps, served, client, index

    def node(self, name: str) -> Any:
        return self.client.get_node(ua.NodeId(name, self.index))


Start = Callable[..., Coroutine[Any, Any, Served]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    running: list[Any] = []

    async def begin(security: dict[str, Any] | None = None, **options: Any) -> Served:
        steps = Steps(**options)
        served = OpcUaPlant(steps.plant)
        port = await served.open("127.0.0.1", 0, **(security or {}))
        task = asyncio.create_task(steps.plant.run())
        client = Client(f"opc.tcp://127.0.0.1:{port}/headrace/")
        await client.connect()
        running.append((task, served, client))
        return Served(steps, served, client, await client.get_namespace_index(NAMESPACE))

    yield begin
    for task, served, client in running:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.disconnect()
        await served.close()


async def test_a_machine_says_who_it_is_and_what_it_measures(start: Start) -> None:
    it = await start(machines=("P-101", "F-201"))
    machines = it.node("Machines")
    (device, _) = it.steps.plant.devices.values()

    assert [(await n.read_browse_name()).Name for n in await machines.get_children()] == [
        "P-101",
        "F-201",
    ]
    assert [(await n.read_browse_name()).Name for n in await it.node("P-101").get_children()] == [
        "Identification",
        "Monitoring",
        "Status",
        "Setpoints",
    ]
    told = {
        (await n.read_browse_name()).Name: await n.read_value()
        for n in await it.node("P-101.Identification").get_properties()
    }
    assert told["DeviceClass"] == "centrifugal_pump"
    assert told["Location"] == device.path
    assert told["SerialNumber"] == "P-101-0001"
    assert told["Manufacturer"].Text
    assert (await it.node("P-101").read_description()).Text == "Cooling water pump"

    pressure = it.node("P-101.Monitoring.Discharge Pressure")
    unit = await it.node("P-101.Monitoring.Discharge Pressure.EngineeringUnits").read_value()
    span = await it.node("P-101.Monitoring.Discharge Pressure.EURange").read_value()
    assert (unit.UnitId, unit.DisplayName.Text) == (4342098, "bar")
    assert span.Low < 0 < span.High
    kind = await pressure.read_type_definition()
    assert kind == ua.NodeId(ua.ObjectIds.AnalogUnitRangeType)
    rate = await it.node("P-101.Monitoring.Vibration Axial.SampleRate").read_value()
    assert rate == 3200.0
    wave = it.node("P-101.Monitoring.Vibration Axial")
    assert await wave.read_value_rank() == ua.ValueRank.OneDimension
    with pytest.raises(ua.UaStatusCodeError, match="BadWaitingForInitialData"):
        await pressure.read_value()


async def test_every_unit_of_the_plant_has_its_code(start: Start) -> None:
    it = await start()

    points = await browse(msgspec.convert({"endpoint": it.client.server_url.geturl()}, Options))

    units = {
        (tag, channel.name): channel.unit
        for tag, device in it.steps.plant.devices.items()
        for channel in device.channels
    }
    told = {
        tuple(point.name.split("/")[1::2]): point.unit
        for point in points
        if "/Monitoring/" in point.name
    }
    assert told == units


async def test_values_have_the_plants_own_times(start: Start) -> None:
    it = await start(machines=("P-101",))
    await it.steps.step(3)

    now = it.steps.plant.now("P-101")
    assert now is not None
    for channel in now.device.channels:
        held = await it.node(f"P-101.Monitoring.{channel.name}").read_data_value()
        assert held.StatusCode.is_good()
        assert held.SourceTimestamp == datetime.fromtimestamp(now.time_ms / 1000, UTC)
        if is_slow(channel):
            assert held.Value.Value == pytest.approx(now.slow[channel.name])
        else:
            np.testing.assert_array_equal(held.Value.Value, now.waveforms[channel.name])
    assert await it.node("P-101.Status.Blocks").read_value() == 3


async def test_a_sensor_that_says_nothing_is_bad(start: Start) -> None:
    it = await start(
        scenario="sensor-dropout", machines=("C-301",), fault_delay_s=0.0, growth_s=1.0
    )
    node = it.node("C-301.Monitoring.Discharge Pressure")

    for _ in range(20):
        await it.steps.step()
        now = it.steps.plant.now("C-301")
        assert now is not None
        held = await node.read_data_value(raise_on_bad_status=False)
        if math.isnan(now.slow["Discharge Pressure"]):
            assert held.StatusCode.name == "BadSensorFailure"
            assert held.Value is None or held.Value.Value is None
            return
        assert held.StatusCode.is_good()
    pytest.fail("the sensor never dropped out")


async def test_a_set_point_is_taken_within_its_limits(start: Start) -> None:
    it = await start(machines=("CV-402",))
    await it.steps.step(2)
    node = it.node(f"CV-402.Setpoints.{RATE_SETPOINT}")
    before = it.steps.plant.now("CV-402")

    await node.write_value(50.0)
    await it.steps.step(60)

    assert it.steps.plant.setpoints("CV-402")[0].value == 50.0
    after = it.steps.plant.now("CV-402")
    assert before is not None
    assert after is not None
    assert after.slow["Belt Speed"] < 0.8 * before.slow["Belt Speed"]
    for wrong in (10.0, 200.0, float("nan")):
        with pytest.raises(ua.UaStatusCodeError, match="BadOutOfRange"):
            await node.write_value(wrong)
    assert await node.read_value() == 50.0
    with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
        await it.node("CV-402.Monitoring.Belt Speed").write_value(1.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"security": "some"}, "security: 'some' is none of none, all, encrypted"),
        ({"security": "all"}, "certificates: a folder is needed"),
        ({"user": "operator"}, "user: and `password` go together"),
    ],
)
async def test_an_option_that_is_wrong_is_named(options: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        await serve(Steps(machines=("P-101",)).plant, "127.0.0.1", 0, **options)


async def test_a_folder_without_trusted_certificates_is_named(tmp_path: Path) -> None:
    served = OpcUaPlant(Steps(machines=("P-101",)).plant)
    with pytest.raises(ValueError, match=r"trusted: .* holds no certificate"):
        await served.open("127.0.0.1", 0, "encrypted", tmp_path / "own", tmp_path)


async def test_the_driver_brings_the_plants_own_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End to end and live: encrypted, with a user, machines taken whole."""
    monkeypatch.setenv("PLANT_PASSWORD", "word")
    plant = LivePlant(
        PlantDriver(DriverOptions(speed=1.0, machines=("P-101", "CV-402"), vibration_interval_s=1))
    )
    made: dict[tuple[str, int], Block] = {}

    async def remember(now: Any) -> None:
        made[now.device.tag, now.block.start_time_ms] = now.block

    plant.listen(remember)
    served = OpcUaPlant(plant)
    port = await served.open(
        "127.0.0.1", 0, "encrypted", tmp_path / "server", users={"agent": "word"}
    )
    options = msgspec.convert(
        {
            "endpoint": f"opc.tcp://127.0.0.1:{port}/headrace/",
            "security": "sign_and_encrypt",
            "certificate": str(tmp_path / "client" / "client.der"),
            "private_key": str(tmp_path / "client" / "client.pem"),
            "create_certificate": True,
            "server_certificate": str(tmp_path / "server" / opcua.CERTIFICATE),
            "user": "agent",
            "password_env": "PLANT_PASSWORD",
            "publishing_interval_ms": 100,
            "sampling_interval_ms": 50,
            "settle_s": 2.0,
            "layout_file": str(tmp_path / "layout.json"),
            "whole_machines": [
                {"node": "/Machines", "each": True, "exclude": ["Identification/*", "Status/*"]}
            ],
        },
        Options,
    )
    # The machines are found before they say anything.
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(LayoutLearnedError):
            await anext(open_driver(options).blocks())
    running = asyncio.create_task(plant.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            driver = open_driver(options)
            compared = [block async for block in taken(driver)]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await served.close()

    for device in driver.devices():
        own = plant.devices[device.tag]
        assert (device.equipment_class, device.path) == (own.equipment_class, own.path)
        channels = {c.name: (c.unit, c.sample_rate_hz) for c in device.channels}
        assert channels.pop(RATE_SETPOINT) == ("%", 1.0)
        assert channels == {c.name: (c.unit, c.sample_rate_hz) for c in own.channels}
    assert {block.device for block in compared} == {"P-101", "CV-402"}
    for block in compared:
        own_block = made[block.device, block.start_time_ms]
        assert block.quality == {}
        assert set(block.samples) == {*own_block.samples, RATE_SETPOINT}
        for name, samples in own_block.samples.items():
            np.testing.assert_array_equal(block.samples[name], samples, err_msg=name)


async def taken(driver: Any) -> AsyncIterator[Block]:
    """Yield six blocks from the first whole one on."""
    blocks = driver.blocks()
    count = 0
    async for block in blocks:
        is_whole = isinstance(block, Block) and RATE_SETPOINT in block.samples
        if count or (is_whole and not block.quality):
            count += 1
            yield block
        if count == 6:
            break
    await blocks.aclose()
