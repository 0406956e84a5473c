"""Findings of the five stages on the simulated plant and on recordings, against their labels.

    python -m benchmarks.detection [--seed N ...] [--days D] [NAME ...]

Recordings are read from the folder in HEADRACE_EVAL_DATA (`nab/`, `skab/`); those that are not
there are skipped. Nothing here reads a label before the findings are known.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge_agent.scoring import scorer_for
from firmware_sim.driver import DEFAULT_START_MS
from firmware_sim.plant import Plant
from firmware_sim.scenarios import SCENARIOS
from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.kernels import warm_up
from stream_processor.stages.chain import Chain as Stages
from stream_processor.v1.alert_pb2 import Advisory, AdvisoryState, FailureMode

DATA = Path(os.environ.get("HEADRACE_EVAL_DATA", "../shared/data"))
# As the edge agent's recording driver makes them: rows a block of a slow recording.
ROWS = 12
NAB = (
    "realKnownCause/machine_temperature_system_failure",
    "realKnownCause/ambient_temperature_system_failure",
    "realAWSCloudwatch/ec2_cpu_utilization_5f5533",
    "realAWSCloudwatch/ec2_cpu_utilization_fe7f93",
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53",
    "realAWSCloudwatch/ec2_network_in_257a54",
    "artificialNoAnomaly/art_daily_small_noise",
    "artificialNoAnomaly/art_noisy",
    "artificialWithAnomaly/art_daily_jumpsup",
    "artificialWithAnomaly/art_daily_flatmiddle",
)
LABELS = {"anomaly", "changepoint"}


@dataclass
class Chain:
    """The stages of one machine, and what they said."""

    stages: Stages = field(default_factory=Stages)
    said: list[Advisory] = field(default_factory=list)

    def feed(self, frame: Frame) -> None:
        """Take a frame through the stages."""
        self.said += self.stages.feed(frame).advisories

    def raised(self) -> list[Advisory]:
        """Return the findings as they were first told."""
        return [a for a in self.said if a.state == AdvisoryState.ADVISORY_STATE_RAISED]

    def final_mode(self) -> str:
        """Return the failure mode that was told last."""
        return mode_of(self.said[-1]) if self.said else ""


def mode_of(advisory: Advisory) -> str:
    return FailureMode.Name(advisory.failure_mode).removeprefix("FAILURE_MODE_").lower()


def plant_frames(plant: Plant, seconds: int, interval_s: int) -> Iterator[tuple[str, Frame]]:
    infos = {
        d.tag: EquipmentInfo(
            "site",
            "node",
            d.tag,
            d.equipment_class,
            d.path,
            "simulated",
            {
                c.name: ChannelInfo(c.name, c.unit, c.sample_rate_hz, c.quantity, c.location)
                for c in d.channels
            },
            dict(d.facts),
        )
        for d in plant.devices()
    }
    scorers = {d.tag: scorer_for(d) for d in plant.devices()}
    for block in plant.blocks(0, seconds, interval_s):
        samples = {name: part.astype(np.float64) for name, part in block.samples.items()}
        scorer = scorers[block.device]
        frame = Frame(
            infos[block.device],
            block.start_time_ms,
            block.start_time_ms,
            samples,
            edge_score=scorer.score(block) if scorer else None,
        )
        yield block.device, frame


def run_scenario(name: str, seed: int, seconds: int | None = None) -> list[str]:
    """Return a row: name, expected, raised, delay, verdict."""
    scenario = SCENARIOS[name]
    onset_ms = DEFAULT_START_MS + scenario.warm_up_s * 1000
    plant = Plant(seed, DEFAULT_START_MS, scenario.faults(onset_ms))
    chains = {tag: Chain() for tag in plant.machines}
    seconds = seconds or scenario.duration_s
    frames = seconds // scenario.vibration_interval_s * len(chains)
    for tag, frame in track(
        plant_frames(plant, seconds, scenario.vibration_interval_s),
        f"{name}, seed {seed}",
        frames,
        transient=True,
    ):
        chains[tag].feed(frame)
    raised = [(tag, a) for tag, chain in chains.items() for a in chain.raised()]
    described = ", ".join(f"{tag} {mode_of(a)}" for tag, a in raised) or "none"
    delay = ""
    if scenario.machine is None:
        good = not raised
    else:
        good = (
            [tag for tag, _ in raised] == [scenario.machine]
            and mode_of(raised[0][1]) == scenario.fault
            and chains[scenario.machine].final_mode() == scenario.fault
        )
        if raised:
            end = raised[0][1].window_end_time.ToMilliseconds()
            delay = f"{(end - onset_ms) / 60_000:.0f} min"
    expected = f"{scenario.machine} {scenario.fault}" if scenario.machine else "none"
    return [f"{name} {seed}", expected, described, delay, "as it should be" if good else "WRONG"]


def read_csv(path: Path) -> tuple[list[datetime], dict[str, npt.NDArray[np.float64]]]:
    with path.open(newline="") as file:
        dialect = ";" if ";" in file.readline() else ","
        file.seek(0)
        rows = list(csv.reader(file, delimiter=dialect))
    header, body = rows[0], rows[1:]
    times = [datetime.fromisoformat(row[0]).replace(tzinfo=UTC) for row in body]
    table = np.array([[float(cell) for cell in row[1:]] for row in body])
    return times, {name: table[:, j] for j, name in enumerate(header[1:])}


def recording_chain(path: Path) -> tuple[Chain, dict[str, npt.NDArray[np.float64]], list[datetime]]:
    """Feed a recording on an even grid, as the agent's driver does."""
    times, columns = read_csv(path)
    stamps = np.array([t.timestamp() for t in times])
    period = float(np.median(np.diff(stamps)))
    place = np.rint((stamps - stamps[0]) / period).astype(np.int64)
    channels = {
        name: ChannelInfo(name, "1", 1.0 / period) for name in columns if name.lower() not in LABELS
    }
    size = int(place.max()) + 1
    grid = {}
    for name in channels:
        grid[name] = np.full(size, np.nan)
        grid[name][place] = columns[name].astype(np.float32)
    info = EquipmentInfo("site", "node", path.stem, "recording", "", "recording", channels)
    rows = max(ROWS, round(60.0 / period))
    chain = Chain()
    start = stamps[0]
    for first in range(0, size, rows):
        part = {name: values[first : first + rows] for name, values in grid.items()}
        at = round((start + first * period) * 1000)
        if not all(np.isnan(values).all() for values in part.values()):
            chain.feed(Frame(info, at, at, part))
    return chain, columns, times


