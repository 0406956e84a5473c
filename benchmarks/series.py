"""`python -m benchmarks.series`: the monitor of one series, view by view.

NAB: one pass over each of the 58 series, scored as NAB does (Ahmad et al. 2017): with the one
threshold that is best for all of them, and on each half of the files with that of the other half.
Half A are the even places of the sorted list, by whose figures views and constants were chosen.

Beside it series by formula and single channels of SKAB, the Tennessee Eastman process and GECCO:
the volume under the surface of precision and recall, the events found at a fixed limit and the
false alarms at limits without labels. Series by formula with seeds of 0 to 2 chose, 10 to 14 judge.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import made_series
from benchmarks.detection.sets import gecco2018, skab, tep_braatz
from stream_processor.evaluation.metrics.nab import PROFILES, Scored, held_out, optimised
from stream_processor.evaluation.metrics.vus import vus_pr
from stream_processor.evaluation.recording import Recording, Window, windows_of
from stream_processor.kernels import series as kernel
from stream_processor.models import SeriesMonitor

Array = npt.NDArray[np.float64]

# What is not learnt as usual: one in ten thousand of a view.
LIMIT = 4.0
FALSE_ALARM, MISS = 0.11, 1.0
MONTH_MS = 30 * 86_400_000
# Rows around an event that count in part, and rows behind one in which an alarm is its own.
BUFFER, BEHIND = 60, 150
CHOSEN, JUDGED = range(3), range(10, 15)


@dataclass(frozen=True)
class Series:
    """A series: UTC times (n,) in ms, values (n,), first and last row of each window."""

    name: str
    times: npt.NDArray[np.int64]
    values: Array
    windows: list[tuple[int, int]]


def milliseconds(text: str) -> int:
    """Return a time of the data, which is in UTC, in ms."""
    moment = datetime.fromisoformat(text.partition(".")[0]).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000


def corpus(folder: Path) -> list[Series]:
    """Return all series in the order of their names."""
    labels = json.loads((folder / "labels/combined_windows.json").read_text())
    found = []
    for name in sorted(labels):
        with (folder / "data" / name).open() as file:
            rows = list(csv.reader(file))[1:]
        times = np.array([milliseconds(row[0]) for row in rows])
        windows = []
        for first, last in labels[name]:
            inside = (times >= milliseconds(first)) & (times <= milliseconds(last))
            rows_inside = np.flatnonzero(inside)
            windows.append((int(rows_inside[0]), int(rows_inside[-1])))
        found.append(Series(name, times, np.array([float(row[1]) for row in rows]), windows))
    return found


def sigmoid(x: Array) -> Array:
    """Return NAB's weight at a place relative to the end of a window, in window lengths."""
    out: Array = 2.0 / (1.0 + np.exp(np.minimum(5.0 * x, 700.0))) - 1.0
    return out


def steps(series: Series, scores: Array) -> tuple[Array, Array]:
    """Return thresholds and what passing each adds to the score, with the misses as a base."""
    n = scores.size
    judged = np.arange(n) >= min(int(0.15 * n), 750)
    outside, weight = judged.copy(), np.full(n, -1.0)
    levels, gains = [], []
    for k, (left, right) in enumerate(series.windows):
        width = right - left + 1
        rows = np.arange(left, right + 1)
        outside[rows] = False
        inside = sigmoid(-(right - rows + 1) / width) / float(sigmoid(np.array(-1.0)))
        kept = judged[rows]
        order = np.argsort(-scores[rows][kept], kind="stable")
        best = np.maximum.accumulate(inside[kept][order])
        if best.size:
            gain = np.diff(best, prepend=0.0)
            gain[0] += MISS
            levels.append(scores[rows][kept][order])
            gains.append(gain)
        after = np.arange(right + 1, series.windows[k + 1][0] if k + 1 < len(series.windows) else n)
        distance = (after - right) / (width - 1)
        weight[after] = np.where(distance > 3.0, -1.0, sigmoid(distance))
    levels.append(scores[outside])
    gains.append(FALSE_ALARM * weight[outside])
    return np.concatenate(levels), np.concatenate(gains)


