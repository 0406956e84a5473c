"""Events found, how late, and how often an alarm was false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.recording import Recording, Window, windows_of

Array = npt.NDArray[np.float64]
DAY_MS = 86_400_000.0


@dataclass(frozen=True, slots=True)
class EventScore:
    """`recall` of events; `median_delay_s` of those found, from the event's first row.

    `false_per_day` counts alarms that began in no event, by the time that is scored; `missed` are
    events and `false` the rows of false alarms.
    """

    recall: float
    median_delay_s: float
    false_per_day: float
    missed: tuple[Window, ...]
    false: tuple[int, ...]


def fixed_threshold(
    scores: Array, train_rows: int, limit: float = 1.0, share: float = 0.005
) -> float:
    """Return the score that `share` of the training rows exceed; without any, the stages' limit."""
    if not train_rows:
        return limit
    return float(np.quantile(scores[:train_rows], 1.0 - share, method="higher"))


def alarms_at(recording: Recording, scores: Array, threshold: float) -> list[Window]:
    """Return the runs of scored rows whose score is above a threshold."""
    return list(windows_of((scores > threshold) & recording.scored))


def event_score(recording: Recording, alarms: Sequence[Window]) -> EventScore:
    """Return how many events alarms found; an alarm finds every event that it overlaps.

    An alarm that overlaps none is false, one that began in rows that are not scored counts for
    nothing.
    """
    scored = recording.scored
    times = recording.time_ms
    first = np.array([a.first for a in alarms], np.int64)
    last = np.array([a.last for a in alarms], np.int64)
    used = np.zeros(len(alarms), bool)
    missed, delays, due = [], [], 0
    for event in recording.windows:
        rows = np.arange(event.first, event.last + 1)
        if not scored[rows].any():
            continue
        due += 1
        met = (first <= event.last) & (last >= event.first)
        used |= met
        hits = met & ((first >= event.first) | scored[np.minimum(first, len(scored) - 1)])
        if hits.any():
            row = max(int(first[hits].min()), event.first)
            delays.append((times[row] - times[event.first]) / 1000.0)
        else:
            missed.append(event)
    false = [a.first for a, met in zip(alarms, used, strict=True) if not met and scored[a.first]]
    steps = np.diff(times, append=times[-1:])
    spent = float(steps[scored & (steps > 0)].sum()) / DAY_MS
    return EventScore(
        (due - len(missed)) / due if due else float("nan"),
        float(np.median(delays)) if delays else float("nan"),
        len(false) / spent if spent else float("nan"),
        tuple(missed),
        tuple(false),
    )
