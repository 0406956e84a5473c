from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.kernels.ewma import STATE, ewma

SAMPLES = st.lists(
    st.tuples(st.integers(1, 500), st.one_of(st.floats(-1e3, 1e3), st.just(np.nan))), max_size=60
)


@settings(max_examples=120, deadline=None)
@given(SAMPLES, st.sampled_from([1.0, 50.0, 1000.0]), st.integers(0, 60))
def test_each_sample_weighs_by_its_age_however_blocks_are_cut(samples, constant, cut):
    at = np.cumsum([step for step, _ in samples], dtype=np.int64)
    x = np.array([value for _, value in samples])
    state, newest, out = np.zeros(STATE), np.zeros(1, dtype=np.int64), np.empty((2, x.size))
    skipped = ewma(at[:cut], x[:cut], constant, state, newest, out[:, :cut])
    skipped += ewma(at[cut:], x[cut:], constant, state, newest, out[:, cut:])
    good = np.isfinite(x)
    assert skipped == (~good).sum()
    if not good.any():
        assert np.isnan(out).all()
        return
    times, values = at[good], x[good]
    # What is left of each sample is its own weight times the decay since.
    share = np.concatenate(([1.0], -np.expm1(-np.diff(times) / constant)))
    weights = share * np.exp((times - times[-1]) / constant)
    mean = (weights * values).sum()
    np.testing.assert_allclose(out[0, -1], mean, rtol=1e-9, atol=1e-9)
    variance = (weights * (values - mean) ** 2).sum()
    np.testing.assert_allclose(out[1, -1], variance, rtol=1e-9, atol=1e-7)
