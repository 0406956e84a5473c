"""Metrics against the figures that were published, and against cases made by hand."""

from __future__ import annotations

import csv
import gzip
import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection.sets import nab as nab_set
from benchmarks.detection.sets import skab as skab_set
from stream_processor.evaluation.metrics.affiliation import affiliation_score
from stream_processor.evaluation.metrics.changepoints import changepoint_score
from stream_processor.evaluation.metrics.events import alarms_at, event_score, fixed_threshold
from stream_processor.evaluation.metrics.nab import PROFILES, Corpus, Scored, held_out, optimised
from stream_processor.evaluation.metrics.points import point_score
from stream_processor.evaluation.metrics.process_faults import fault_score
from stream_processor.evaluation.metrics.ranges import range_score
from stream_processor.evaluation.metrics.vus import buffer_rows, vus_pr
from stream_processor.evaluation.recording import Channel, Recording, Window

DATA = Path(os.environ.get("HEADRACE_EVAL_DATA", "../shared/data"))
needs_nab = pytest.mark.skipif(not (DATA / "nab").is_dir(), reason="no nab in HEADRACE_EVAL_DATA")
needs_skab = pytest.mark.skipif(
    not (DATA / "skab").is_dir(), reason="no skab in HEADRACE_EVAL_DATA"
)


def flags(text: str) -> np.ndarray:
    return np.array([c == "1" for c in text])


@needs_nab
@pytest.mark.parametrize(
    ("detector", "scores"),
    [
        ("ARTime", (74.85, 65.15, 80.36)),
        # NAB's own hill climb misses the best threshold of low FP: 63.12 there.
        ("numenta", (70.10, 63.21, 74.32)),
        ("contextOSE", (69.90, 66.98, 73.18)),
        ("randomCutForest", (51.72, 38.36, 59.75)),
        ("windowedGaussian", (39.65, 20.87, 47.41)),
    ],
)
def test_nab_of_published_detectors(detector: str, scores: tuple[float, ...]) -> None:
    found: dict[str, dict[int, float]] = {}
    path = DATA / "nab" / "reference_scores" / f"{detector}.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        for name, row, score in list(csv.reader(file))[1:]:
            found.setdefault(name.split("/")[-1], {})[int(row)] = float(score)
    series = []
    for recording in nab_set.recordings(DATA / "nab"):
        mine = found[recording.name.split("/")[-1]]
        values = np.array([mine.get(i, 0.0) for i in range(recording.rows)])
        series.append(Scored(values, recording.windows))
    got = [optimised(series, profile) for profile in PROFILES.values()]
    assert got == pytest.approx(scores, abs=0.006)
    assert held_out(series, PROFILES["standard"]) <= got[0] + 1e-9


def test_nab_of_a_window() -> None:
    scores = np.zeros(1000)
    scores[500] = 1.0
    first = Scored(scores, (Window(500, 599),))
    assert Corpus([first], PROFILES["standard"]).score(1.0) == pytest.approx(100.0)
    assert Corpus([first], PROFILES["standard"]).score(2.0) == pytest.approx(0.0)
    scores = np.zeros(1000)
    scores[400] = 1.0
    before = Scored(scores, (Window(500, 599),))
    # The window is missed, and an alarm before any window costs in full.
    assert Corpus([before], PROFILES["standard"]).score(1.0) == pytest.approx(-5.5)


