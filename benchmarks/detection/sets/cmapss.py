"""Remaining life of C-MAPSS turbofans (Saxena and Goebel 2008): point, interval and calibration.

    python -m benchmarks.detection.sets.cmapss [--seed N]

A library is learnt from the training units alone; its spread comes from units left out. Each test
unit is then followed row by row as in the flow, with no look at its age. *Capped*: truth and what
is said are both cut at 125 cycles, as published scores have it; *uncapped*: the truth is as it is.
An interval that is open above holds all that is longer.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.detection.result import Progress, Published, Result, SetReport, data_folder
from stream_processor.models.life_learning import CHANCES, learn
from stream_processor.models.remaining_life import Life, LifeLibrary, Trajectory

Array = npt.NDArray[np.float64]
SENSORS = tuple(f"sensor {i}" for i in range(1, 22))
CAP = 125.0
# What was said of a unit, row by row.
Lives = list[Life | None]
LI = "DCNN (Li, Ding and Sun 2018); the best deep models have an RMSE of 10.4 to 11.5"
PUBLISHED = {
    "FD001": {"RMSE, capped": Published(12.61, LI), "NASA score, capped": Published(274.0, LI)},
    "FD003": {"RMSE, capped": Published(12.64, LI), "NASA score, capped": Published(284.0, LI)},
}
HOLDS = "90 % interval holds"


@dataclass(frozen=True)
class Fleet:
    """Training units up to their failure, test units up to a cut, and what these had left."""

    training: list[Array]
    test: list[Array]
    left: Array


def read(folder: Path, name: str) -> Fleet:
    text = folder / f"train_{name}.txt"
    training = (
        np.loadtxt(text)
        if text.exists()
        else np.loadtxt(text.with_suffix(".csv"), delimiter=",", skiprows=1)
    )
    test = np.loadtxt(folder / f"test_{name}.txt")
    return Fleet(_units(training), _units(test), np.loadtxt(folder / f"RUL_{name}.txt"))


def _units(rows: Array) -> list[Array]:
    return [rows[rows[:, 0] == unit, 5:26] for unit in np.unique(rows[:, 0])]


def follow(library: LifeLibrary, unit: Array) -> list[Life | None]:
    """Return what is said at each row of a unit, None before it is warm."""
    columns = [SENSORS.index(channel) for channel in library.channels]
    trajectory = Trajectory(len(columns))
    said: list[Life | None] = []
    for row in unit[:, columns]:
        followed = trajectory.update(row)
        said.append(library.remaining(followed) if trajectory.ready else None)
    return said


def rmse(said: Array, truth: Array) -> float:
    return float(np.sqrt(np.mean((said - truth) ** 2)))


def nasa_score(said: Array, truth: Array) -> float:
    """Return the asymmetric score of Saxena et al., PHM 2008: late counts more than early."""
    late = said - truth
    return float(np.where(late < 0.0, np.expm1(-late / 13.0), np.expm1(late / 10.0)).sum())


def blind_constant(fleet: Fleet) -> Array:
    """Return the mean and the 90 % interval of the capped lives left at the training rows."""
    left = np.concatenate([np.minimum(np.arange(len(u))[::-1], CAP) for u in fleet.training])
    return np.array([left.mean(), *np.quantile(left, (0.05, 0.95))])


def blind_age(fleet: Fleet) -> Array:
    """Return for each test unit the mean life of the training units less its age."""
    life = np.mean([len(u) for u in fleet.training])
    return np.array([max(0.0, life - len(u)) for u in fleet.test])


def evaluate(name: str, library: LifeLibrary, fleet: Fleet) -> tuple[list[Result], list[Lives]]:
    followed = [follow(library, unit) for unit in fleet.test]
    last = [lives[-1] for lives in followed]
    # Before a unit is warm nothing is said: the middle of the horizon stands for that.
    said = np.array([CAP / 2 if life is None else life.mean for life in last])
    low = np.array([0.0 if life is None else life.lower for life in last])
    high = np.array([np.inf if life is None else life.upper for life in last])
    left, capped = fleet.left, np.minimum(fleet.left, CAP)
    mean, blind_low, blind_high = blind_constant(fleet).tolist()
    constant, age = np.full(left.size, mean), np.minimum(blind_age(fleet), CAP)
    blind = min((constant, age), key=lambda b: rmse(b, capped))

    def held(lower: Array | float, upper: Array | float, truth: Array) -> float:
        return float(np.mean((lower <= truth) & (truth <= upper)))

    figures: list[tuple[str, float, float]] = [
        ("RMSE, capped", rmse(said, capped), rmse(blind, capped)),
        ("RMSE, uncapped", rmse(said, left), rmse(blind, left)),
        ("NASA score, capped", nasa_score(said, capped), nasa_score(blind, capped)),
        ("NASA score, uncapped", nasa_score(said, left), nasa_score(blind, left)),
        (f"{HOLDS}, capped", held(low, high, capped), held(blind_low, CAP, capped)),
        (f"{HOLDS}, uncapped", held(low, high, left), held(blind_low, np.inf, left)),
        (
            "90 % interval width to the cap, cycles",
            float(np.mean(np.minimum(high, CAP) - low)),
            blind_high - blind_low,
        ),
    ]
    return [
        Result(
            "cmapss",
            f"{name} {metric}",
            score,
            {"constant or age": other},
            PUBLISHED[name].get(metric),
            metric.startswith(HOLDS),
        )
        for metric, score, other in figures
    ], followed


def print_calibration(name: str, fleet: Fleet, followed: list[Lives]) -> None:
    """Print over all rows of the test units how often the truth was in the interval."""
    rows = np.array(
        [
            (left + len(lives) - 1 - i, life.mean, life.lower, life.upper, *life.quantiles)
            for lives, left in zip(followed, fleet.left.tolist(), strict=True)
            for i, life in enumerate(lives)
            if life is not None
        ]
    )
    truth = np.minimum(rows[:, 0], CAP)
    held = (rows[:, 2] <= truth) & (truth <= rows[:, 3])
    table = Table(
        "cycles", "rows", "held, by what was left", "RMSE", "rows", "held, by what was said",
        title=f"{name}: the 90 % interval at every row of the test units",
    )  # fmt: skip
    for low, high in ((0, 25), (25, 50), (50, 75), (75, 100), (100, 125), (125, 999)):
        was = (rows[:, 0] >= low) & (rows[:, 0] < high)
        said = (rows[:, 1] >= low) & (rows[:, 1] < high)
        table.add_row(
            f"{low} to {high}" if high < 999 else "125 and more",
            f"{was.sum()}",
            f"{held[was].mean():.2f}",
            f"{rmse(rows[was, 1], truth[was]):.1f}",
            f"{said.sum()}",
            f"{held[said].mean():.2f}" if said.any() else "",
        )
    Console().print(table)
    table = Table("chance", "truth under the quantile", title=f"{name}: quantiles under the cap")
    for j, chance in enumerate(CHANCES.tolist()):
        quantile = rows[:, 4 + j]
        there = quantile < CAP - 0.01
        share = (truth[there] <= quantile[there]).mean()
        table.add_row(f"{chance:.2f}", f"{share:.3f} of {there.sum()} rows")
    Console().print(table)


def measured(seed: int, progress: Progress) -> list[tuple[list[Result], Fleet, list[Lives]]]:
    """Return the results of each fleet, the fleet, and what was said of its test units."""
    found = []
    folder = data_folder("cmapss")
    for name in PUBLISHED:
        fleet = read(folder, name)
        library, _ = learn(
            fleet.training, SENSORS, f"turbofan-{name.lower()}", CAP, seed=seed,
            progress=lambda _what, done, of: progress(done, of),
        )  # fmt: skip
        results, followed = evaluate(name, library, fleet)
        found.append((results, fleet, followed))
    return found


def run(progress: Progress) -> SetReport:
    """Return RMSE, NASA score and how often the interval holds, of both fleets."""
    found = measured(1, progress)
    return SetReport([one for results, _, _ in found for one in results])


def main() -> None:
    """Print the results of a seed, and the calibration."""
    parser = argparse.ArgumentParser(description="Remaining life on C-MAPSS")
    parser.add_argument("--seed", type=int, default=1)
    table = Table("set", "metric", "score", "blind", "published")
    for results, fleet, followed in measured(parser.parse_args().seed, lambda _done, _of: None):
        print_calibration(results[0].metric.partition(" ")[0], fleet, followed)
        for r in results:
            published = f"{r.published.score:g}" if r.published else ""
            table.add_row(r.set, r.metric, f"{r.score:.2f}", f"{r.blind:.2f}", published)
    Console().print(table)


if __name__ == "__main__":
    main()