def curve(corpus: list[Series], scores: list[Array]) -> tuple[Array, Array]:
    """Return thresholds, descending, and the standard NAB score at each."""
    found = [steps(series, score) for series, score in zip(corpus, scores, strict=True)]
    level = np.concatenate([f[0] for f in found])
    gain = np.concatenate([f[1] for f in found])
    order = np.argsort(-level, kind="stable")
    level, total = level[order], np.cumsum(gain[order])
    last = np.append(level[1:] != level[:-1], True)
    windows = sum(len(series.windows) for series in corpus)
    return level[last], 100.0 * total[last] / ((1.0 + MISS) * windows)


def best(corpus: list[Series], scores: list[Array]) -> tuple[float, float]:
    """Return the best score and its threshold."""
    thresholds, found = curve(corpus, scores)
    i = int(found.argmax())
    return float(found[i]), float(thresholds[i])


def score_at(corpus: list[Series], scores: list[Array], threshold: float) -> float:
    """Return the score at a threshold."""
    thresholds, found = curve(corpus, scores)
    i = int(np.searchsorted(-thresholds, -threshold, side="right")) - 1
    return float(found[i]) if i >= 0 else 0.0


def news(surprise: Array) -> Array:
    """Return what `SeriesMonitor` calls news of the surprises (n,)."""
    recent, out = np.zeros(kernel.HOLD), np.zeros(surprise.size)
    for i, s in enumerate(surprise):
        out[i] = kernel.news(float(s), recent, i % kernel.HOLD)
    return out


def surprises(times: npt.NDArray[np.int64], values: Array) -> tuple[Array, Array]:
    """Return the surprise of each view at each row (n, 13) and the news (n,), in one pass."""
    monitor = SeriesMonitor()
    out, new = np.zeros((values.size, len(kernel.VIEWS))), np.zeros(values.size)
    for i, (value, time_ms) in enumerate(zip(values.tolist(), times.tolist(), strict=True)):
        new[i] = monitor.follow(value, time_ms, LIMIT).news
        out[i] = monitor.surprises
    return out, new


@dataclass(frozen=True)
class Labelled:
    """A series with labels (n,), judged from row `since` on."""

    times: npt.NDArray[np.int64]
    values: Array
    labels: npt.NDArray[np.bool_]
    since: int


def others(folder: Path) -> dict[str, list[Labelled]]:
    """Return what there is beside NAB."""
    found = {}
    for name, seeds in (("by formula, chose", CHOSEN), ("by formula, judge", JUDGED)):
        made = made_series.corpus(seeds)
        found[name] = [Labelled(m.times, m.values, m.labels, 1000) for m in made]
    if (folder / "skab").exists():
        runs = [run.recording for run in skab.runs(folder / "skab")]
        found["SKAB channels"] = [one for run in runs for one in _channels(run, 400)]
    if (folder / "tep-braatz").exists():
        recordings = tep_braatz.recordings(folder / "tep-braatz")[1::3]
        tep = [one for r in recordings for one in _channels(r, r.rows - 960)[::6]]
        found["TEP channels, a sixth"] = tep
    if (folder / "gecco2018").exists():
        found["GECCO channels"] = _channels(gecco2018.recording(folder / "gecco2018"), 2000)
    return found


def _channels(recording: Recording, since: int) -> list[Labelled]:
    values = recording.values
    return [
        Labelled(recording.time_ms, values[:, j], recording.labels, since)
        for j in range(values.shape[1])
    ]


