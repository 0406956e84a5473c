"""Readings as they come become blocks in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import BAD, GOOD, STALE
from edge_agent.drivers.opcua.options import DeviceOptions, PointOptions
from edge_agent.drivers.opcua.sampling import LONGEST_FILL_MS, Sampler

T0 = 1_767_592_800_000


def device(tag: str = "P", **rates: float) -> DeviceOptions:
    return DeviceOptions(
        tag=tag,
        points=[
            PointOptions(name=name, node="i=1", sample_rate_hz=rate, waveform=name.startswith("W"))
            for name, rate in rates.items()
        ],
    )


def wave(*samples: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(samples, np.float32)


def test_blocks_begin_where_multiples_of_their_length_are() -> None:
    sampler = Sampler([device(Flow=2.0)], 1.0)
    sampler.begin(T0 + 250)
    sampler.put("P", "Flow", T0, 1.0, GOOD)
    sampler.put("P", "Flow", T0 + 1500, 2.0, GOOD)

    assert list(sampler.due(T0 + 1999)) == []
    (block,) = sampler.due(T0 + 2000)

    assert (block.device, block.start_time_ms) == ("P", T0 + 1000)
    assert block.samples["Flow"].tolist() == [1.0, 2.0]
    assert block.quality == {}


def test_a_slow_channel_is_in_the_blocks_that_it_falls_into() -> None:
    sampler = Sampler([device(Flow=1.0, Level=0.2)], 1.0)
    sampler.begin(T0)
    sampler.put("P", "Flow", T0, 1.0, GOOD)
    sampler.put("P", "Level", T0, 2.0, STALE)

    blocks = list(sampler.due(T0 + 10_000))

    assert [sorted(block.samples) for block in blocks] == ([["Flow", "Level"], *[["Flow"]] * 4] * 2)
    assert blocks[0].quality == {"Level": STALE}


def test_a_waveform_joins_the_block_that_begins_with_it() -> None:
    sampler = Sampler([device(Flow=1.0, Wave=3200.0, Wave2=3200.0)], 1.0)
    sampler.begin(T0)
    sampler.put("P", "Flow", T0, 1.0, GOOD)
    points = {point.name: point for point in device(Wave=3200.0, Wave2=3200.0).points}
    sampler.put_waveform("P", points["Wave"], T0 + 0.2, wave(1, 2), GOOD)
    sampler.put_waveform("P", points["Wave2"], T0, wave(3, 4), BAD)
    sampler.put_waveform("P", points["Wave"], T0 + 1400, wave(5), GOOD)
    sampler.put_waveform("P", points["Wave"], T0 + 900, wave(), GOOD)

    blocks = list(sampler.due(T0 + 3000))

    assert [(b.start_time_ms - T0, sorted(b.samples)) for b in blocks] == [
        (0, ["Flow", "Wave", "Wave2"]),
        (1000, ["Flow"]),
        (1400, ["Wave"]),
        (2000, ["Flow"]),
    ]
    assert blocks[0].quality == {"Wave2": BAD}


def test_devices_have_blocks_of_their_own() -> None:
    sampler = Sampler([device("A", Flow=1.0), device("B", Flow=1.0)], 1.0)
    sampler.begin(T0)
    sampler.put("B", "Flow", T0, 2.0, GOOD)

    blocks = list(sampler.due(T0 + 1000))

    assert [block.device for block in blocks] == ["A", "B"]
    assert blocks[0].quality == {"Flow": BAD}
    assert np.isnan(blocks[0].samples["Flow"]).all()
    assert blocks[1].samples["Flow"].tolist() == [2.0]


@pytest.mark.parametrize("step_ms", [-LONGEST_FILL_MS, -60_000, 24 * LONGEST_FILL_MS])
def test_a_clock_that_is_set_by_a_day_neither_floods_nor_stops_it(step_ms: int) -> None:
    sampler = Sampler([device(Flow=1.0)], 1.0)
    sampler.begin(T0)
    list(sampler.due(T0 + 5000))

    assert list(sampler.due(T0 + 5000 + step_ms)) == []
    sampler.put("P", "Flow", T0 + 5500 + step_ms, 3.0, GOOD)
    blocks = list(sampler.due(T0 + 7000 + step_ms))

    assert [b.start_time_ms - step_ms - T0 for b in blocks] == [5000, 6000]
    assert [b.quality for b in blocks] == [{"Flow": BAD}, {}]
    assert blocks[1].samples["Flow"].tolist() == [3.0]


@given(
    times=st.lists(st.integers(0, 9_999), max_size=30),
    asked=st.lists(st.integers(0, 10_000), max_size=10),
)
def test_blocks_come_in_order_and_once(times: list[int], asked: list[int]) -> None:
    sampler = Sampler([device(Flow=10.0, Wave=100.0)], 0.5)
    sampler.begin(T0)
    point = device(Wave=100.0).points[0]
    for time in times:
        sampler.put_waveform("P", point, T0 + time, wave(time), GOOD)

    blocks = [b for until in [*sorted(asked), 10_000] for b in sampler.due(T0 + until)]

    starts = [block.start_time_ms - T0 for block in blocks]
    assert starts == sorted(starts)
    assert [b.start_time_ms - T0 for b in blocks if "Flow" in b.samples] == [*range(0, 10_000, 500)]
    waves = {b.start_time_ms - T0 for b in blocks if "Wave" in b.samples}
    assert waves == {time for time in times if time < 9_500 or time == 9_500}
