"""Remaining life on the simulated plant: what the flow says, beside a line through health.

    python -m benchmarks.prognosis [--seed N ...] [--hours H ...]

Each fault of a machine grows linearly and exponentially over each number of hours; the truth is the
time to full severity, at which the machine has failed. Half of the scenarios were there when the
level of failure was chosen (`stages/prognosis.py`), the other half is held out. The line is that of
Theil and Sen through health from where its decline began, with Sen's 90 % interval of the slope.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import theilslopes

from benchmarks.detection import plant_frames
from firmware_sim.driver import DEFAULT_START_MS
from firmware_sim.faults import SENSOR_FAULTS
from firmware_sim.plant import Plant
from firmware_sim.scenarios import SCENARIOS, Scenario
from stream_processor.kernels import warm_up
from stream_processor.stages import HealthAssessment, Manipulation, Prognosis, StateDetection
from stream_processor.stages.prognosis import DECLINING, FAILED

Array = npt.NDArray[np.float64]
MS_PER_HOUR = 3_600_000.0
NAMES = tuple(n for n, s in SCENARIOS.items() if s.fault and s.fault not in SENSOR_FAULTS)
CHOSEN_ON = frozenset(sorted(NAMES)[::2])
POINTS = 48
LEAST_POINTS = 8


@dataclass
class Said:
    """Of each observation while the fault grew: hours left, and what was said of them (3, n)."""

    growth: float
    left: list[float] = field(default_factory=list)
    told: list[tuple[float, float, float]] = field(default_factory=list)


class HealthLine:
    """A line through the decline of health, of which at most so many points are kept."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._stride, self._skipped = 1, 0

    def update(self, hours: float, health: float) -> tuple[float, float, float] | None:
        """Return the hours left: median and 90 % interval; None without a trend."""
        if health >= DECLINING:
            self._reset()
            return None
        self._skipped += 1
        if self._skipped >= self._stride:
            self._skipped = 0
            self._points.append((hours, health))
            if len(self._points) >= POINTS:
                self._points = self._points[::2]
                self._stride *= 2
        if len(self._points) < LEAST_POINTS:
            return None
        time, value = np.array(self._points).T
        slope, _, low, high = theilslopes(value, time, 0.9)
        if not high < 0.0:
            return None
        fall = max(health - FAILED, 0.0)
        return fall / -slope, fall / -low, fall / -high


def run_scenario(scenario: Scenario, seed: int) -> dict[str, Said]:
    onset_ms = DEFAULT_START_MS + scenario.warm_up_s * 1000
    (fault,) = scenario.faults(onset_ms)
    full_ms = fault.truth.full_ms
    plant = Plant(seed, DEFAULT_START_MS, (fault,), [fault.machine])
    stages: list[Any] = [Manipulation(), StateDetection(), HealthAssessment(), Prognosis()]
    line = HealthLine()
    said = {which: Said(scenario.growth_s / 3600.0) for which in ("line", "flow")}
    seconds = scenario.warm_up_s + scenario.growth_s
    for _, frame in plant_frames(plant, seconds, scenario.vibration_interval_s):
        item: Any = frame
        for stage in stages:
            item = stage.update(item)
        assessment = item.assessment
        for deviation, condition, remaining in zip(
            assessment.detections.deviations, assessment.conditions, item.remaining, strict=True
        ):
            at = deviation.observation.time_ms
            lines = line.update(at / MS_PER_HOUR, condition.health)
            flows = remaining and (remaining.median, remaining.lower, remaining.upper)
            if onset_ms <= at < full_ms:
                for which, told in (("line", lines), ("flow", flows)):
                    said[which].left.append((full_ms - at) / MS_PER_HOUR)
                    said[which].told.append(told or (np.nan, np.nan, np.nan))
    return said


def row(name: str, parts: list[Said]) -> list[str]:
    shares, held, errors = [], [], []
    for said in parts:
        left, told = np.array(said.left), np.array(said.told)
        there = np.isfinite(told[:, 0])
        shares.append(there.mean())
        median, low, high = told[there].T
        held.append((low <= left[there]) & (left[there] <= high))
        errors.append(np.abs(median - left[there]) / said.growth)
    error = np.concatenate(errors)
    return [
        name,
        f"{len(parts)}",
        f"{np.mean(shares):.2f}",
        f"{np.concatenate(held).mean():.2f}",
        f"{np.median(error):.3f}",
        f"{np.quantile(error, 0.9):.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--hours", type=int, nargs="*", default=[2, 6])
    arguments = parser.parse_args()
    warm_up()
    runs = [
        (replace(SCENARIOS[name], growth=growth, growth_s=3600 * hours), seed)
        for name in NAMES
        for growth in ("linear", "exponential")
        for hours in arguments.hours
        for seed in arguments.seed
    ]
    found: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for scenario, seed in track(runs, "runs", transient=True):
        half = "chosen on" if scenario.name in CHOSEN_ON else "held out"
        for which, said in run_scenario(scenario, seed).items():
            found[half, which].append(said)
            found[f"{half}, {scenario.growth}", which].append(said)
    table = Table(
        "half", "runs", "said, share of the growth", "90 % interval holds",
        "median error / growth time", "90 % of errors under",
        title="Hours to functional failure on the simulated plant",
    )  # fmt: skip
    for (half, which), parts in sorted(found.items()):
        table.add_row(*row(f"{half}: {which}", parts))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
