from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from stream_processor.kernels import features as f
from stream_processor.kernels import spectrum

SAMPLE = st.one_of(
    st.floats(-1e4, 1e4).map(lambda v: round(v, 4)), st.sampled_from([np.nan, np.inf, -np.inf])
)
BLOCK = hnp.arrays(np.float64, st.integers(0, 150), elements=SAMPLE)


def tumbled(x: np.ndarray) -> np.ndarray:
    out = np.empty(f.FEATURES)
    f.tumble(x, np.empty(x.size), out)
    return out


@settings(max_examples=150, deadline=None)
@given(BLOCK)
def test_features_agree_with_two_pass_formulas(x):
    found = tumbled(x)
    places = np.flatnonzero(np.isfinite(x)).astype(float)
    good = x[np.isfinite(x)]
    assert found[f.COUNT] == good.size
    assert found[f.SKIPPED] == x.size - good.size
    assert found[f.CROSSINGS] == np.count_nonzero(np.diff(good >= 0.0))
    if not good.size:
        assert np.isnan(found[[f.MEAN, f.VARIANCE, f.MINIMUM, f.MAXIMUM, f.RMS]]).all()
        return
    size = np.abs(good).max()
    deviation = good.std()
    np.testing.assert_allclose(found[f.MEAN], good.mean(), atol=1e-12 * size)
    np.testing.assert_allclose(found[f.VARIANCE], good.var(), rtol=1e-9, atol=1e-24 * size**2)
    np.testing.assert_allclose(found[f.RMS], np.sqrt((good**2).mean()), rtol=1e-9)
    assert (found[f.MINIMUM], found[f.MAXIMUM]) == (good.min(), good.max())
    assert found[f.PEAK_TO_PEAK] == good.max() - good.min()
    if good.size > 1:
        expected = np.polynomial.polynomial.polyfit(places, good, 1)[1]
        np.testing.assert_allclose(found[f.SLOPE], expected, rtol=1e-7, atol=1e-9 * (1 + size))
    if deviation > 1e-3:
        crest = np.abs(good - good.mean()).max() / deviation
        np.testing.assert_allclose(found[f.CREST], crest, rtol=1e-8)
        np.testing.assert_allclose(found[f.KURTOSIS], stats.kurtosis(good, fisher=False), rtol=1e-7)
        np.testing.assert_allclose(found[f.SKEWNESS], stats.skew(good), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3e8])
def test_a_constant_has_no_shape(value):
    found = tumbled(np.full(100, value))
    assert found[f.MEAN] == pytest.approx(value)
    assert np.isnan(found[[f.SKEWNESS, f.KURTOSIS, f.CREST]]).all()
    assert found[f.PEAK_TO_PEAK] == 0.0


@settings(max_examples=80, deadline=None)
@given(BLOCK, st.lists(st.integers(0, 200), min_size=1, max_size=4))
def test_autocorrelation_agrees_with_its_definition(x, lags):
    out = np.empty(len(lags))
    f.autocorrelation(x, np.array(lags), out)
    good = np.isfinite(x)
    if not good.any() or x[good].std() < 1e-3:
        return
    centred = np.where(good, x, 0.0)
    centred = np.where(good, centred - x[good].mean(), 0.0)
    for lag, value in zip(lags, out, strict=True):
        expected = (centred[: max(x.size - lag, 0)] * centred[lag:]).sum() / (centred**2).sum()
        assert value == pytest.approx(expected, rel=1e-7, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(BLOCK, st.integers(0, 1000))
def test_correlation_agrees_with_numpy(x, seed):
    y = np.random.default_rng(seed).normal(size=x.size) + 0.5 * np.nan_to_num(x, posinf=0, neginf=0)
    found = f.correlation(x, y)
    good = np.isfinite(x)
    if good.sum() < 2 or x[good].std() < 1e-3 or y[good].std() < 1e-3:
        return
    assert found == pytest.approx(np.corrcoef(x[good], y[good])[0, 1], rel=1e-7, abs=1e-9)


def test_the_powers_of_bands_that_share_no_bin_sum_to_the_whole():
    power = np.random.default_rng(1).random(100)
    out = np.empty(2)
    spectrum.band_powers(power, 1.0, np.array([[1.0, 40.0], [41.0, 99.0]]), out)
    assert out.sum() == pytest.approx(power[1:].sum())


@settings(max_examples=80, deadline=None)
@given(BLOCK, st.lists(st.integers(-200, 200), min_size=1, max_size=4), st.integers(0, 1000))
def test_cross_correlation_agrees_with_its_definition(x, lags, seed):
    y = np.random.default_rng(seed).normal(size=x.size)
    y[::7] = np.nan
    out = np.empty(len(lags))
    f.cross_correlation(x, y, np.array(lags), out)
    a, b = (np.where(np.isfinite(v), v, 0.0) for v in (x, y))
    for v, whole in ((a, x), (b, y)):
        good = np.isfinite(whole)
        if good.sum() < 2 or whole[good].std() < 1e-3:
            return
        v[good] -= whole[good].mean()
    for lag, value in zip(lags, out, strict=True):
        first, last = max(0, -lag), max(0, min(x.size, x.size - lag))
        total = (a[first:last] * b[first + lag : last + lag]).sum() if first < last else 0.0
        expected = total / np.sqrt((a**2).sum() * (b**2).sum())
        assert value == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_a_delay_between_two_channels_is_where_their_correlation_is_greatest():
    x = np.random.default_rng(7).normal(size=500)
    lags, out = np.arange(-20, 21), np.empty(41)
    f.cross_correlation(x, np.roll(x, 6), lags, out)
    assert lags[out.argmax()] == 6


def test_a_spike_inside_a_block_is_weighed_as_two_passes_do():
    random = np.random.default_rng(8)
    x, y = 20.0 + random.normal(size=(2, 1000))
    x[400] = 1e9
    found, out = tumbled(x), np.empty(1)
    np.testing.assert_allclose(found[f.VARIANCE], x.var(), rtol=1e-9)
    np.testing.assert_allclose(found[f.KURTOSIS], stats.kurtosis(x, fisher=False), rtol=1e-9)
    assert f.correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-7)
    f.autocorrelation(x, np.array([1]), out)
    d = x - x.mean()
    assert out[0] == pytest.approx((d[1:] * d[:-1]).sum() / (d**2).sum(), rel=1e-7)


def test_float32_is_summed_in_float64():
    x = (1e4 + np.random.default_rng(9).normal(size=2000)).astype(np.float32)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(tumbled(x), tumbled(wide), rtol=1e-12)
    assert f.correlation(x, x[::-1].copy()) == f.correlation(wide, wide[::-1].copy())
