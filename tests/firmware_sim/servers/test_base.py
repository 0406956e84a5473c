"""A running plant: what it says now, and what it does when it is told a rate."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from edge_agent.drivers.base import Block
from firmware_sim.driver import DEFAULT_START_MS, DriverOptions, PlantDriver
from firmware_sim.machines.machine import DRIVE_RAMP_S
from firmware_sim.plant import Plant
from firmware_sim.servers.base import RATE_SETPOINT, LivePlant, Now, is_slow


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def plant(clock: FakeClock, days: float = 20 / 86_400, **options: Any) -> LivePlant:
    given = {"speed": 1.0, "start_ms": DEFAULT_START_MS, "vibration_interval_s": 1, **options}
    return LivePlant(PlantDriver(DriverOptions(days=days, **given), clock.time, clock.sleep))


async def test_it_holds_what_each_machine_said_last() -> None:
    clock = FakeClock()
    live = plant(clock, machines=("P-101", "F-201"))
    heard: list[Now] = []

    async def listen(now: Now) -> None:
        heard.append(now)
        assert live.now(now.device.tag) is now

    live.listen(listen)
    assert live.now("P-101") is None
    await live.run()

    assert [(n.device.tag, n.sequence) for n in heard] == [
        (tag, n) for n in range(1, 21) for tag in ("P-101", "F-201")
    ]
    own = Plant(1, DEFAULT_START_MS, machines=("P-101", "F-201"))
    for now in heard:
        block = own.machines[now.device.tag].block(now.sequence - 1)
        assert now.time_ms == block.start_time_ms
        names = [c.name for c in now.device.channels if is_slow(c)]
        assert dict(now.slow) == {n: float(block.samples[n][-1]) for n in names}
        for name, samples in now.waveforms.items():
            assert np.array_equal(samples, block.samples[name])
        assert set(now.waveforms) | set(now.slow) == set(block.samples)
    assert clock.now == pytest.approx(1_000_020.0)


async def test_a_longer_block_has_its_last_second_as_now() -> None:
    live = plant(FakeClock(), 120 / 86_400, machines=("P-101",), vibration_interval_s=60)
    await live.run()
    now = live.now("P-101")
    assert now is not None
    assert now.sequence == 2
    assert now.time_ms == DEFAULT_START_MS + 119_000
    assert now.slow["Flow"] == float(now.block.samples["Flow"][-1])


async def test_a_set_point_turns_a_drive_from_the_next_block_on() -> None:
    clock = FakeClock()
    live = plant(clock, 40 / 86_400, machines=("CV-402", "F-201"))
    speeds: dict[str, list[float]] = {"CV-402": [], "F-201": []}

    async def listen(now: Now) -> None:
        speeds[now.device.tag].append(now.slow["Speed"])
        if now.device.tag == "F-201" and now.sequence == 10:
            live.write("CV-402", RATE_SETPOINT, 60.0)
        if now.device.tag == "F-201" and now.sequence == 25:
            live.write("CV-402", RATE_SETPOINT, 0.0)

    live.listen(listen)
    await live.run()

    own = Plant(1, DEFAULT_START_MS, machines=("CV-402", "F-201"))
    planned = {tag: own.machines[tag].block(0, 40).samples["Speed"].astype(float) for tag in speeds}
    assert speeds["F-201"] == pytest.approx(planned["F-201"])
    told = np.array(speeds["CV-402"])
    assert told[:11] == pytest.approx(planned["CV-402"][:11])
    ramp = round(DRIVE_RAMP_S)
    # 60 % of 1500 1/min less what it slips.
    assert told[10 + ramp + 1 : 25] == pytest.approx(0.6 * 1500 - 42, abs=20)
    assert told[25 + ramp + 1 :] == pytest.approx(planned["CV-402"][25 + ramp + 1 :], abs=10)
    (setpoint,) = live.setpoints("CV-402")
    assert (setpoint.value, setpoint.unit) == (0.0, "%")


def test_an_order_changes_nothing_before_it_and_what_follows_whatever_was_asked() -> None:
    told, untold, late = (Plant(3, DEFAULT_START_MS).machines["FC-403"] for _ in range(3))
    late.block(7200 + 50)  # two hours on, before it is told
    for machine in (told, late):
        machine.order_rate(0.5, 3700)
    assert same(told.block(3600, 100), untold.block(3600, 100))
    assert same(told.block(3690, 60), late.block(3690, 60))
    assert same(told.block(7200 + 50), late.block(7200 + 50))
    assert told.true("Speed", 3800) < 0.6 * untold.true("Speed", 3800)


def same(one: Block, other: Block) -> bool:
    return all(np.array_equal(one.samples[k], other.samples[k]) for k in one.samples)


@pytest.mark.parametrize(
    ("tag", "name", "value", "said"),
    [
        ("P-101", RATE_SETPOINT, 20.0, "30 to 110"),
        ("P-101", RATE_SETPOINT, 1e9, "30 to 110"),
        ("P-101", RATE_SETPOINT, float("nan"), "30 to 110"),
        ("P-101", "Colour", 50.0, "no set-point"),
        ("P-999", RATE_SETPOINT, 50.0, "no set-point"),
        ("P-101", RATE_SETPOINT, 50.0, "does not run yet"),
    ],
)
def test_a_set_point_that_cannot_be_is_refused(
    tag: str, name: str, value: float, said: str
) -> None:
    live = plant(FakeClock())
    with pytest.raises(ValueError, match=said):
        live.write(tag, name, value)
    assert all(setpoint.value == 0.0 for setpoint in live.setpoints("P-101"))
