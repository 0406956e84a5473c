"""Precision and recall by affiliation (Huet, Navarro and Rossi, KDD 2022).

Rows are intervals of one row's length. The integrals of the paper are piecewise linear with kinks
at quarters of a row, so four points a row make them exact.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.recording import Flags, Window, windows_of

Array = npt.NDArray[np.float64]
_POINTS = np.array([0.125, 0.375, 0.625, 0.875])


@dataclass(frozen=True, slots=True)
class AffiliationScore:
    """Average precision and recall over events, 0 to 1; a random detector has about 0.5."""

    precision: float
    recall: float


def affiliation_score(labels: Flags, flagged: Flags) -> AffiliationScore:
    """Return the score of flagged rows, shape (n,); precision is NaN when nothing was flagged.

    >>> affiliation_score(np.array([0, 1, 1, 0], bool), np.array([0, 1, 1, 0], bool))
    AffiliationScore(precision=1.0, recall=1.0)
    """
    events = windows_of(labels)
    if not events:
        return AffiliationScore(float("nan"), float("nan"))
    n = len(labels)
    middles = [(a.last + 1 + b.first) / 2 for a, b in itertools.pairwise(events)]
    bounds = [0.0, *middles, float(n)]
    predicted = windows_of(flagged)
    points = _points(np.flatnonzero(flagged))
    precisions, recalls = [], []
    for event, low, high in zip(events, bounds, bounds[1:], strict=False):
        here = points[np.searchsorted(points, low) : np.searchsorted(points, high)]
        if here.size:
            precisions.append(float(_precision(here, event, low, high).mean()))
        recalls.append(_recall(predicted, event, low, high))
    precision = float(np.mean(precisions)) if precisions else float("nan")
    return AffiliationScore(precision, float(np.mean(recalls)))


def random_affiliation(labels: Flags, flagged: Flags, seed: int = 0) -> AffiliationScore:
    """Return the score of as many rows flagged at random."""
    out = np.zeros(len(labels), np.bool_)
    rows = np.random.default_rng(seed).permutation(len(labels))
    out[rows[: np.count_nonzero(flagged)]] = True
    return affiliation_score(labels, out)


def _points(rows: npt.NDArray[np.int64]) -> Array:
    points: Array = (rows[:, None] + _POINTS).ravel()
    return points


def _precision(points: Array, event: Window, low: float, high: float) -> Array:
    """Return the chance that a random point of the zone is at least as far from the event."""
    first, end = float(event.first), float(event.last + 1)
    away = np.maximum(np.maximum(first - points, points - end), 0.0)
    margin = min(first - low, high - end)
    nearer = np.minimum(away, margin) + away + (end - first)
    return np.where(away > 0.0, 1.0 - nearer / (high - low), 1.0)


def _recall(predicted: tuple[Window, ...], event: Window, low: float, high: float) -> float:
    """Return the mean chance that a random point of the zone lies no nearer to each of the event's.

    Predictions count as far as they lie in the zone.
    """
    firsts = np.array([max(float(w.first), low) for w in predicted])
    ends = np.array([min(float(w.last + 1), high) for w in predicted])
    inside = ends > firsts
    firsts, ends = firsts[inside], ends[inside]
    if not firsts.size:
        return 0.0
    at = _points(np.arange(event.first, event.last + 1))
    after = np.searchsorted(firsts, at, side="right")
    behind = np.where(after > 0, at - ends[np.maximum(after - 1, 0)], np.inf)
    ahead = np.where(after < firsts.size, firsts[np.minimum(after, firsts.size - 1)] - at, np.inf)
    away = np.maximum(np.minimum(behind, ahead), 0.0)
    margin = np.minimum(at - low, high - at)
    nearer = np.minimum(away, margin) + away
    return float(np.where(away > 0.0, 1.0 - nearer / (high - low), 1.0).mean())
