from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream_processor.kernels.quantiles import RollingQuantiles, quantiles

SAMPLE = st.one_of(
    st.integers(-5, 5).map(float),
    st.floats(-1e9, 1e9),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
BLOCK = hnp.arrays(np.float64, st.integers(0, 80), elements=SAMPLE)
SHARES = np.array([0.0, 0.05, 0.5, 0.9, 1.0])


def expected(x: np.ndarray) -> np.ndarray:
    good = x[np.isfinite(x)]
    return np.quantile(good, SHARES) if good.size else np.full(SHARES.size, np.nan)


@settings(max_examples=150, deadline=None)
@given(BLOCK)
def test_quantiles_agree_with_numpy(x):
    out = np.empty(SHARES.size)
    assert quantiles(x, SHARES, np.empty(x.size), out) == np.isfinite(x).sum()
    np.testing.assert_allclose(out, expected(x), rtol=1e-12, atol=1e-6)


@settings(max_examples=120, deadline=None)
@given(BLOCK, st.integers(1, 100), st.integers(0, 80))
def test_a_sliding_window_has_the_quantiles_of_its_samples_however_blocks_are_cut(x, window, cut):
    rolling = RollingQuantiles.empty(window, SHARES)
    parts = [rolling.update(x[:cut])]
    rolling = RollingQuantiles.restore(rolling.state())
    parts.append(rolling.update(x[cut:]))
    found = np.concatenate(parts, axis=1)
    for i in range(x.size):
        np.testing.assert_allclose(
            found[:, i], expected(x[max(0, i - window + 1) : i + 1]), rtol=1e-12, atol=1e-6
        )


def test_float32_is_ordered_as_it_is():
    x = np.random.default_rng(5).normal(size=200).astype(np.float32)
    found = RollingQuantiles.empty(20, [0.5]).update(x)
    np.testing.assert_array_equal(
        found, RollingQuantiles.empty(20, [0.5]).update(x.astype(np.float64))
    )


def test_what_no_window_can_have_is_refused():
    with pytest.raises(ValueError, match="at least 1 sample, not 0"):
        RollingQuantiles.empty(0, [0.5])
    with pytest.raises(ValueError, match="shares of 0 to 1"):
        RollingQuantiles.empty(8, [1.5])
    state = RollingQuantiles.empty(8, [0.5]).state()
    with pytest.raises(ValueError, match="schema 99"):
        RollingQuantiles.restore(state | {"schema": 99})