def run_nab(name: str) -> list[str]:
    path = DATA / "nab" / "data" / f"{name}.csv"
    chain, _, _ = recording_chain(path)
    raised = [a.window_end_time.ToDatetime(UTC) for a in chain.raised()]
    labels = json.loads((DATA / "nab" / "labels" / "combined_windows.json").read_text())
    windows = [
        tuple(datetime.fromisoformat(t).replace(tzinfo=UTC) for t in window)
        for window in labels[f"{name}.csv"]
    ]
    caught = sum(any(low <= t <= high for t in raised) for low, high in windows)
    outside = [t for t in raised if not any(low <= t <= high for low, high in windows)]
    text = ", ".join(f"{t:%m-%d %H:%M}" for t in outside)
    return [
        name.split("/")[1],
        f"{len(windows)} windows",
        f"{caught} caught",
        f"{len(outside)} outside",
        text,
    ]


def run_skab(path: Path) -> list[str]:
    chain, columns, times = recording_chain(path)
    raised = [a.window_end_time.ToDatetime(UTC) for a in chain.raised()]
    labelled = columns.get("anomaly", np.zeros(len(times)))
    stamps = [t for t, v in zip(times, labelled, strict=True) if v > 0]
    first = stamps[0] if stamps else None
    before = sum(first is None or t < first for t in raised)
    inside = sum(first is not None and first <= t <= stamps[-1] for t in raised)
    name = f"skab/{path.parent.name}/{path.stem}"
    return [name, "1 window" if first else "none", f"{inside} inside", f"{before} before", ""]


def print_table(title: str, columns: Iterable[str], rows: list[list[str]]) -> None:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    Console(width=150).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="scenarios, `nab` or `skab`; all by default")
    parser.add_argument("--seed", type=int, nargs="*", default=[1])
    parser.add_argument("--days", type=float, default=7.0, help="of the healthy plant")
    arguments = parser.parse_args()
    chosen = arguments.names or [*SCENARIOS, "nab", "skab"]
    warm_up()
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    began = time.perf_counter()
    rows = [
        run_scenario(n, s, round(arguments.days * 86_400) if n == "healthy" else None)
        for n in chosen
        if n in SCENARIOS
        for s in arguments.seed
    ]
    if rows:
        print_table("Plant", ("scenario", "fault", "raised", "after onset", ""), rows)
    if "nab" in chosen and (DATA / "nab").is_dir():
        paths = [n for n in NAB if (DATA / "nab" / "data" / f"{n}.csv").exists()]
        rows = [run_nab(n) for n in track(paths, "NAB", transient=True)]
        print_table("NAB", ("series", "labelled", "caught", "outside", "when"), rows)
    if "skab" in chosen and (DATA / "skab").is_dir():
        files = sorted((DATA / "skab" / "data").glob("*/*.csv"))
        rows = [run_skab(p) for p in track(files, "SKAB", transient=True)]
        print_table("SKAB", ("recording", "labelled", "caught", "before", ""), rows)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
