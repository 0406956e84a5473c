"""Numenta Anomaly Benchmark: 58 univariate series, 116 labelled windows."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
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
from stream_processor.evaluation.metrics.nab import (
    PROFILES,
    Corpus,
    Scored,
    held_out,
    optimised,
    probation,
)
from stream_processor.evaluation.metrics.news import news
from stream_processor.evaluation.recording import Channel, Recording, Window
from stream_processor.evaluation.run import run as take
from stream_processor.evaluation.summary import summarise

PUBLISHED = {"standard": 74.85, "low FP": 66.98, "low FN": 80.36}
SOURCE = "NAB results/final_results.json: ARTime, of low FP contextOSE"
# NAB counts every row over the threshold as an alarm: one in so many rows is enough.
NEWS_ROWS = 150
# Intervals of the ticking baseline, rows.
TICKS = (50, 100, 150, 200, 300, 400, 500, 750, 1000, 1500)


def recordings(folder: Path) -> list[Recording]:
    """Return the series in the order of their names."""
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text())
    return [_read(folder / "data" / name, name, windows[name]) for name in sorted(windows)]


def _read(path: Path, name: str, labelled: list[list[str]]) -> Recording:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    time = np.array([_moment(row[0]) for row in rows], np.int64)
    labels, windows = np.zeros(len(rows), np.bool_), []
    for low, high in labelled:
        at = np.flatnonzero((time >= _moment(low)) & (time <= _moment(high)))
        windows.append(Window(int(at[0]), int(at[-1])))
        labels[at] = True
    return Recording(
        name=name,
        time_ms=time,
        channels=(Channel("value"),),
        values=np.array([[float(row[1])] for row in rows]),
        labels=labels,
        train_rows=probation(len(rows)),
        windows=tuple(windows),
    )


def _moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC, microsecond=0).timestamp()) * 1000


def blinds(series: list[Scored], profile: str) -> dict[str, float]:
    """Return the best score of a tick and that of chance, each with its best threshold."""
    made = PROFILES[profile]
    ticks = []
    for step in TICKS:
        ticking = [
            Scored((np.arange(len(s.scores)) % step == 0).astype(float), s.windows) for s in series
        ]
        ticks.append(Corpus(ticking, made).score(1.0))
    generator = np.random.default_rng(0)
    chance = [Scored(generator.random(len(s.scores)), s.windows) for s in series]
    return {"tick": max(ticks), "random": optimised(chance, made)}


def run(progress: Progress) -> SetReport:
    """Return NAB's scores: as the benchmark tunes them, and with thresholds of the other half."""
    found = recordings(data_folder("nab"))
    total, done, judged, series = sum(r.rows for r in found), 0, [], []
    for recording in found:
        outcome = take(recording, lambda n, _, before=done: progress(before + n, total))
        done += recording.rows
        series.append(Scored(news(outcome.scores, NEWS_ROWS), recording.windows))
        judged.append(Judged(recording, outcome, summarise(recording, outcome)))
    results = []
    for name, profile in PROFILES.items():
        blind, published = blinds(series, name), Published(PUBLISHED[name], SOURCE)
        results.append(Result("nab", f"NAB {name}", optimised(series, profile), blind, published))
        results.append(
            Result("nab", f"NAB {name}, held out", held_out(series, profile), blind, published)
        )
    return SetReport(results, judged)
