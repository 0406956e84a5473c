from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.core import errors

from stream_processor.kernels.lanes import (
    WIDTH,
    highest,
    lane,
    load,
    load_first,
    lowest,
    magnitude,
    root,
    shifted,
    splat,
    store,
    store_first,
    where_at_most,
)


@njit
def _worked(x: np.ndarray, out: np.ndarray) -> float:
    a, b = load(x, 0), load(x, WIDTH)
    store(out[0], 0, (a + b) * splat(2.0) - a / b)
    store(out[1], 0, shifted(a, b, 3))
    store(out[2], 0, lowest(a, b))
    store(out[3], 0, highest(a, b))
    store(out[4], 0, root(magnitude(a)))
    store(out[5], 0, where_at_most(a, splat(0.0), a, b))
    store(out[6], 0, load_first(x, 0, 3, splat(9.0)))
    store_first(out[7], 0, a, 5)
    return lane(a, 2)


def test_lanes_do_to_each_what_numpy_does():
    x = np.random.default_rng(1).normal(size=2 * WIDTH)
    a, b, out = x[:WIDTH], x[WIDTH:], np.zeros((8, WIDTH))
    assert _worked(x, out) == a[2]
    np.testing.assert_allclose(out[0], (a + b) * 2.0 - a / b, rtol=1e-12)
    np.testing.assert_array_equal(out[1], x[WIDTH - 3 : 2 * WIDTH - 3])
    np.testing.assert_array_equal(out[2], np.minimum(a, b))
    np.testing.assert_array_equal(out[3], np.maximum(a, b))
    np.testing.assert_array_equal(out[4], np.sqrt(np.abs(a)))
    np.testing.assert_array_equal(out[5], np.where(a <= 0.0, a, b))
    np.testing.assert_array_equal(out[6], [*a[:3], *[9.0] * 5])
    np.testing.assert_array_equal(out[7], [*a[:5], *[0.0] * 3])


def test_what_is_not_float64_side_by_side_is_refused():
    @njit
    def first(x: np.ndarray) -> float:
        return lane(load(x, 0), 0)

    for x in (np.zeros(8, dtype=np.float32), np.zeros(16)[::2], np.zeros((2, 8))):
        with pytest.raises(errors.TypingError, match="contiguous row of float64"):
            first(x)
