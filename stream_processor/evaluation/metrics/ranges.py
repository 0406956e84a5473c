"""Precision and recall of ranges (Tatbul et al., NeurIPS 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_processor.evaluation.recording import Flags, Window, windows_of


@dataclass(frozen=True, slots=True)
class RangeScore:
    """Range-based precision, recall and F1, 0 to 1; NaN where there is nothing to judge."""

    precision: float
    recall: float
    f1: float


def range_score(labels: Flags, flagged: Flags, alpha: float = 0.0) -> RangeScore:
    """Return the score of flagged rows, shape (n,).

    Positional bias is flat, overlap cardinality 1/x, and `alpha` the weight of an event's mere
    existence in recall, 0 as in the paper's figures.

    >>> range_score(np.array([0, 1, 1, 0], bool), np.array([0, 1, 0, 0], bool)).recall
    0.5
    """
    events, found = windows_of(labels), windows_of(flagged)
    recall = _share(events, found, flagged, alpha)
    precision = _share(found, events, labels, 0.0)
    both = precision + recall
    f1 = 2.0 * precision * recall / both if both > 0.0 else 0.0 if both == 0.0 else float("nan")
    return RangeScore(precision, recall, f1)


def _share(
    of: tuple[Window, ...], others: tuple[Window, ...], covered: Flags, alpha: float
) -> float:
    if not of:
        return float("nan")
    total = np.concatenate([[0], np.cumsum(covered)])
    firsts = np.array([w.first for w in others], np.int64)
    lasts = np.array([w.last for w in others], np.int64)
    score = 0.0
    for window in of:
        met = int(total[window.last + 1] - total[window.first])
        # Runs that end before it are not met, nor those that begin after it.
        pieces = int(
            np.searchsorted(firsts, window.last, side="right")
            - np.searchsorted(lasts, window.first, side="left")
        )
        if pieces:
            overlap = met / (window.last - window.first + 1) / pieces
            score += alpha + (1.0 - alpha) * overlap
    return score / len(of)
