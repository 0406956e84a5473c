"""Values that come when they change, sampled at equal distances."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import BAD, GOOD, STALE, Quality
from edge_agent.drivers.grid import fits
from edge_agent.drivers.opcua.grid import HeldChannel, grid, hold

TIMES = st.integers(0, 10_000)
CHANGES = st.lists(
    st.tuples(TIMES, st.floats(-1e6, 1e6, width=32), st.sampled_from([GOOD, STALE, BAD])),
    max_size=30,
)
GRIDS = st.lists(TIMES, min_size=1, max_size=20, unique=True).map(sorted)


def held_at(
    changes: list[tuple[int, float, Quality]], time: int, stale_after: float
) -> tuple[float, bool]:
    """Return what holds by the definition: the last of the newest not after `time`."""
    known = [change for change in changes if change[0] <= time]
    if not known:
        return nan, False
    newest = max(at for at, _, _ in known)
    at, value, quality = [change for change in known if change[0] == newest][-1]
    if time - at > stale_after:
        return nan, True
    return (nan if quality == BAD else value), False


@given(CHANGES, GRIDS, st.sampled_from([inf, 0.0, 500.0]))
def test_a_sample_is_the_newest_value_of_its_time(
    changes: list[tuple[int, float, Quality]], at: list[int], stale_after: float
) -> None:
    changes = sorted(changes, key=lambda change: change[0])
    samples, stale = hold(
        np.array([t for t, _, _ in changes], np.float64),
        np.array([v for _, v, _ in changes], np.float64),
        np.array([q == BAD for _, _, q in changes], np.bool_),
        np.array(at, np.float64),
        stale_after,
    )

    for sample, is_stale, time in zip(samples, stale, at, strict=True):
        due, due_stale = held_at(changes, time, stale_after)
        assert (isnan(sample) and isnan(due)) or sample == due
        assert is_stale == due_stale


@given(CHANGES, st.integers(1, 19))
def test_block_by_block_is_as_all_at_once(
    changes: list[tuple[int, float, Quality]], cut: int
) -> None:
    whole, parts = HeldChannel(), HeldChannel()
    times = grid(0, 10_000, 500.0)
    for change in changes:
        whole.put(*change)
    # What comes before its block is sampled comes in time, in whatever order.
    for change in changes:
        if change[0] <= times[cut - 1]:
            parts.put(*change)
    first, _ = parts.sample(times[:cut])
    for change in changes:
        if change[0] > times[cut - 1]:
            assert parts.put(*change)
    second, _ = parts.sample(times[cut:])

    np.testing.assert_array_equal(np.concatenate([first, second]), whole.sample(times)[0])


def test_a_value_that_comes_late_holds_from_the_next_sample_on() -> None:
    channel = HeldChannel()
    assert channel.put(0.0, 1.0, GOOD)
    assert channel.sample(np.array([0.0, 100.0]))[0].tolist() == [1.0, 1.0]

    assert not channel.put(50.0, 2.0, GOOD)
    assert channel.sample(np.array([200.0]))[0].tolist() == [2.0]
    # Older than what holds: it says nothing any more.
    assert not channel.put(20.0, 3.0, GOOD)
    assert channel.sample(np.array([300.0]))[0].tolist() == [2.0]


@pytest.mark.parametrize(
    ("given", "quality", "samples"),
    [
        ([], BAD, [nan, nan]),
        ([(0.0, 1.0, GOOD)], GOOD, [1.0, 1.0]),
        ([(0.0, 1.0, STALE)], STALE, [1.0, 1.0]),
        ([(0.0, 1.0, BAD)], BAD, [nan, nan]),
        ([(0.0, 1.0, GOOD), (50.0, 2.0, BAD)], BAD, [1.0, nan]),
        ([(50.0, 2.0, GOOD)], BAD, [nan, 2.0]),
        ([(-2000.0, 1.0, GOOD)], STALE, [nan, nan]),
    ],
)
def test_a_block_is_as_good_as_its_worst_value(
    given: list[tuple[float, float, Quality]], quality: Quality, samples: list[float]
) -> None:
    channel = HeldChannel(stale_after_ms=1000.0)
    for change in given:
        channel.put(*change)

    got, said = channel.sample(np.array([0.0, 100.0]))

    np.testing.assert_array_equal(got, samples)
    assert said == quality


def test_what_is_forgotten_holds_no_longer() -> None:
    channel = HeldChannel()
    channel.put(0.0, 1.0, GOOD)
    channel.forget()

    samples, quality = channel.sample(np.array([100.0]))

    assert np.isnan(samples).all()
    assert quality == BAD


@given(
    start=st.integers(0, 2_000_000_000_000),
    length=st.sampled_from([100, 1000, 60_000]),
    rate=st.sampled_from([0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 10.0, 100.0]),
    blocks=st.integers(1, 5),
)
def test_blocks_side_by_side_have_every_sample_once(
    start: int, length: int, rate: float, blocks: int
) -> None:
    start -= start % length
    period = 1000 / rate
    parts = np.concatenate([grid(start + i * length, length, period) for i in range(blocks)])

    np.testing.assert_array_equal(parts, grid(start, blocks * length, period))
    assert np.allclose(np.diff(parts), period, atol=1e-3)


@given(
    start=st.integers(0, 2_000_000_000),
    block=st.sampled_from([0.1, 1.0, 10.0]),
    rate=st.sampled_from([0.01, 0.1, 1.0, 2.0, 3.0, 10.0]),
)
def test_a_rate_that_fits_begins_with_the_block(start: int, block: float, rate: float) -> None:
    length = round(block * 1000)
    times = grid(start * length, length, 1000 / rate)

    assert fits(rate, block) == (
        abs(max(rate * block, 1 / (rate * block)) % 1) < 1e-9
        or abs(max(rate * block, 1 / (rate * block)) % 1 - 1) < 1e-9
    )
    if fits(rate, block) and len(times):
        assert times[0] == pytest.approx(start * length, abs=1e-2)
