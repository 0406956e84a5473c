"""Skoltech Anomaly Benchmark: 34 runs of a water-circulation rig."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.detection.result import (
    Judged,
    Progress,
    Published,
    Result,
    SetReport,
    data_folder,
)
from stream_processor.evaluation import table
from stream_processor.evaluation.metrics.changepoints import Times, changepoint_scores
from stream_processor.evaluation.metrics.news import news
from stream_processor.evaluation.metrics.points import PointScore, point_score
from stream_processor.evaluation.recording import Flags, Recording
from stream_processor.evaluation.run import run as take
from stream_processor.evaluation.summary import summarise

TRAIN_ROWS = 400
# Rows in which a clock alarms that knows how the rig was run, and rows between two ticks.
CLOCK = (570, 999)
TICK_ROWS = 30
# A change is a score over the threshold and over all of the last rows: of so many, by the even
# runs.
NEWS_ROWS = 10
F1 = Published(0.78, "SKAB leaderboard: Conv-AE (offline), FAR 0.1355, MAR 0.2802")
CHANGE = {"standard": 34.29, "low FP": 23.21, "low FN": 42.54}
CHANGE_SOURCE = "SKAB leaderboard: CPD-DMD (Wadinger 2024, online)"


@dataclasses.dataclass(frozen=True)
class Run:
    """A recording and the times of its change points among the scored rows, milliseconds."""

    recording: Recording
    change_ms: Times


def runs(folder: Path) -> list[Run]:
    """Return the labelled runs in the order of their names."""
    found = []
    for path in sorted(folder.glob("data/*/*.csv")):
        if path.parent.name == "anomaly-free":
            continue
        given = table.read(path, "datetime", "anomaly", ["changepoint"], TRAIN_ROWS)
        marks = table.read(path, "datetime", "changepoint").labels
        assert marks is not None
        marks = marks & given.scored
        name = f"{path.parent.name}/{path.name}"
        found.append(Run(dataclasses.replace(given, name=name), given.time_ms[marks]))
    return found


def pooled(all_runs: list[Run], flags: list[Flags]) -> PointScore:
    """Return the score of flags, a run each, over the scored rows of all runs."""
    labels = [r.recording.labels[r.recording.scored] for r in all_runs
              if r.recording.labels is not None]  # fmt: skip
    kept = [f[r.recording.scored] for r, f in zip(all_runs, flags, strict=True)]
    return point_score(np.concatenate(labels), np.concatenate(kept))


def changes(all_runs: list[Run], flags: list[Flags]) -> dict[str, float]:
    """Return the change-point scores of alarms at flagged rows."""
    pairs = [
        (r.change_ms, r.recording.time_ms[f & r.recording.scored])
        for r, f in zip(all_runs, flags, strict=True)
    ]
    return dict(changepoint_scores(pairs))


def ticks(all_runs: list[Run]) -> dict[str, float]:
    """Return the change-point scores of an alarm every 30 rows, a second each, best phase."""
    found = [
        changes(
            all_runs,
            [np.arange(r.recording.rows) % TICK_ROWS == phase for r in all_runs],
        )
        for phase in range(TICK_ROWS)
    ]
    return {name: max(one[name] for one in found) for name in found[0]}


def run(progress: Progress) -> SetReport:
    """Return F1, FAR and MAR at thresholds fixed on the first 400 rows, and change points."""
    found = runs(data_folder("skab"))
    total, done = sum(r.recording.rows for r in found), 0
    judged, flags, turned = [], [], []
    for one in found:
        outcome = take(one.recording, lambda n, _, before=done: progress(before + n, total))
        done += one.recording.rows
        summary = summarise(one.recording, outcome)
        flags.append(outcome.scores > summary.threshold)
        turned.append(news(outcome.scores, NEWS_ROWS) > summary.threshold)
        judged.append(Judged(one.recording, outcome, summary))
    ours = pooled(found, flags)
    generator = np.random.default_rng(0)
    makers: dict[str, Callable[[int], Flags]] = {
        "clock": lambda n: (np.arange(n) >= CLOCK[0]) & (np.arange(n) <= CLOCK[1]),
        "always": lambda n: np.ones(n, np.bool_),
        "random": lambda n: generator.random(n) < 0.5,
    }
    blind = {
        name: pooled(found, [make(r.recording.rows) for r in found])
        for name, make in makers.items()
    }
    results = [
        Result("skab", "F1", ours.f1, {k: v.f1 for k, v in blind.items()}, F1),
        Result("skab", "FAR", ours.far, {k: v.far for k, v in blind.items()},
               Published(0.1355, F1.source), False),
        Result("skab", "MAR", ours.mar, {k: v.mar for k, v in blind.items()},
               Published(0.2802, F1.source), False),
    ]  # fmt: skip
    turns = changes(found, turned)
    ticking = ticks(found)
    for name, score in turns.items():
        published = Published(CHANGE[name], CHANGE_SOURCE)
        results.append(
            Result("skab", f"change points {name}", score, {"tick": ticking[name]}, published)
        )
    return SetReport(results, judged)
