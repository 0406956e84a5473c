from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edge_agent.drivers.base import Block, Driver
from firmware_sim.driver import DEFAULT_START_MS, DriverOptions, PlantDriver, create
from firmware_sim.plant import MACHINES
from firmware_sim.scenarios import SCENARIOS

NOW = 1_790_000_000.4


class FakeClock:
    """Time that passes when it is slept, and `lag` seconds more each time someone looks."""

    def __init__(self, lag: float = 0.0) -> None:
        self.time = NOW
        self.lag = lag
        self.slept: list[float] = []

    def now(self) -> float:
        self.time += self.lag
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def driver(clock: FakeClock | None = None, **options: Any) -> PlantDriver:
    clock = clock or FakeClock()
    return PlantDriver(DriverOptions(**options), clock.now, clock.sleep)


async def take(source: PlantDriver, count: int) -> list[Block]:
    blocks: list[Block] = []
    async for block in source.blocks():
        blocks.append(block)
        if len(blocks) == count:
            break
    return blocks


async def test_a_simulated_run_is_what_its_scenario_says() -> None:
    clock = FakeClock()
    source: Driver = driver(clock, scenario="bearing-wear", days=0.05)
    assert isinstance(source, PlantDriver)
    blocks = [block async for block in source.blocks()]
    assert len(blocks) == source.expected_blocks == 72 * 6
    assert source.blocks_yielded == dict.fromkeys(MACHINES, 72)
    assert [b.start_time_ms for b in blocks] == sorted(b.start_time_ms for b in blocks)
    assert blocks[0].start_time_ms == DEFAULT_START_MS
    assert {d.clock for d in source.devices()} == {"simulated"}
    assert source.labels == SCENARIOS["bearing-wear"].labels(DEFAULT_START_MS)
    assert clock.slept == []


async def test_the_same_options_give_the_same_blocks() -> None:
    one, other = [await take(driver(seed=4, scenario="looseness"), 30) for _ in range(2)]
    for a, b in zip(one, other, strict=True):
        assert (a.device, a.start_time_ms) == (b.device, b.start_time_ms)
        assert all(np.array_equal(a.samples[k], b.samples[k]) for k in a.samples)


async def test_event_time_has_no_seam_between_history_and_live() -> None:
    clock = FakeClock()
    source = driver(
        clock, scenario="unbalance", speed=1.0, history_hours=0.5, machines=("F-201", "P-101")
    )
    assert {d.clock for d in source.devices()} == {"live"}
    assert source.expected_blocks is None
    assert source.labels == ()
    blocks = await take(source, 2 * (30 + 40))
    fan = [b for b in blocks if b.device == "F-201"]
    live_ms = int(NOW) * 1000
    assert fan[0].start_time_ms == live_ms - 1_800_000
    for before, after in pairwise(fan):
        assert after.start_time_ms - before.start_time_ms == len(before.samples["Speed"]) * 1000
    assert [len(b.samples["Speed"]) for b in fan] == [60] * 30 + [1] * 40
    (label,) = source.labels
    assert label.onset_ms == round(NOW * 1000) + 15_000
    # The last hour of history and the first live second are of one machine: no jump.
    temperature = np.concatenate([b.samples["Bearing Temperature"] for b in fan])
    assert np.abs(np.diff(temperature)).max() < 1.0


async def test_a_live_plant_may_keep_its_own_time() -> None:
    own = int(datetime(2026, 1, 5, 10, 20, tzinfo=UTC).timestamp() * 1000)
    options = {"scenario": "unbalance", "history_hours": 0.5, "machines": ("F-201",)}
    told = driver(FakeClock(), speed=1.0, plant_start_ms=own, **options)
    plain = driver(speed=float("inf"), start_ms=own, vibration_interval_s=1, **options)

    live, reference = await take(told, 44), await take(plain, 44)

    shift = int(NOW) * 1000 - own
    for block, other in zip(live, reference, strict=True):
        assert block.start_time_ms == other.start_time_ms + shift
        assert np.array_equal(block.samples["Vibration Axial"], other.samples["Vibration Axial"])
    assert told.labels[0].onset_ms == round(NOW * 1000) + 15_000


async def test_a_live_block_comes_when_its_second_is_over_and_late_ones_are_made_up() -> None:
    clock = FakeClock()
    source = driver(clock, speed=1.0, machines=("P-101",))
    seen: list[float] = []
    async for block in source.blocks():
        seen.append(clock.time - block.start_time_ms / 1000)
        if len(seen) == 5:
            clock.time += 7.0  # the consumer was away
        if len(seen) == 20:
            break
    assert seen[:5] == pytest.approx([1.0] * 5)
    assert seen[5] == pytest.approx(7.0)
    assert seen[12:] == pytest.approx([1.0] * 8)


async def test_a_live_onset_lies_ahead_however_long_the_history_took() -> None:
    clock = FakeClock()
    source = driver(
        clock,
        scenario="bearing-wear",
        speed=1.0,
        history_hours=1.0,
        fault_delay_s=5.0,
        machines=("P-101",),
    )
    taken = 0
    async for block in source.blocks():
        taken += 1
        if block.start_time_ms < int(NOW) * 1000:
            clock.time += 0.5
        else:
            break
    (label,) = source.labels
    assert label.onset_ms == round((NOW + 60 * 0.5 + 5.0) * 1000)
    assert label.full_ms == label.onset_ms + 60_000


async def test_a_factor_paces_simulated_time() -> None:
    clock = FakeClock()
    source = driver(clock, speed=120.0, machines=("P-101",))
    await take(source, 10)
    assert clock.time - NOW == pytest.approx(10 * 60 / 120)


async def test_a_simulated_history_ends_where_the_scenario_starts() -> None:
    source = driver(
        scenario="cavitation", history_hours=1.0, history_interval_s=600, machines=("P-101",)
    )
    blocks = [block async for block in source.blocks()]
    assert len(blocks) == source.expected_blocks == 6 + 360
    assert blocks[0].start_time_ms == DEFAULT_START_MS - 3_600_000
    assert blocks[6].start_time_ms == DEFAULT_START_MS
    assert source.labels == SCENARIOS["cavitation"].labels(DEFAULT_START_MS)


async def test_options_of_a_gateway_file() -> None:
    source = create(
        {
            "scenario": "air-leak",
            "seed": 9,
            "speed": "max",
            "start": "2026-03-01T00:00:00Z",
            "days": 1,
            "fault_delay_s": 600,
            "growth_s": 1200,
            "machines": ["C-301"],
            "vibration_interval_s": 600,
        }
    )
    assert source.expected_blocks == 144
    (label,) = source.labels
    assert label.onset_ms == 1_772_323_200_000 + 600_000
    assert label.full_ms - label.onset_ms == 1_200_000
    assert [d.tag for d in source.devices()] == ["C-301"]
    await source.close()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scenario": "meltdown"}, "scenario"),
        ({"colour": "red"}, "colour"),
        ({"speed": 0}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"speed": True}, "speed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": -1}, "seed"),
        ({"days": -1}, "days"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-03-01T00:00:00"}, "start"),
        ({"machines": ["P-102"]}, "machines"),
        ({"machines": "P-101"}, "machines"),
        ({"vibration_interval_s": 0}, "vibration_interval_s"),
        ({"history_interval_s": 4000}, "history_interval_s"),
        ({"history_hours": -1}, "history_hours"),
        ({"history_hours": 1e6, "start": 0}, "history_hours"),
        ({"scenario": "unbalance", "machines": ["P-101"]}, "F-201"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        create(options)