def judge(console: Console, name: str, series: list[Labelled], table: Table) -> None:
    """Add a row: precision and recall, events found, and alarms against independent rows."""
    volumes, hits, events, free_rows = [], 0, 0, 0
    alarms = dict.fromkeys((3.0, 4.0, 5.0), 0)
    for one in track(series, name, console=console):
        views, new = surprises(one.times, one.values)
        highest = views.max(axis=1)
        windows = [w for w in windows_of(one.labels) if w.first >= one.since]
        if windows:
            volumes.append(vus_pr(one.labels[one.since :], highest[one.since :], BUFFER))
        free = ~one.labels
        free[: one.since] = False
        for window in windows_of(one.labels):
            free[window.first : window.last + BEHIND] = False
        for window in windows:
            events += 1
            hits += bool((highest[window.first : window.last + 1] >= LIMIT).any())
        free_rows += int(free.sum())
        for limit in alarms:
            alarms[limit] += int((new[free] >= limit).sum())
    shares = [f"{10.0**limit * count / free_rows:.1f}" for limit, count in alarms.items()]
    table.add_row(name, f"{np.mean(volumes):.3f}", f"{hits} of {events}", *shares)


def main() -> None:
    """Print the scores, the ablation, alarms a month of single series, and the other judges."""
    parser = argparse.ArgumentParser(description="The monitor of one series.")
    parser.add_argument("--only", choices=("nab", "others"), help="a part of it")
    only = parser.parse_args().only
    console = Console()
    folder = Path(os.environ.get("HEADRACE_EVAL_DATA", "../shared/data"))
    if only != "others":
        if (folder / "nab").exists():
            print_nab(console, folder / "nab")
        else:
            console.print(f"no data in {folder / 'nab'}: set HEADRACE_EVAL_DATA")
    if only != "nab":
        alarms = [f"alarms at {limit}" for limit in (3, 4, 5)]
        table = Table("series", "VUS-PR", "events found", *alarms)
        for name, found in others(folder).items():
            judge(console, name, found, table)
        console.print(table)
        console.print("alarms: news of rows without a label, 1 is that of one view in theory")


def print_nab(console: Console, folder: Path) -> None:
    """Print the scores, the ablation, and alarms a month of single series."""
    series = corpus(folder)
    began = time.perf_counter()
    views = [surprises(s.times, s.values) for s in track(series, "series", console=console)]
    rows = sum(s.values.size for s in series)
    console.print(f"{1e6 * (time.perf_counter() - began) / rows:.1f} us an observation")
    table = Table("views", "all", "half A", "half B", "B at A's", "A at B's", "threshold of A")
    every = list(range(len(kernel.VIEWS)))
    cases = [("all", every), ("all, however often", every)]
    cases += [(f"without {kernel.VIEWS[k]}", [j for j in every if j != k]) for k in every]
    cases += [(f"{kernel.VIEWS[k]} alone", [k]) for k in every]
    for name, kept in cases:
        scores = [new if name == "all" else news(v[:, kept].max(axis=1)) for v, new in views]
        a, b = (series[0::2], scores[0::2]), (series[1::2], scores[1::2])
        of_a, of_b = best(*a), best(*b)
        table.add_row(
            name,
            f"{best(series, scores)[0]:.1f}",
            f"{of_a[0]:.1f}",
            f"{of_b[0]:.1f}",
            f"{score_at(*b, of_a[1]):.1f}",
            f"{score_at(*a, of_b[1]):.1f}",
            f"{of_a[1]:.2f}",
        )
        if name == "all":
            limit, whole = of_a[1], scores
    console.print(table)
    table = Table("profile", "best threshold", "that of the other half")
    scored = [
        Scored(score, tuple(Window(*window) for window in s.windows))
        for s, score in zip(series, whole, strict=True)
    ]
    for name, profile in PROFILES.items():
        table.add_row(name, f"{optimised(scored, profile):.1f}", f"{held_out(scored, profile):.1f}")
    console.print(table)
    table = Table("series", "rows", "windows found", "false alarms", "a month")
    for s, score in zip(series, whole, strict=True):
        alarm = score >= limit
        found = sum(bool(alarm[left : right + 1].any()) for left, right in s.windows)
        for left, right in s.windows:
            alarm[left : right + 1] = False
        months = float(s.times[-1] - s.times[0]) / MONTH_MS
        table.add_row(
            s.name,
            str(alarm.size),
            f"{found} of {len(s.windows)}",
            str(int(alarm.sum())),
            f"{alarm.sum() / months:.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
