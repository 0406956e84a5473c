"""GECCO 2018 Industrial Challenge: drinking-water sensors, a row a minute."""

from __future__ import annotations

import csv
import dataclasses
import gzip
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
from stream_processor.evaluation.metrics.vus import buffer_rows, vus_pr
from stream_processor.evaluation.recording import Recording
from stream_processor.evaluation.run import run as take
from stream_processor.evaluation.summary import summarise

# As TSB-AD divides the series, 173_GECCO_id_1_Sensor_tr_16165_1st_16265.
TRAIN_ROWS = 16_165
PUBLISHED = Published(0.202, "TSB-AD-M (Liu and Paparrizos 2024), 173_GECCO: PCA")


def recording(folder: Path) -> Recording:
    """Return the half with 1,726 anomalous rows."""
    with gzip.open(folder / "gecco2018_train.csv.gz", "rt", newline="") as file:
        rows = list(csv.reader(file))
    names, body = rows[0][:-1], rows[1:]
    values = np.array([[_number(cell) for cell in row[:-1]] for row in body])
    out = Recording.even("gecco2018", values, 60.0, names)
    labels = np.array([row[-1] in ("1", "TRUE") for row in body])
    return dataclasses.replace(out, labels=labels, windows=(), train_rows=TRAIN_ROWS)


def _number(cell: str) -> float:
    return float(cell) if cell not in ("", "NA") else float("nan")


def run(progress: Progress) -> SetReport:
    """Return VUS-PR over all rows without a missing value, as TSB-AD takes them."""
    one = recording(data_folder("gecco2018"))
    outcome = take(one, progress)
    assert one.labels is not None
    whole = np.isfinite(one.values).all(axis=1)
    labels = one.labels[whole]
    window = buffer_rows(one.values[whole, 0])
    n = int(whole.sum())
    blind = {
        "random": vus_pr(labels, np.random.default_rng(0).random(n), window),
        "clock": vus_pr(labels, np.arange(n, dtype=float), window),
        "always": vus_pr(labels, np.zeros(n), window),
    }
    score = vus_pr(labels, outcome.scores[whole], window)
    summary = summarise(one, outcome)
    chosen = ("event_recall", "median_delay_s", "false_alarms_per_day", "range_f1",
              "affiliation_precision", "affiliation_recall")  # fmt: skip
    results = [Result("gecco2018", "VUS-PR", score, blind, PUBLISHED)]
    for name in chosen:
        chance = summary.figures.get(f"{name}_random")
        results.append(
            Result("gecco2018", name, summary.figures[name],
                   {} if chance is None else {"random": chance})
        )  # fmt: skip
    return SetReport(results, [Judged(one, outcome, summary)])
