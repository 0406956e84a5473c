from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.kernels.discounted import FIRST, ROWS, follow

MEMORIES = np.array([4.0, 36.0])


def followed(values):
    sums, start = np.zeros((MEMORIES.size, ROWS, values.shape[1])), np.zeros((2, values.shape[1]))
    out = np.empty((2 * MEMORIES.size + 1, values.shape[1]))
    for row in values:
        follow(row, MEMORIES, sums, start, out)
    return out


def two_passes(x):
    """The same of one series (n,), from all of its values at once."""
    age, found = np.arange(x.size)[::-1], []
    for memory in MEMORIES:
        w = np.exp(-age / memory)
        mean, at = np.average(x, weights=w), np.average(-age, weights=w)
        spread = (w * (-age - at) ** 2).sum() + memory
        found += [mean, memory * (w * (-age - at) * (x - mean)).sum() / spread]
    return [*found, x[: int(FIRST)].mean()]


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 400), offset=st.floats(-1e4, 1e4), seed=st.integers(0, 9))
def test_it_is_what_two_passes_give(n, offset, seed):
    x = offset + np.random.default_rng(seed).normal(size=(n, 2))
    expected = np.stack([two_passes(x[:, 0]), two_passes(x[:, 1])], axis=1)
    assert np.allclose(followed(x), expected, rtol=1e-9, atol=1e-6)


def test_what_is_missing_leaves_its_series_as_it_was():
    x = np.random.default_rng(1).normal(size=(50, 2))
    holes = x.copy()
    holes[::3, 1] = [np.nan, np.inf, -np.inf, np.nan] * 4 + [np.nan]
    seen = np.isfinite(holes[:, 1])
    found = followed(holes)
    assert np.array_equal(found[:, 0], followed(x)[:, 0])
    assert np.array_equal(found[:, 1], followed(x[seen])[:, 1])


def test_what_is_not_known_is_not_told():
    assert np.isnan(followed(np.full((3, 1), np.nan))).all()
