"""A failing machine of the simulated plant, read over Modbus: what it says is what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_agent.drivers.base import Block
from edge_agent.scoring import scorer_for
from firmware_sim.driver import DEFAULT_START_MS, DriverOptions, PlantDriver
from firmware_sim.servers.base import LivePlant, Now
from firmware_sim.servers.modbus import ModbusPlant
from firmware_sim.servers.modbus_gateway import driver_options
from firmware_sim.servers.modbus_map import WAVEFORM_STEP, entries

Make = Callable[..., Any]


SEQUENCE = {"name": "Sequence", "table": "input", "address": 0}
SETPOINT = {"name": "Rate Now", "table": "holding", "address": 0, "scale": 0.1}


class Beats:
    """The plant and a driver in lock step: each beat the plant moves on a second, then a poll."""

    def __init__(self, clock: Any, **options: Any) -> None:
        clock.now += 0.5  # the plant lies half a second behind the driver's grid
        self.clock = clock
        self.plant = LivePlant(
            PlantDriver(
                DriverOptions(
                    speed=1.0, start_ms=DEFAULT_START_MS, vibration_interval_s=1, **options
                ),
                clock.time,
                clock.sleep,
            )
        )
        self.own: dict[tuple[str, int], Block] = {}
        self.plant.listen(self._hear)
        self.sleepers = 1
        self.item: asyncio.Future[Block] | None = None

    async def _hear(self, now: Now) -> None:
        self.own[now.device.tag, now.sequence] = now.block

    async def beat(self) -> None:
        """Move on so that each of those who sleep goes one step."""
        for _ in range(2):
            await self.clock.advance(0.5, self.sleepers)
            await self.clock.asleep(self.sleepers)


@pytest.fixture
async def beats(clock: Any, run: Make) -> AsyncIterator[Callable[..., Any]]:
    """Run plants; they are gone after the test."""
    running: list[tuple[asyncio.Task[None], Beats, ModbusPlant]] = []

    async def start(orders: tuple[str, str] = ("big", "big"), **options: Any) -> Any:
        made = Beats(clock, **options)
        server = ModbusPlant(made.plant, *orders)  # type: ignore[arg-type]
        port = await server.open("127.0.0.1", 0)
        running.append((asyncio.create_task(made.plant.run()), made, server))
        await clock.asleep()
        return made, port

    yield start
    for task, made, server in running:
        ended = [task] if made.item is None else [task, made.item]
        for future in ended:
            future.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        await server.close()


async def taken(made: Beats, taking: Any, count: int) -> list[Block]:
    """Return so many blocks, and let time pass for them."""
    blocks = []
    if made.item is None:
        made.item = asyncio.ensure_future(taking.block())
        await made.clock.asleep(2)
        made.sleepers = 2
    while len(blocks) < count:
        await made.beat()
        if made.item.done():
            blocks.append(made.item.result())
            made.item = asyncio.ensure_future(taking.block())
            await asyncio.sleep(0)
    return blocks


def assert_same(block: Block, own: Block, steps: dict[str, float]) -> None:
    """Within half a step of its register, or exactly where it travels as a float."""
    for name, samples in own.samples.items():
        step = steps.get(name, 0.0)
        np.testing.assert_allclose(
            block.samples[name],
            samples,
            rtol=1e-6,
            atol=step / 2 * 1.001 if step else 0.0,
            equal_nan=True,
            err_msg=f"{own.device} {name}",
        )


@pytest.mark.parametrize(
    ("scenario", "tag", "whole", "orders"),
    [
        ("bearing-wear", "P-101", False, ("big", "big")),
        ("cavitation", "P-101", True, ("little", "little")),
        ("sensor-dropout", "C-301", True, ("little", "big")),
        ("sensor-dropout", "C-301", False, ("big", "little")),
    ],
)
async def test_what_arrives_is_what_the_machine_says(
    scenario: str, tag: str, whole: bool, orders: tuple[str, str], beats: Make, run: Make
) -> None:
    made, port = await beats(
        orders, scenario=scenario, machines=(tag,), fault_delay_s=5.0, growth_s=10.0
    )
    options = driver_options(made.plant.devices.values(), "127.0.0.1", port, whole)
    options["devices"][0]["points"].append(SEQUENCE)
    options["devices"][0] |= {"word_order": orders[0], "byte_order": orders[1]}
    taking = run(options, made.clock)
    (declared,) = taking.driver.devices()
    machine = made.plant.devices[tag]
    own_channels = {c.name for c in machine.channels}
    assert {c for c in declared.channels if c.name in own_channels} == set(machine.channels)
    assert (declared.equipment_class, declared.path) == (machine.equipment_class, machine.path)
    assert dict(declared.facts) == dict(machine.facts)

    blocks = await taken(made, taking, 22)

    steps = {
        e.name: e.scale for e in entries(machine) if e.kind == "int16" and (whole or e.count > 1)
    }
    assert max(steps.values()) >= WAVEFORM_STEP
    sequences = [int(block.samples["Sequence"][0]) for block in blocks]
    newest = [n for n in sequences if n]
    assert newest == sorted(newest)
    assert newest[-1] >= 20
    for block, n in zip(blocks, sequences, strict=True):
        if n:
            assert_same(block, made.own[tag, n], steps)
    # The fault is in what arrived: its last second is unlike its first.
    last = made.own[tag, newest[-1]]
    if scenario == "sensor-dropout":
        assert any(np.isnan(b.samples["Discharge Pressure"]).any() for b in blocks)
        assert any("Discharge Pressure" in b.quality for b in blocks)
    else:
        name = "Vibration Drive End"
        assert np.std(blocks[-1].samples[name]) == pytest.approx(
            np.std(last.samples[name]), rel=1e-3
        )
        assert np.std(blocks[-1].samples[name]) > 1.2 * np.std(made.own[tag, 2].samples[name])


async def test_the_model_scores_it_as_it_scores_the_machine_itself(beats: Make, run: Make) -> None:
    made, port = await beats(
        scenario="bearing-wear", machines=("P-101",), fault_delay_s=3.0, growth_s=5.0
    )
    taking = run(driver_options(made.plant.devices.values(), "127.0.0.1", port), made.clock)
    over_modbus = scorer_for(replace(taking.driver.devices()[0], clock="simulated"))
    direct = scorer_for(made.plant.devices["P-101"])
    assert over_modbus is not None
    assert direct is not None
    scores = []
    for block in await taken(made, taking, 15):
        speed = block.samples["Speed"][0]
        own = [b for b in made.own.values() if b.samples["Speed"][0] == speed]
        if own and "Vibration Axial" in block.samples:
            scores.append((over_modbus.score(block), direct.score(own[0])))
    assert len(scores) >= 10
    got, wanted = np.array(scores).T
    np.testing.assert_allclose(got, wanted, rtol=0.05, atol=0.02)
    assert wanted[-1] > 1.0 > wanted[0]


async def test_a_set_point_written_over_modbus_turns_the_machine(beats: Make, run: Make) -> None:
    made, port = await beats(scenario="healthy", machines=("CV-402",))
    options = driver_options(made.plant.devices.values(), "127.0.0.1", port)
    options["devices"][0]["points"].append(SETPOINT)
    taking = run(options, made.clock)
    before = (await taken(made, taking, 3))[-1]
    assert taking.driver.writable("CV-402") == {"Rate Setpoint": "%"}
    await taking.driver.write("CV-402", "Rate Setpoint", 50.0)
    after = (await taken(made, taking, 9))[-1]
    assert after.samples["Rate Now"][0] == 50.0
    # Half the frequency, less the slip.
    assert after.samples["Speed"][0] == pytest.approx(0.5 * 1500 - 42, abs=30)
    assert before.samples["Speed"][0] > 1.5 * after.samples["Speed"][0]
    rms = [np.std(b.samples["Vibration Drive End"]) for b in (before, after)]
    assert rms[1] < rms[0]
    with pytest.raises(Exception, match="exception 3: illegal value"):
        await taking.driver.write("CV-402", "Rate Setpoint", 500.0)
