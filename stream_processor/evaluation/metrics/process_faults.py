"""Faults that set in once and stay, as of the Tennessee Eastman process (Chiang et al., 2001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_processor.evaluation.recording import Flags

# Flagged rows in a row that count as a detection.
RUN = 6


@dataclass(frozen=True, slots=True)
class FaultScore:
    """Share of a fault's rows that were flagged, rows until `RUN` in a row were, NaN if never."""

    rate: float
    delay_rows: float


def fault_score(flagged: Flags) -> FaultScore:
    """Return the score of flags, shape (n,), of the rows from the fault's onset.

    >>> fault_score(np.array([0, 1, 1, 1, 1, 1, 1, 1], bool)).delay_rows
    1.0
    """
    runs = np.convolve(flagged.astype(np.int64), np.ones(RUN, np.int64), "valid")
    at = np.flatnonzero(runs == RUN)
    return FaultScore(float(flagged.mean()), float(at[0]) if at.size else float("nan"))


def false_alarm_rate(flagged: Sequence[Flags]) -> float:
    """Return the share of normal rows, of several runs, that were flagged."""
    return float(np.concatenate(flagged).mean())
