from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba.core.runtime import _nrt_python, rtsys

from stream_processor.kernels import rolling_exact as r
from stream_processor.kernels.rolling import Rolling, rolling_devices, scratch_size

SAMPLE = st.one_of(
    st.floats(-1e3, 1e3).map(lambda v: round(v, 6)),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e9]),
)


def two_pass(x: np.ndarray, window: int) -> np.ndarray:
    out = np.full((r.STATISTICS, x.size), np.nan)
    for i in range(x.size):
        part = x[max(0, i - window + 1) : i + 1]
        part = part[np.isfinite(part)]
        out[r.COUNT, i] = part.size
        if not part.size:
            continue
        mean, low, high = part.mean(), part.min(), part.max()
        d = part - mean
        variance = (d**2).mean()
        rms = np.sqrt((part**2).mean())
        out[:, i] = mean, variance, low, high, part.size, np.nan, np.nan, rms, np.nan, high - low
        if variance > 1e-20 * mean * mean:
            out[r.SKEWNESS, i] = (d**3).mean() / variance**1.5
            out[r.KURTOSIS, i] = (d**4).mean() / variance**2
            out[r.CREST, i] = np.abs(d).max() / np.sqrt(variance)
    return out


def compare(found: np.ndarray, expected: np.ndarray) -> None:
    for row in (r.MINIMUM, r.MAXIMUM, r.COUNT):
        np.testing.assert_array_equal(found[row], expected[row])
    own = np.fmax(np.abs(expected[r.MINIMUM]), np.abs(expected[r.MAXIMUM]))
    scale = np.nanmax(own, initial=0.0)
    np.testing.assert_allclose(found[r.MEAN], expected[r.MEAN], rtol=1e-9, atol=1e-12 * scale)
    # A variance is known to the square of the rounding of its window's own values, no better.
    tolerance = 1e-9 * np.abs(expected[r.VARIANCE]) + 1e-24 * np.nan_to_num(own) ** 2
    both = np.isfinite(expected[r.VARIANCE])
    assert (np.isnan(found[r.VARIANCE]) == ~both).all()
    wrong = np.abs(found[r.VARIANCE] - expected[r.VARIANCE])
    assert (wrong[both] <= tolerance[both]).all()
    if len(found) < r.STATISTICS:
        return
    np.testing.assert_allclose(found[r.RMS], expected[r.RMS], rtol=1e-9)
    np.testing.assert_array_equal(found[r.PEAK_TO_PEAK], expected[r.PEAK_TO_PEAK])
    # Shape needs a spread well above the rounding of the values.
    clear = both & (np.nan_to_num(expected[r.VARIANCE]) > 1e-12 * np.nan_to_num(own) ** 2)
    for row in (r.SKEWNESS, r.KURTOSIS, r.CREST):
        np.testing.assert_allclose(found[row][clear], expected[row][clear], rtol=1e-6, atol=1e-6)
    constant = both & (expected[r.PEAK_TO_PEAK] == 0.0)
    assert np.isnan(found[r.KURTOSIS][constant]).all()


def taken(x: np.ndarray, window: int, cuts: list[int], shape: bool) -> np.ndarray:
    rolling = Rolling.empty(window)
    update = rolling.update_shape if shape else rolling.update
    parts, first = [], 0
    for cut in [*cuts, x.size]:
        parts.append(update(x[first : first + cut]))
        first += cut
    return np.concatenate(parts, axis=1)


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 120), elements=SAMPLE),
    st.integers(1, 40),
    st.lists(st.integers(1, 50), max_size=6),
    st.booleans(),
)
def test_any_stream_in_any_blocks_agrees_with_the_two_pass_formulas(x, window, cuts, shape):
    found = taken(x, window, cuts, shape)
    compare(found, two_pass(x, window)[: len(found)])


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 700),
    st.sampled_from([0.0, 1e-2]),
    st.sampled_from([0.0, 40.0, -1e6]),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 900), max_size=2),
    st.booleans(),
)
def test_long_windows_with_steps_spikes_and_gaps_agree_with_the_two_pass_formulas(
    window, gaps, level, seed, cuts, shape
):
    random = np.random.default_rng(seed)
    x = level + random.normal(size=1500)
    x[random.integers(1500) :] += 1e4
    x[random.integers(1500)] = 1e9
    x[random.random(1500) < gaps] = np.nan
    found = taken(x, window, cuts, shape)
    compare(found, two_pass(x, window)[: len(found)])


