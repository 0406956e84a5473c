from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys

from stream_processor.kernels import features as f
from stream_processor.kernels.event_windows import LATE, PUSHED_OUT, EventWindows

SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.one_of(
            st.floats(-1e3, 1e3).map(lambda v: round(v, 5)),
            st.sampled_from([np.nan, np.inf, -np.inf, 1e9]),
        ),
    ),
    max_size=80,
)
ONE = np.zeros(1, dtype=np.int64)


def fed(windows: EventWindows, at: np.ndarray, x: np.ndarray) -> np.ndarray:
    out = np.empty((1, f.FEATURES))
    windows.update(ONE, at[None], x[None], out)
    return out[0]


@settings(max_examples=120, deadline=None)
@given(SAMPLES, st.integers(1, 200), st.integers(0, 80))
def test_a_window_holds_what_is_younger_than_its_span_however_blocks_are_cut(samples, span, cut):
    at = np.cumsum([step for step, _ in samples], dtype=np.int64)
    x = np.array([value for _, value in samples])
    windows = EventWindows.empty(1, span, 80)
    fed(windows, at[:cut], x[:cut])
    found = fed(windows, at[cut:], x[cut:])
    inside = np.isfinite(x) & (at > (at[-1] if at.size else 0) - span)
    times, good = at[inside], x[inside]
    assert found[f.COUNT] == good.size
    assert found[f.SKIPPED] == (~np.isfinite(x[cut:])).sum()
    if good.size:
        size = np.abs(good).max()
        assert (found[f.MINIMUM], found[f.MAXIMUM]) == (good.min(), good.max())
        np.testing.assert_allclose(found[f.VARIANCE], good.var(), rtol=1e-9, atol=1e-24 * size**2)
    if good.size and np.ptp(times):
        centred = times - times.mean()
        slope = (centred * (good - good.mean())).sum() / (centred**2).sum()
        assert found[f.SLOPE] == pytest.approx(slope, rel=1e-7, abs=1e-9 * size)


def test_a_spike_that_left_the_window_leaves_no_trace():
    quiet = 20.0 + 3e-4 * np.random.default_rng(3).normal(size=400)
    windows = EventWindows.empty(1, 400, 512)
    fed(windows, ONE, np.array([1e9]))
    found = fed(windows, np.arange(1, 401), quiet)
    np.testing.assert_allclose(found[f.VARIANCE], quiet.var(), rtol=1e-9)


def test_late_samples_and_a_full_row_are_counted():
    windows = EventWindows.empty(1, 1000, 4)
    found = fed(windows, np.array([10, 9, 11, 12, 13, 14]), np.arange(6.0))
    assert found[f.SKIPPED] == 1
    assert found[f.COUNT] == 4
    assert (windows.bounds[0, LATE], windows.bounds[0, PUSHED_OUT]) == (1, 1)


def test_a_state_restores_the_windows_and_one_of_another_schema_is_refused():
    windows = EventWindows.empty(2, 100, 8)
    fed(windows, np.arange(5), np.arange(5.0))
    state = windows.state()
    again = EventWindows.restore(state)
    more = np.arange(5, 9), np.ones(4)
    np.testing.assert_array_equal(fed(windows, *more), fed(again, *more))
    with pytest.raises(ValueError, match="schema 0"):
        EventWindows.restore(state | {"schema": 0})
    with pytest.raises(ValueError, match="needs a span"):
        EventWindows.empty(1, 0, 8)


def test_ten_thousand_devices_are_updated_without_allocation():
    devices = np.arange(10_000)
    windows = EventWindows.empty(devices.size, 100, 64)
    x = np.random.default_rng(1).normal(size=(devices.size, 16))
    at = np.tile(np.arange(16), (devices.size, 1))
    out = np.empty((devices.size, f.FEATURES))
    windows.update(devices, at, x, out)
    _nrt_python.memsys_enable_stats()
    try:
        # Handing the arrays over costs the same few, however many devices there are.
        counts = [rtsys.get_allocation_stats().alloc]
        for some in (1, devices.size):
            windows.update(devices[:some], at[:some] + 16, x[:some], out[:some])
            counts.append(rtsys.get_allocation_stats().alloc)
    finally:
        _nrt_python.memsys_disable_stats()
    assert counts[2] - counts[1] == counts[1] - counts[0]
    assert (out[1:, f.COUNT] == 32).all()


def test_an_update_of_ten_thousand_devices_leaves_python_and_numpy_nothing_to_allocate():
    devices = np.arange(10_000)
    windows = EventWindows.empty(devices.size, 100, 64)
    x = np.random.default_rng(1).normal(size=(devices.size, 16))
    at = np.tile(np.arange(16), (devices.size, 1))
    out = np.empty((devices.size, f.FEATURES))
    windows.update(devices, at, x, out)
    tracemalloc.start()
    try:
        windows.update(devices, at, x, out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Not even a byte a device.
    assert peak < devices.size
    assert (out[:, f.COUNT] == 16 + 1).all()


def test_a_window_of_one_sample_holds_the_newest():
    windows = EventWindows.empty(1, 1, 1)
    found = fed(windows, np.arange(3), np.array([5.0, 1e9, 7.0]))
    assert (found[f.COUNT], found[f.MEAN], found[f.VARIANCE]) == (1, 7.0, 0.0)
