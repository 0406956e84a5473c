from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream_processor.kernels import blocks

NOT_NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf])
SAMPLE = st.one_of(st.floats(-1e4, 1e4).map(lambda v: round(v, 4)), NOT_NUMBERS)


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 200), elements=SAMPLE))
def test_moments_agree_with_two_pass_formulas(x):
    found = blocks.block_moments(x)
    good = x[np.isfinite(x)]
    assert found[blocks.COUNT] == good.size
    if not good.size:
        assert np.isnan(found[1:]).all()
        return
    d = good - good.mean()
    variance = (d**2).mean()
    size = np.abs(good).max()
    np.testing.assert_allclose(found[blocks.MEAN], good.mean(), atol=1e-12 * size)
    np.testing.assert_allclose(found[blocks.RMS], np.sqrt((good**2).mean()), rtol=1e-9)
    np.testing.assert_allclose(found[blocks.VARIANCE], variance, rtol=1e-9, atol=1e-24 * size**2)
    assert found[blocks.PEAK_TO_PEAK] == good.max() - good.min()
    if variance > 1e-6:
        np.testing.assert_allclose(found[blocks.KURTOSIS], (d**4).mean() / variance**2, rtol=1e-8)
        np.testing.assert_allclose(
            found[blocks.SKEWNESS], (d**3).mean() / variance**1.5, rtol=1e-7, atol=1e-8
        )
        np.testing.assert_allclose(
            found[blocks.CREST], np.abs(d).max() / np.sqrt(variance), rtol=1e-9
        )


def test_a_spike_does_not_spoil_the_moments_of_the_next_block():
    quiet = 5.0 + 1e-3 * np.random.default_rng(1).normal(size=3200)
    blocks.block_moments(np.concatenate(([1e9], quiet)))
    found = blocks.block_moments(quiet)
    np.testing.assert_allclose(found[blocks.VARIANCE], np.var(quiet), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.sampled_from([0.01, 1.0, 4.0, 100.0]), st.data())
def test_each_sample_is_in_one_second(size, rate, data):
    x = data.draw(hnp.arrays(np.float64, size, elements=SAMPLE))
    found = blocks.one_second_aggregates(x, rate)
    assert found[3].sum() == np.isfinite(x).sum()
    per = 1 if rate <= 1.0 else int(rate)
    assert found.shape[1] == -(-size // per)
    for second in range(found.shape[1]):
        part = x[second * per : (second + 1) * per]
        part = part[np.isfinite(part)]
        if part.size:
            assert found[1, second] == part.min()
            assert found[2, second] == part.max()
            np.testing.assert_allclose(found[0, second], part.mean(), rtol=1e-9, atol=1e-9)
        else:
            assert np.isnan(found[:3, second]).all()


def test_runs_are_counted_across_blocks_and_gaps():
    longest, last, run = blocks.longest_run(np.array([1.0, 2.0, 2.0, np.nan, 2.0]), np.nan, 0)
    assert (longest, last, run) == (3, 2.0, 3)
    assert blocks.longest_run(np.array([2.0, 3.0]), last, run)[0] == 4


def test_lone_spikes_are_counted_but_steps_are_not():
    x = np.random.default_rng(2).normal(size=2000)
    x[1000:] += 100.0
    edge = np.array([np.nan, np.nan, 0.0])
    spikes, noise = blocks.count_spikes(x, edge, 12.0, 0.0)
    assert spikes == 0
    x = np.random.default_rng(5).normal(size=1000)
    x[100::100] += 80.0
    assert blocks.count_spikes(x, edge, 12.0, noise)[0] == 9
