"""Rows judged one by one, without point adjustment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_processor.evaluation.recording import Flags


@dataclass(frozen=True, slots=True)
class PointScore:
    """F1, 0 to 1; false and missing alarm rate, shares of the normal and of the anomalous rows."""

    f1: float
    far: float
    mar: float


def point_score(labels: Flags, flagged: Flags) -> PointScore:
    """Return how well flagged rows, shape (n,), match labels; a rate of no rows is NaN.

    >>> point_score(np.array([0, 0, 1, 1], bool), np.array([0, 1, 1, 1], bool)).f1
    0.8
    """
    hits = float(np.count_nonzero(labels & flagged))
    false = float(np.count_nonzero(~labels & flagged))
    missed = float(np.count_nonzero(labels & ~flagged))
    normal, strange = labels.size - hits - missed, hits + missed
    over = hits + (false + missed) / 2.0
    return PointScore(
        hits / over if over else float("nan"),
        false / normal if normal else float("nan"),
        missed / strange if strange else float("nan"),
    )
