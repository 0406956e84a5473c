"""Failure within seven days by component on the Azure PdM records, without telemetry.

    python -m benchmarks.detection.sets.azure_pdm

Learnt from January to August 2015, judged each midnight from September to December: a Weibull
survival a component with covariates that change with time. What is blind says the share of the
first eight months at all times.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.detection.result import Result, data_folder
from erp_modules.maintenance.reliability import WeibullSurvival, fit_weibull

Array = npt.NDArray[np.float64]
COMPONENTS = ("comp1", "comp2", "comp3", "comp4")
ERRORS = ("error1", "error2", "error3", "error4", "error5")
MODELS = ("model2", "model3", "model4")
# Days since the first of January 2015.
FIRST, SPLIT, LAST = 14, 243, 357
DAYS = 7.0
# A machine is visited every 15 days, and a component is replaced at some of the visits: risks bend
# a week before each. Chosen on June to August of what was learnt from January to May.
REPLACED_KNOTS = (8.0, 23.0, 38.0, 53.0)
VISIT_KNOTS = (4.0, 8.0, 12.0)
PAIRS = tuple(combinations(range(len(ERRORS)), 2))
COVARIATES = (
    "log days since replaced",
    *(f"days since replaced over {k:g}" for k in REPLACED_KNOTS),
    "days since visit",
    "log days since visit",
    *(f"days since visit over {k:g}" for k in VISIT_KNOTS),
    *(f"{e} in the last day" for e in ERRORS),
    *(f"{ERRORS[i]} and {ERRORS[j]} in the last day" for i, j in PAIRS),
    "age",
    *MODELS,
)


@dataclass(frozen=True)
class Records:
    """The events of each machine, in days since the first of January 2015, sorted."""

    errors: Mapping[tuple[int, str], Array]
    failures: Mapping[tuple[int, str], Array]
    replaced: Mapping[tuple[int, str], Array]
    visits: Mapping[int, Array]
    facts: Mapping[int, tuple[str, float]]


def read(folder: Path) -> Records:
    origin = datetime(2015, 1, 1)

    def events(name: str, kind: str) -> dict[tuple[int, str], Array]:
        found: dict[tuple[int, str], list[float]] = defaultdict(list)
        with (folder / name).open(newline="") as file:
            for row in csv.DictReader(file):
                at = datetime.fromisoformat(row["datetime"]) - origin
                found[int(row["machineID"]), row[kind]].append(at.total_seconds() / 86_400)
        return {key: np.unique(days) for key, days in found.items()}

    replaced = events("PdM_maint.csv", "comp")
    visits: dict[int, list[float]] = defaultdict(list)
    for (machine, _), days in replaced.items():
        visits[machine] += days.tolist()
    with (folder / "PdM_machines.csv").open(newline="") as file:
        facts = {int(r["machineID"]): (r["model"], float(r["age"])) for r in csv.DictReader(file)}
    return Records(
        events("PdM_errors.csv", "errorID"),
        events("PdM_failures.csv", "failure"),
        replaced,
        {machine: np.unique(days) for machine, days in visits.items()},
        facts,
    )


NONE = np.zeros(0)


def landmarks(
    records: Records, component: str, first: int, until: int, censored: float
) -> tuple[Array, npt.NDArray[np.bool_], Array]:
    """Return days to the end, whether it was a failure, and covariates of each machine and day.

    What comes after the day `censored` is not known.
    """
    ends, failed, rows = [], [], []
    for machine, (model, age) in records.facts.items():
        failures = records.failures.get((machine, component), NONE)
        replaced = records.replaced.get((machine, component), NONE)
        visits = records.visits[machine]
        for day in range(first, until):
            after = failures[failures > day]
            renewed = replaced[replaced > day]
            failure = float(after[0]) if after.size else np.inf
            end = min(failure, float(renewed[0]) if renewed.size else np.inf, censored)
            ends.append(end - day)
            failed.append(failure <= end)
            before, visited = replaced[replaced <= day], visits[visits <= day]
            since = day - before[-1] if before.size else 365.0
            visit = day - visited[-1] if visited.size else 365.0
            recent = [
                float(((times > day - 1.0) & (times <= day)).any())
                for times in (records.errors.get((machine, e), NONE) for e in ERRORS)
            ]
            rows.append(
                [np.log1p(since)]
                + [max(0.0, since - knot) for knot in REPLACED_KNOTS]
                + [visit, np.log1p(visit)]
                + [max(0.0, visit - knot) for knot in VISIT_KNOTS]
                + recent
                + [recent[i] * recent[j] for i, j in PAIRS]
                + [age]
                + [float(model == m) for m in MODELS]
            )
    return np.array(ends), np.array(failed), np.array(rows)


def concordance(risk: Array, ends: Array, failed: npt.NDArray[np.bool_]) -> float:
    """Return how often of two the one at higher risk fails first (Harrell 1982), of 3000 rows."""
    chosen = np.random.default_rng(1).permutation(risk.size)[:3000]
    risk, ends, failed = risk[chosen], ends[chosen], failed[chosen]
    first = failed[:, np.newaxis] & (ends[:, np.newaxis] < ends)
    higher = risk[:, np.newaxis] > risk
    same = risk[:, np.newaxis] == risk
    return float((first * (higher + 0.5 * same)).sum() / first.sum())


def expected_calibration_error(said: Array, came: Array, bins: int = 10) -> float:
    """Return the mean distance of what was said from what came, over bins of as many rows."""
    order = np.argsort(said, kind="stable")
    return float(
        sum(
            part.size * abs(said[part].mean() - came[part].mean())
            for part in np.array_split(order, bins)
        )
        / said.size
    )


def measured() -> tuple[list[Result], Array, Array]:
    """Return the results, and what was said of each component and week and what came (n,)."""
    records = read(data_folder("azure-pdm-partial"))
    said_all, came_all, base_all, results = [], [], [], []
    for component in COMPONENTS:
        model, base = learnt(records, component)
        ends, failed, x = landmarks(records, component, SPLIT, LAST, float(LAST + DAYS))
        said, came = model.failure_within(x, DAYS), (failed & (ends <= DAYS)).astype(np.float64)
        said_all.append(said)
        came_all.append(came)
        base_all.append(np.full(said.size, base))
        index = concordance(said, ends, failed)
        results.append(Result("azure-pdm", f"{component} concordance", index, {"chance": 0.5}))
    said, came, base = map(np.concatenate, (said_all, came_all, base_all))
    results += [
        Result(
            "azure-pdm", "Brier score, 7 days", float(np.mean((said - came) ** 2)),
            {"share of failures": float(np.mean((base - came) ** 2))}, None, False,
        ),
        Result(
            "azure-pdm", "expected calibration error, 7 days",
            expected_calibration_error(said, came),
            {"share of failures": expected_calibration_error(base, came)}, None, False,
        ),
    ]  # fmt: skip
    return results, said, came


def run() -> list[Result]:
    """Return how well failures within 7 days are ranked and their chance known."""
    return measured()[0]


def print_calibration(said: Array, came: Array) -> None:
    """Print how often what was said came."""
    table = Table("said", "rows", "mean said", "came", title="Failure within 7 days, Sep to Dec")
    edges = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
    for low, high in pairwise(edges):
        there = (said >= low) & ((said < high) | (high == 1.0))
        if there.any():
            table.add_row(
                f"{low:g} to {high:g}",
                f"{there.sum()}",
                f"{said[there].mean():.3f}",
                f"{came[there].mean():.3f}",
            )
    Console().print(table)


def learnt(records: Records, component: str) -> tuple[WeibullSurvival, float]:
    """Return what the first eight months teach of a component, and its share of failures."""
    ends, failed, x = landmarks(records, component, FIRST, SPLIT, float(SPLIT))
    known = failed | (ends > DAYS)
    base = float((failed & (ends <= DAYS))[known].mean())
    # What is learnt is what happens in the seven days that are asked for (van Houwelingen 2007): an
    # error of today says nothing of a failure in three months.
    within = failed & (ends <= DAYS)
    return fit_weibull(np.minimum(ends, DAYS), within, x, COVARIATES), base


def main() -> None:
    """Print the results and the calibration."""
    results, said, came = measured()
    print_calibration(said, came)
    table = Table("set", "metric", "score", "blind")
    for r in results:
        table.add_row(r.set, r.metric, f"{r.score:.4f}", f"{r.blind:.4f}")
    Console().print(table)


if __name__ == "__main__":
    main()