@needs_skab
@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("Conv_AE", (0.78, 13.55, 28.02)),
        ("MSET", (0.78, 39.73, 14.13)),
        ("T2-q", (0.76, 26.62, 24.92)),
        ("LSTM_AE", (0.74, 29.96, 25.92)),
        ("T2", (0.66, 19.21, 42.60)),
        ("Vanilla_AE", (0.39, 2.59, 75.15)),
        ("Isolation_Forest", (0.29, 2.56, 82.89)),
    ],
)
def test_skab_of_published_predictions(column: str, expected: tuple[float, ...]) -> None:
    runs = skab_set.runs(DATA / "skab")
    found = {r.recording.name: np.zeros(r.recording.rows, bool) for r in runs}
    with gzip.open(DATA / "skab" / "reference_predictions.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            found[row["file"]][int(row["row"])] = row[column] in ("1", "1.0")
    score = skab_set.pooled(runs, [found[r.recording.name] for r in runs])
    got = (round(score.f1, 2), round(100 * score.far, 2), round(100 * score.mar, 2))
    assert got == pytest.approx(expected, abs=0.011)


@needs_skab
def test_skab_change_points_of_a_tick_and_of_one_who_knows() -> None:
    runs = skab_set.runs(DATA / "skab")
    assert sum(len(r.change_ms) for r in runs) == 127
    # The data's README has 61.7 for one phase of the tick; the best one is worth a little more.
    assert 61.7 < skab_set.ticks(runs)["standard"] < 66.0
    perfect = skab_set.changes(runs, [np.isin(r.recording.time_ms, r.change_ms) for r in runs])
    assert perfect["standard"] == pytest.approx(92.9, abs=0.1)


def test_change_points_by_hand() -> None:
    standard = PROFILES["standard"]
    truth = np.array([100_000])
    assert changepoint_score([(truth, truth)], standard) == pytest.approx(100.0)
    assert changepoint_score([(truth, np.array([], np.int64))], standard) == 0.0
    # At the window's end an alarm is worth what a false one costs.
    late = changepoint_score([(truth, truth + 60_000)], standard)
    assert late == pytest.approx(100 * (1.0 - 0.11) / 2.0)
    false = changepoint_score([(truth, np.array([0]))], standard)
    assert false == pytest.approx(-5.5)


def reference_vus(labels: np.ndarray, scores: np.ndarray, window: int, levels: int) -> float:
    """VUS-PR written out from its definition, slowly."""
    n = len(labels)
    events, open_ = [], None
    for i, on in enumerate([*labels.tolist(), False]):
        if on and open_ is None:
            open_ = i
        if not on and open_ is not None:
            events.append((open_, i - 1))
            open_ = None
    ordered = np.sort(scores)[::-1]
    areas = []
    for w in range(window + 1):
        soft = labels.astype(float)
        for low, high in events:
            for k in range(1, w // 2 + 1):
                for row in (low - k, high + k):
                    if 0 <= row < n:
                        soft[row] += np.sqrt(1 - k / w)
        soft = np.minimum(soft, 1.0)
        zones = [[max(events[0][0] - w // 2, 0), events[0][1] + w // 2]]
        for low, high in events[1:]:
            if zones[-1][1] < low - w // 2:
                zones.append([low - w // 2, high + w // 2])
            else:
                zones[-1][1] = high + w // 2
        area, before = 0.0, 0.0
        for i in np.linspace(0, n - 1, levels).astype(int):
            flagged = scores >= ordered[i]
            hits = (soft * flagged).sum()
            weight = np.where(labels, 1.0, soft * flagged).sum()
            exist = np.mean([flagged[a : b + 1].any() for a, b in zones])
            recall = min(hits / ((labels.sum() + weight) / 2), 1.0) * exist
            area += (recall - before) * hits / flagged.sum()
            before = recall
        areas.append(area)
    return float(np.mean(areas))


@pytest.mark.parametrize("seed", range(6))
def test_vus_of_its_definition(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.zeros(400, bool)
    for start in generator.integers(0, 390, 5):
        labels[start : start + generator.integers(1, 25)] = True
    scores = np.round(generator.normal(size=400) + 1.5 * labels, 1)
    assert vus_pr(labels, scores, 20, 50) == pytest.approx(reference_vus(labels, scores, 20, 50))


def test_vus_of_the_authors_package() -> None:
    try:
        metricor = importlib.import_module("vus.utils.metrics").metricor
    except ImportError as error:
        pytest.skip(f"the reference package is not installed: {error}")
    generator = np.random.default_rng(0)
    labels = np.zeros(2000, bool)
    labels[300:340] = labels[345:350] = labels[1200:1300] = True
    scores = generator.normal(size=2000) + labels
    reference = metricor().RangeAUC_volume_opt(labels.astype(int), scores, 30)[-1]
    assert vus_pr(labels, scores, 30) == pytest.approx(float(reference), abs=1e-9)


def test_buffer_is_the_period() -> None:
    assert buffer_rows(np.sin(np.arange(5000) * 2 * np.pi / 50)) == 50
    assert buffer_rows(np.zeros(100)) == 125


def test_ranges_by_hand() -> None:
    # One event half covered in two pieces: 0.5 of it, shared by two.
    score = range_score(flags("0111100"), flags("0100110"))
    assert score.recall == pytest.approx(0.5 / 2)
    assert score.precision == pytest.approx((1.0 + 0.5) / 2)
    assert np.isnan(range_score(flags("0000"), flags("0100")).recall)
    assert range_score(flags("0110"), flags("0110")).f1 == 1.0


def test_affiliation_by_hand() -> None:
    # The zone is 0 to 10, the event 4 to 6; a row that touches it lies at distance 0 to 1, and of
    # a random point 0.2 is inside and 0.2 d nearer.
    score = affiliation_score(flags("0000110000"), flags("0000001000"))
    assert score.precision == pytest.approx(1 - 0.2 - 0.1)
    # Distances of the event's points to the alarm are 0 to 2; margins 4 to 5 are larger.
    assert score.recall == pytest.approx(1 - 0.2)
    assert affiliation_score(flags("0110"), flags("0000")).recall == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_affiliation_of_the_authors_package(seed: int) -> None:
    try:
        module = importlib.import_module("affiliation.metrics")
        generics = importlib.import_module("affiliation.generics")
    except ImportError as error:
        pytest.skip(f"the reference package is not installed: {error}")
    generator = np.random.default_rng(seed)
    labels, found = (np.repeat(generator.random(60) < 0.3, 7)[:400] for _ in range(2))
    reference = module.pr_from_events(
        generics.convert_vector_to_events(found.astype(int).tolist()),
        generics.convert_vector_to_events(labels.astype(int).tolist()),
        (0, 400),
    )
    score = affiliation_score(labels, found)
    assert score.precision == pytest.approx(reference["Affiliation_Precision"])
    assert score.recall == pytest.approx(reference["Affiliation_Recall"])


def test_points_and_faults_by_hand() -> None:
    score = point_score(flags("00001111"), flags("00010111"))
    assert (score.f1, score.far, score.mar) == (0.75, 0.25, 0.25)
    assert np.isnan(point_score(flags("00"), flags("01")).mar)
    assert fault_score(flags("0101111110")).delay_rows == 3
    assert np.isnan(fault_score(flags("0101010101")).delay_rows)


def test_events_by_hand() -> None:
    day = np.arange(0, 2 * 86_400_000, 3_600_000)
    labels = np.zeros(48, bool)
    labels[10:15] = labels[40:45] = True
    recording = Recording(
        name="two days",
        time_ms=day,
        channels=(Channel("x"),),
        values=np.zeros((48, 1)),
        labels=labels,
        train_rows=5,
    )
    scores = np.zeros(48)
    scores[[2, 12, 13, 20, 30]] = 2.0
    score = event_score(recording, alarms_at(recording, scores, 1.0))
    assert score.recall == 0.5
    assert score.median_delay_s == 2 * 3600.0
    assert score.false == (20, 30)
    assert score.false_per_day == pytest.approx(2 / (42 / 24))
    assert score.missed == (Window(40, 44),)
    assert fixed_threshold(scores, 5) == 2.0
    assert fixed_threshold(scores, 0) == 1.0
