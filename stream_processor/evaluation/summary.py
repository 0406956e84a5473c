"""All that is measured of a labelled recording, in the order in which it is to be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_processor.evaluation.metrics.affiliation import affiliation_score, random_affiliation
from stream_processor.evaluation.metrics.events import (
    EventScore,
    alarms_at,
    event_score,
    fixed_threshold,
)
from stream_processor.evaluation.metrics.points import point_score
from stream_processor.evaluation.metrics.ranges import range_score
from stream_processor.evaluation.metrics.vus import buffer_rows, vus_pr
from stream_processor.evaluation.recording import Recording, Window
from stream_processor.evaluation.run import Outcome


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a recording by name; `threshold` is that of the scores, fixed without labels.

    `at_threshold` judges runs of scores above it, `of_alarms` the alarms that the stages raised.
    """

    threshold: float
    figures: dict[str, float]
    at_threshold: EventScore
    of_alarms: EventScore


def summarise(recording: Recording, outcome: Outcome) -> Summary:
    """Return the figures of a recording with labels."""
    if recording.labels is None:
        raise ValueError(f"{recording.name}: nothing can be measured without labels")
    scored = recording.scored
    labels, scores = recording.labels[scored], outcome.scores[scored]
    threshold = fixed_threshold(outcome.scores, recording.train_rows, outcome.limit)
    flagged = scores > threshold
    found = event_score(recording, alarms_at(recording, outcome.scores, threshold))
    raised = [Window(a.raised_row, a.raised_row) for a in outcome.alarms]
    alarms = event_score(recording, raised)
    ranges, points = range_score(labels, flagged), point_score(labels, flagged)
    near, chance = affiliation_score(labels, flagged), random_affiliation(labels, flagged)
    series = recording.values[:, 0]
    figures = {
        "vus_pr": vus_pr(labels, scores, buffer_rows(series)) if scored.any() else float("nan"),
        "event_recall": found.recall,
        "median_delay_s": found.median_delay_s,
        "false_alarms_per_day": found.false_per_day,
        "alarm_event_recall": alarms.recall,
        "alarm_median_delay_s": alarms.median_delay_s,
        "alarm_false_per_day": alarms.false_per_day,
        "range_f1": ranges.f1,
        "affiliation_precision": near.precision,
        "affiliation_recall": near.recall,
        "affiliation_precision_random": chance.precision,
        "affiliation_recall_random": chance.recall,
        "f1": points.f1,
        "far": points.far,
        "mar": points.mar,
    }
    return Summary(threshold, {k: float(np.float64(v)) for k, v in figures.items()}, found, alarms)
