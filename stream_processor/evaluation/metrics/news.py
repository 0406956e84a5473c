"""Rows that say something new, for benchmarks that count alarms and not rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def news(scores: Array, rows: int) -> Array:
    """Return each score, shape (n,), that exceeds all of the last `rows` ones, and 0 else.

    An alarm that stands is no news, and one more as high as the last is none.

    >>> news(np.array([1.0, 3.0, 2.0, 0.0, 2.0, 3.0]), 2)
    array([1., 3., 0., 0., 0., 3.])
    """
    before = np.concatenate([np.full(rows, -np.inf), scores[:-1]])
    highest = np.lib.stride_tricks.sliding_window_view(before, rows).max(axis=1)
    out: Array = np.where(scores > highest, scores, 0.0)
    return out
