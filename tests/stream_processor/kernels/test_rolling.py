from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream_processor.kernels.rolling import Rolling

SAMPLE = st.one_of(
    st.floats(-1e3, 1e3).map(lambda v: round(v, 6)), st.just(np.nan), st.just(np.inf), st.just(1e9)
)


def two_pass(x: np.ndarray, window: int) -> np.ndarray:
    out = np.full((5, x.size), np.nan)
    for i in range(x.size):
        part = x[max(0, i - window + 1) : i + 1]
        part = part[np.isfinite(part)]
        out[4, i] = part.size
        if part.size:
            mean = part.mean()
            out[:4, i] = mean, ((part - mean) ** 2).mean(), part.min(), part.max()
    return out


def compare(found: np.ndarray, expected: np.ndarray) -> None:
    scale = np.nanmax(np.abs(expected[2:4]), axis=0, initial=0.0)
    np.testing.assert_array_equal(found[2:], expected[2:])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-9, atol=1e-12 * scale.max())
    # A variance is known to the square of the rounding of its window's own values, no better.
    own = np.maximum(np.abs(expected[2]), np.abs(expected[3]))
    tolerance = 1e-9 * np.abs(expected[1]) + 1e-24 * np.nan_to_num(own) ** 2
    both = np.isfinite(expected[1])
    assert (np.isnan(found[1]) == ~both).all()
    assert (np.abs(found[1] - expected[1])[both] <= tolerance[both]).all()


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 120), elements=SAMPLE),
    st.integers(2, 40),
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
)
def test_any_stream_in_any_blocks_agrees_with_the_two_pass_formulas(x, window, cuts):
    rolling = Rolling.empty(window)
    parts, first = [], 0
    for cut in [*cuts, x.size]:
        parts.append(rolling.update(x[first : first + cut]))
        first += cut
    found = np.concatenate(parts, axis=1)[:, : x.size]
    compare(found, two_pass(x, window))


@pytest.mark.parametrize("window", [8, 60, 256])
def test_a_spike_that_left_the_window_leaves_no_trace(window):
    x = 20.0 + 1e-3 * np.random.default_rng(3).normal(size=6 * window)
    x[window] = 1e9
    found = Rolling.empty(window).update(x)
    np.testing.assert_allclose(found[1], two_pass(x, window)[1], rtol=1e-9)
    assert found[1, -1] < 2e-6


def test_a_step_far_larger_than_the_noise_keeps_nine_digits():
    noise = np.random.default_rng(4).normal(size=2000)
    x = np.where(np.arange(2000) < 700, 0.0, 1e4) + noise
    np.testing.assert_allclose(
        Rolling.empty(64).update(x)[1], two_pass(x, 64)[1], rtol=1e-9, atol=1e-15
    )


def test_a_window_of_one_sample_is_refused():
    with pytest.raises(ValueError, match="at least 2 samples, not 1"):
        Rolling.empty(1)
