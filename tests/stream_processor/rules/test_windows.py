"""Windows against two-pass formulas over the samples that lie in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.rules.windows import BUCKETS, Window

SERIES = st.lists(
    st.tuples(st.integers(1, 20_000), st.floats(-1e3, 1e3, allow_nan=False)),
    min_size=1,
    max_size=120,
)
START_MS = 1_767_571_200_000


def fed(series: list[tuple[int, float]], seconds: float) -> tuple[Window, np.ndarray]:
    """Return a window and the samples (time in seconds, value) that should be in it."""
    window, time, rows = Window(seconds), START_MS, []
    for after, value in series:
        time += after
        window.add(time, time / 1000, value)
        rows.append((math.floor(time / 1000 * BUCKETS / seconds), (time - START_MS) / 1000, value))
    newest = rows[-1][0]
    return window, np.array([(t, v) for at, t, v in rows if at > newest - BUCKETS])


@settings(deadline=None)
@given(SERIES, st.sampled_from([30.0, 60.0, 600.0]))
def test_mean_and_slope_are_those_of_the_samples_in_the_window(series, seconds):
    window, rows = fed(series, seconds)
    assert window.mean() == pytest.approx(rows[:, 1].mean(), rel=1e-9, abs=1e-9)
    covered = rows[-1, 0] - rows[0, 0] >= seconds / 2
    slope = window.slope()
    if len(rows) < 3 or not covered:
        assert math.isnan(slope)
    else:
        times = rows[:, 0] - rows[:, 0].mean()
        wanted = (times * (rows[:, 1] - rows[:, 1].mean())).sum() / (times**2).sum()
        assert slope == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=16, max_size=200))
def test_correlation_is_pearsons(pairs):
    window = Window(1000.0)
    for at, (a, b) in enumerate(pairs):
        window.add(at * 1000 * 1000 // len(pairs), a, b)
    table = np.array(pairs[-len(pairs) :])
    deviations = table.std(axis=0)
    found = window.correlation()
    if deviations.min() > 1e-3 and len(pairs) == 16:
        assert found == pytest.approx(np.corrcoef(table.T)[0, 1], abs=1e-6)
    assert math.isnan(found) or -1.0 <= found <= 1.0


@given(SERIES, st.integers(0, 119))
def test_a_restored_window_goes_on_as_it_was(series, stop):
    whole, broken, time = Window(60.0), Window(60.0), START_MS
    for at, (after, value) in enumerate(series):
        time += after
        if at == stop:
            broken = Window.restore(broken.state())
        for window in (whole, broken):
            window.add(time, time / 1000, value)
    assert broken.state() == whole.state()


def test_a_clock_that_was_set_back_begins_anew():
    window, _ = fed([(1000, 5.0)] * 50, 60.0)
    window.add(START_MS - 3_600_000, 0.0, 1.0)
    assert window.mean() == 1.0


def test_its_state_is_small_however_much_comes():
    window = Window(60.0)
    for i in range(20_000):
        window.add(START_MS + i, i / 1000, 1.0)
    assert len(window.state()["rows"]) <= BUCKETS
