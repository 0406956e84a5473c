from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.kernels.ewma import STATE, Ewma, ewma

NOT_NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf])
SAMPLES = st.lists(
    st.tuples(st.integers(1, 500), st.one_of(st.floats(-1e3, 1e3), NOT_NUMBERS)), max_size=60
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


def test_a_spike_fades_with_its_own_weight():
    x = 20.0 + 1e-3 * np.random.default_rng(3).normal(size=4000)
    x[5] = 1e9
    at = 10 * np.arange(x.size)
    found = Ewma.empty(100.0).update(at, x)
    share = np.full(x.size, -np.expm1(-0.1))
    share[0] = 1.0
    weights = share * np.exp(-0.1 * np.arange(x.size)[::-1])
    mean = (weights * x).sum()
    assert found[0, -1] == pytest.approx(mean, rel=1e-12)
    assert found[1, -1] == pytest.approx((weights * (x - mean) ** 2).sum(), rel=1e-9)


def test_float32_is_summed_in_float64():
    x = (1e4 + np.random.default_rng(5).normal(size=500)).astype(np.float32)
    at = np.arange(500)
    found = Ewma.empty(50.0).update(at, x)
    np.testing.assert_array_equal(found, Ewma.empty(50.0).update(at, x.astype(np.float64)))


def test_a_state_restores_the_mean_and_one_of_another_schema_is_refused():
    mean = Ewma.empty(10.0)
    mean.update(np.arange(5), np.arange(5.0))
    again = Ewma.restore(mean.state())
    more = np.arange(5, 9), np.ones(4)
    np.testing.assert_array_equal(mean.update(*more), again.update(*more))
    with pytest.raises(ValueError, match="schema 99"):
        Ewma.restore(mean.state() | {"schema": 99})
    with pytest.raises(ValueError, match="positive time constant"):
        Ewma.empty(0.0)
