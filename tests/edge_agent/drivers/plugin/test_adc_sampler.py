"""The ring, and the sampler over a converter that the test holds in its hand."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import Block, Lost
from edge_agent.drivers.plugin.examples.adc_sampler import AdcChannel, AdcSampler, Options, Ring
from edge_agent.drivers.plugin.examples.sine import Sine

STEPS = st.lists(st.integers(0, 30) | st.just("take"), max_size=60)


@given(STEPS, st.integers(1, 8), st.integers(2, 5))
def test_a_ring_gives_rows_in_their_places_or_counts_them_lost(
    steps: list[Any], count: int, blocks: int
) -> None:
    ring = Ring(blocks * count, 1)
    appended = given_ = 0
    newest = -1
    for step in steps:
        if step == "take":
            while (taken := ring.take(count)) is not None:
                first, rows = taken
                assert first % count == 0
                assert first > newest
                newest = first
                np.testing.assert_array_equal(rows[:, 0], np.arange(first, first + count))
                given_ += count
        else:
            ring.append(np.arange(appended, appended + step, dtype=np.float32)[:, np.newaxis])
            appended += step
    # What waits still is less than the ring holds.
    assert 0 <= appended - given_ - ring.lost <= blocks * count


def options(**more: Any) -> Options:
    channels = [AdcChannel(name="A", scale=2.0), AdcChannel(name="B", offset=1.0)]
    given_ = {
        "read": "x:read",
        "tag": "P-101",
        "sample_rate_hz": 1000.0,
        "channels": channels,
        "block_samples": 100,
        "read_samples": 50,
        "reconnect_s": 0.05,
        **more,
    }
    return Options(**given_)


async def test_blocks_of_a_fixed_length_and_a_converter_that_goes_away(
    listening: Callable[..., Any],
) -> None:
    given_: queue.Queue[np.ndarray[Any, Any] | OSError] = queue.Queue()
    position = 0

    def give(reads: int) -> None:
        nonlocal position
        for _ in range(reads):
            at = np.arange(position, position + 50, dtype=np.float32)
            given_.put(np.stack([at, -at], axis=1))
            position += 50

    def read(n: int) -> np.ndarray[Any, Any]:
        assert n == 50
        said = given_.get(timeout=20)
        if isinstance(said, OSError):
            raise said
        return said

    sampler = AdcSampler(options(), read)
    taking = listening(sampler)
    give(9)
    await taking.until(lambda: len(taking.blocks()) == 4)
    given_.put(OSError("unplugged"))
    await taking.until(lambda: taking.lost)
    give(4)
    await taking.until(lambda: len(taking.blocks()) == 6)
    given_.put(OSError("unplugged again"))
    await taking.until(lambda: len(taking.lost) == 2)
    given_.put(OSError("for good"))

    starts = [b.start_time_ms for b in taking.blocks()[:4]]
    assert np.diff(starts).tolist() == [100, 100, 100]
    joined = np.concatenate([b.samples["A"] for b in taking.blocks()[:4]])
    np.testing.assert_array_equal(joined, 2 * np.arange(400))
    np.testing.assert_array_equal(taking.blocks()[0].samples["B"], 1 - np.arange(100))
    # The half block before the break is not joined with what came after it.
    assert taking.blocks()[4].samples["A"][0] == 2 * 450
    kinds = [type(item) for item in taking.items[:7]]
    assert kinds == [Block] * 4 + [Lost] + [Block] * 2


async def test_the_sine_is_sampled_at_its_rate(listening: Callable[..., Any]) -> None:
    made = options(
        sample_rate_hz=3200.0, block_samples=320, channels=[AdcChannel(name="A", scale=100.0)]
    )
    taking = listening(AdcSampler(made, Sine().read))
    await taking.until(lambda: len(taking.blocks()) >= 5)
    joined = np.concatenate([b.samples["A"] for b in taking.blocks()[:5]])
    spectrum = np.abs(np.fft.rfft(joined))
    assert np.argmax(spectrum) == round(49.0 * len(joined) / 3200.0)
    assert np.abs(joined).max() <= 1.0 + 1e-6