@pytest.mark.parametrize("window", [1, 7, 8, 60, 256, 300])
def test_a_spike_that_left_the_window_leaves_no_trace(window):
    x = 20.0 + 1e-3 * np.random.default_rng(3).normal(size=6 * window)
    x[window] = 1e9
    found = Rolling.empty(window).update_shape(x)
    np.testing.assert_allclose(found[r.VARIANCE], two_pass(x, window)[r.VARIANCE], rtol=1e-9)
    assert found[r.VARIANCE, -1] < 2e-6
    assert found[r.PEAK_TO_PEAK, -1] < 0.01


def test_a_step_far_larger_than_the_noise_keeps_nine_digits():
    noise = np.random.default_rng(4).normal(size=2000)
    x = np.where(np.arange(2000) < 700, 0.0, 1e4) + noise
    np.testing.assert_allclose(
        Rolling.empty(64).update(x)[r.VARIANCE],
        two_pass(x, 64)[r.VARIANCE],
        rtol=1e-9,
        atol=1e-15,
    )


def test_values_of_any_size_are_refused_by_none_and_spoil_none_that_follow():
    x = np.concatenate((np.full(40, 1.5e308), np.array([-1.5e308]), np.ones(100)))
    found = Rolling.empty(32).update(x)
    assert (found[r.MAXIMUM, :40] == 1.5e308).all()
    np.testing.assert_array_equal(found[: r.COUNT, -1], [1.0, 0.0, 1.0, 1.0])


def test_float32_is_summed_in_float64():
    x = (1e4 + np.random.default_rng(5).normal(size=500)).astype(np.float32)
    found = Rolling.empty(50).update(x)
    np.testing.assert_array_equal(found, Rolling.empty(50).update(x.astype(np.float64)))


def test_many_devices_are_each_what_one_alone_is():
    random = np.random.default_rng(6)
    window, devices = 24, np.array([3, 0, 2])
    tails = np.full((4, window), np.nan)
    data, scratch = np.empty(window + 10), np.empty(scratch_size(window))
    alone = {device: Rolling.empty(window) for device in devices}
    for _ in range(4):
        x, out = random.normal(size=(3, 10)), np.empty((3, r.STATISTICS, 10))
        rolling_devices(devices, x, window, tails, data, scratch, out)
        for block, found, device in zip(x, out, devices, strict=True):
            np.testing.assert_array_equal(found, alone[device].update_shape(block))
    assert np.isnan(tails[1]).all()


def test_an_update_of_ten_thousand_devices_allocates_nothing():
    count, window, block = 10_000, 20, 4
    devices, x = np.arange(count), np.ones((count, block))
    tails, data = np.zeros((count, window)), np.empty(window + block)
    scratch, out = np.empty(scratch_size(window)), np.empty((count, r.COUNT + 1, block))
    rolling_devices(devices, x, window, tails, data, scratch, out)
    _nrt_python.memsys_enable_stats()
    tracemalloc.start()
    try:
        # Handing the arrays over costs the same few, however many devices there are.
        counts = [rtsys.get_allocation_stats().alloc]
        for some in (1, count):
            part = devices[:some], x[:some], out[:some]
            rolling_devices(part[0], part[1], window, tails, data, scratch, part[2])
            counts.append(rtsys.get_allocation_stats().alloc)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        _nrt_python.memsys_disable_stats()
    assert counts[2] - counts[1] == counts[1] - counts[0]
    assert peak < count


def test_a_state_restores_the_window_and_a_newer_schema_is_refused():
    rolling = Rolling.empty(8)
    rolling.update(np.arange(20.0))
    again = Rolling.restore(rolling.state())
    np.testing.assert_array_equal(rolling.update(np.ones(3)), again.update(np.ones(3)))
    with pytest.raises(ValueError, match="schema 99"):
        Rolling.restore(rolling.state() | {"schema": 99})


def test_a_window_without_a_sample_is_refused():
    with pytest.raises(ValueError, match="at least 1 sample, not 0"):
        Rolling.empty(0)
