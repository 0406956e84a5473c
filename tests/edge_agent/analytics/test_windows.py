"""Windows are the same however the samples came in blocks, and none lies over a gap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analytics.speed import Speed
from edge_agent.analytics.windows import RevolutionWindows, TimeWindows, joins

START_MS = 1_767_592_800_000.0
Cut = list[tuple[list[float], float, float]]


def cut(
    windows: TimeWindows | RevolutionWindows,
    samples: npt.NDArray[np.float32],
    sizes: list[int],
    rate_hz: float,
) -> Cut:
    """Return the windows of samples that come in blocks of these sizes, copied."""
    found, at = [], 0
    for size in [*sizes, samples.size]:
        block = samples[at : at + size]
        if block.size:
            start_ms = START_MS + at * 1000.0 / rate_hz
            for window in windows.add(block, start_ms):
                found.append((window.samples.tolist(), window.start_ms, window.end_ms))
        at += block.size
    return found


@given(
    size=st.integers(1, 40),
    hop_share=st.floats(0.05, 1.0),
    count=st.integers(0, 200),
    sizes=st.lists(st.integers(1, 60), max_size=20),
    rate_hz=st.sampled_from([0.01, 1.0, 3200.0, 25_600.0, 51_200.0]),
)
def test_windows_do_not_depend_on_blocks(
    size: int, hop_share: float, count: int, sizes: list[int], rate_hz: float
) -> None:
    hop = max(1, round(size * hop_share))
    samples = np.arange(count, dtype=np.float32)

    found = cut(TimeWindows(size, hop, rate_hz, 0.0), samples, sizes, rate_hz)

    firsts = range(0, count - size + 1, hop)
    assert [part for part, _, _ in found] == [samples[n : n + size].tolist() for n in firsts]
    for (_, start_ms, end_ms), first in zip(found, firsts, strict=True):
        assert start_ms == pytest.approx(START_MS + first * 1000.0 / rate_hz, abs=1e-3)
        assert end_ms - start_ms == pytest.approx(size * 1000.0 / rate_hz, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_readings_of_either_precision_are_windows(dtype: npt.DTypeLike) -> None:
    windows = TimeWindows(4, 2, 1.0, 0.0, np.float64)

    parts = [w.samples.tolist() for w in windows.add(np.arange(7, dtype=dtype), START_MS)]

    assert parts == [[0, 1, 2, 3], [2, 3, 4, 5]]


@pytest.mark.parametrize("off_ms", [-500.0, -3.0, 3.0, 60_000.0])
def test_a_gap_begins_anew(off_ms: float) -> None:
    windows = TimeWindows(8, 8, 1000.0, 2.0)
    samples = np.arange(6, dtype=np.float32)

    assert list(windows.add(samples, START_MS)) == []
    after = START_MS + 6.0 + off_ms
    parts = [w for block in (0, 6) for w in windows.add(samples + block, after + block)]

    assert windows.gaps == 1
    assert [w.start_ms for w in parts] == [after]


@pytest.mark.parametrize("off_ms", [-2.0, -0.4, 0.0, 1.9])
def test_times_that_are_rounded_are_no_gap(off_ms: float) -> None:
    windows = TimeWindows(8, 8, 1000.0, 2.0)
    samples = np.arange(6, dtype=np.float32)

    list(windows.add(samples, START_MS))

    assert len(list(windows.add(samples, START_MS + 6.0 + off_ms))) == 1
    assert windows.gaps == 0


def test_half_a_period_is_always_allowed() -> None:
    assert joins(1000.0, 51_000.0, 100_000.0, 0.0)
    assert not joins(1000.0, 51_001.0, 100_000.0, 0.0)


def revolving(readings: list[float], revolutions: float, overlap: float) -> RevolutionWindows:
    speed = Speed(float("nan"), 100.0)
    speed.add(np.array(readings) * 60.0, START_MS, 1.0)
    return RevolutionWindows(revolutions, overlap, 1000.0, speed, 5.0, 2.0)


@given(
    hertz=st.floats(5.0, 50.0),
    revolutions=st.floats(1.0, 20.0),
    sizes=st.lists(st.integers(1, 700), max_size=10),
)
def test_a_window_has_its_turns(hertz: float, revolutions: float, sizes: list[int]) -> None:
    samples = np.arange(6000, dtype=np.float32)

    found = cut(revolving([hertz], revolutions, 0.0), samples, sizes, 1000.0)

    due = 1000.0 * revolutions / hertz
    assert len(found) == pytest.approx(6000 / due, abs=1 + 3 / due * len(found))
    for place, (part, start_ms, end_ms) in enumerate(found):
        assert len(part) == pytest.approx(due, abs=0.51)
        assert end_ms - start_ms == len(part)
        if place:
            assert start_ms == found[place - 1][2]
            assert part[0] == found[place - 1][0][-1] + 1


def test_windows_grow_shorter_as_a_shaft_runs_up() -> None:
    samples = np.arange(5000, dtype=np.float32)

    found = cut(revolving([10.0, 10.0, 20.0, 40.0, 40.0], 10.0, 0.0), samples, [], 1000.0)

    lengths = [len(part) for part, _, _ in found]
    assert lengths[0] == 1000
    assert lengths[-1] == 250
    assert lengths == sorted(lengths, reverse=True)


def test_turns_overlap() -> None:
    samples = np.arange(1000, dtype=np.float32)

    found = cut(revolving([10.0], 4.0, 0.5), samples, [300, 300], 1000.0)

    assert [start - START_MS for _, start, _ in found] == [0.0, 200.0, 400.0, 600.0]


def test_a_shaft_that_stands_has_no_windows_and_keeps_nothing() -> None:
    windows = revolving([0.0], 1.0, 0.0)

    assert list(windows.add(np.zeros(4000, np.float32), START_MS)) == []
    assert windows.gaps == 1
    assert list(windows.add(np.zeros(4000, np.float32), START_MS + 4000.0)) == []


def test_turns_that_take_too_long_are_given_up() -> None:
    windows = revolving([0.1], 1.0, 0.0)

    found = [
        w
        for second in range(20)
        for w in windows.add(np.zeros(1000, np.float32), START_MS + 1000.0 * second)
    ]

    assert found == []
    assert windows.gaps == 3


def test_turns_of_too_few_samples_are_let_go_of() -> None:
    speed = Speed(500.0, 10.0)
    windows = RevolutionWindows(1.0, 0.0, 1000.0, speed, 30.0, 0.0, least=4)

    assert list(windows.add(np.zeros(4000, np.float32), START_MS)) == []
    assert windows.gaps == 1
