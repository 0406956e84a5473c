"""Online detectors: ours beside River's on the same streams, and what a machine's state takes.

    python -m benchmarks.models

The recording is read from the folder in HEADRACE_EVAL_DATA (`nab/`) and skipped without it. No
detector sees a label.
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from river import anomaly, drift

from benchmarks.detection import DATA, Chain, plant_frames, read_csv
from benchmarks.machine import describe
from firmware_sim.driver import DEFAULT_START_MS
from firmware_sim.plant import Plant
from stream_processor.frames import Frame
from stream_processor.kernels import warm_up
from stream_processor.models import Baseline, DriftMonitor, HalfSpaceForest
from stream_processor.stages import STAGES

Array = npt.NDArray[np.float64]
WIDTH = 4
WARM = 1000
POINTS = 4000
ROUNDS = 5
SEEDS = 8
# A shift of this many standard deviations after so many observations is to be told.
SHIFT, BEFORE, AFTER = 1.5, 1000, 300
# A machine of four channels.
PART_OF = "P-101"
PART = ("Vibration Drive End", "Vibration Axial", "Speed", "Flow")
RECORDING = "realKnownCause/machine_temperature_system_failure"


@dataclass(frozen=True)
class Peer:
    """A detector by what the measurement asks of it; `shape` makes a row what it takes, untimed."""

    name: str
    new: Callable[[int], Any]
    shape: Callable[[Array], Any]
    score: Callable[[Any, Any], float]
    learn: Callable[[Any, Any], None]
    written: Callable[[Any], bytes] = pickle.dumps
    read: Callable[[bytes], Any] = pickle.loads


def ours(kind: Any) -> dict[str, Any]:
    """Return how one of our models is written into a snapshot and read from it."""
    return {
        "written": lambda model: pickle.dumps(model.state(), pickle.HIGHEST_PROTOCOL),
        "read": lambda raw: kind.restore(pickle.loads(raw)),
    }


def named(x: Array) -> dict[int, float]:
    """Return a point as River takes it."""
    return dict(enumerate(x.tolist()))


def cube(x: Array) -> Array:
    """Return standardised numbers in the unit cube, as state detection makes them."""
    out: Array = 1.0 / (1.0 + np.exp(-np.clip(x, -8.0, 8.0) / 3.0))
    return out


def worst_of(models: list[Any], x: list[float]) -> float:
    """Return the highest score of one univariate model a number."""
    return max(float(m.score_one(None, v)) for m, v in zip(models, x, strict=True))


def learn_each(models: list[Any], x: list[float]) -> None:
    for model, value in zip(models, x, strict=True):
        model.learn_one(None, value)


def score_one(model: Any, x: Any) -> float:
    return float(model.score_one(x))


def learn_one(model: Any, x: Any) -> None:
    model.learn_one(x)


def gaussians(width: int) -> list[Any]:
    new: Any = anomaly.GaussianScorer
    return [new() for _ in range(width)]


def river_trees(trees: int, height: int) -> Peer:
    return Peer(
        f"River HalfSpaceTrees, {trees} of height {height}",
        lambda _: anomaly.HalfSpaceTrees(n_trees=trees, height=height, window_size=250, seed=1),
        lambda x: named(cube(x)),
        score_one,
        learn_one,
    )


def baseline_score(model: Baseline, x: Array) -> float:
    scored = model.update(np.zeros(0), x, np.full(x.size, 1e-3))
    return float(np.abs(scored.score).max())


DETECTORS = (
    Peer(
        "HalfSpaceForest, 8 of height 6",
        HalfSpaceForest,
        cube,
        score_one,
        learn_one,
        **ours(HalfSpaceForest),
    ),
    river_trees(8, 6),
    river_trees(10, 8),
    Peer(
        "Baseline without drivers",
        lambda width: Baseline(0, np.full(width, -1)),
        np.copy,
        baseline_score,
        lambda model, x: model.learn(x, np.zeros(x.size), 4000.0),
        **ours(Baseline),
    ),
    Peer(
        "River GaussianScorer, one a number",
        gaussians,
        np.ndarray.tolist,
        worst_of,
        learn_each,
    ),
    Peer(
        "River OneClassSVM",
        lambda _: anomaly.OneClassSVM(nu=0.05),
        named,
        score_one,
        learn_one,
    ),
    Peer(
        "River LODA",
        lambda _: anomaly.LODA(seed=1),
        named,
        score_one,
        learn_one,
    ),
)


def drift_update(tests: list[Any], x: list[float]) -> float:
    for test, value in zip(tests, x, strict=True):
        test.update(value)
    return float(any(test.drift_detected for test in tests))


def river_tests(name: str, new: Callable[[], Any]) -> Peer:
    return Peer(
        name,
        lambda width: [new() for _ in range(width)],
        np.ndarray.tolist,
        drift_update,
        lambda tests, x: None,
    )


DRIFTS = (
    Peer(
        "DriftMonitor (Page-Hinkley)",
        DriftMonitor,
        np.copy,
        lambda model, x: float(np.abs(model.update(x)).max() > 1.0),
        lambda model, x: None,
        **ours(DriftMonitor),
    ),
    river_tests(
        "River PageHinkley",
        lambda: drift.PageHinkley(min_instances=60, delta=0.5, threshold=60.0, alpha=0.998),
    ),
    river_tests("River ADWIN", drift.ADWIN),
    river_tests("River KSWIN", lambda: drift.KSWIN(seed=1)),
)


def area(score: Array, strange: npt.NDArray[np.bool_]) -> float:
    """Return the chance that a strange point scores higher than a usual one."""
    ranks = np.empty(score.size)
    order = np.argsort(score, kind="stable")
    ranks[order] = np.arange(1, score.size + 1)
    for value in np.unique(score[strange]):
        same = score == value
        ranks[same] = ranks[same].mean()
    many = int(strange.sum())
    return float((ranks[strange].sum() - many * (many + 1) / 2) / (many * (score.size - many)))


def stream(seed: int, far_out: bool) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return points whose numbers go together, and which of them, one in fifty, are strange.

    Either one number is far out, or all are as large as usual and two go against the others.
    """
    random = np.random.default_rng(seed)
    load = random.normal(size=(POINTS, 1))
    x = 0.9 * load + 0.45 * random.normal(size=(POINTS, WIDTH))
    strange = random.random(POINTS) < 0.02
    strange[:WARM] = False
    for i in np.flatnonzero(strange):
        if far_out:
            x[i, random.integers(WIDTH)] = random.choice([-1.0, 1.0]) * random.uniform(3.5, 5.0)
        else:
            against = np.where(random.permutation(WIDTH) < WIDTH // 2, -1.0, 1.0)
            x[i] = against * random.uniform(1.0, 1.8) + 0.2 * random.normal(size=WIDTH)
    return x, strange


def recording() -> tuple[Array, npt.NDArray[np.bool_]] | None:
    """Return value and change over an hour, standardised by what was seen, and the labels."""
    path = DATA / "nab" / "data" / f"{RECORDING}.csv"
    if not path.exists():
        return None
    times, columns = read_csv(path)
    value = columns["value"]
    change = value - np.concatenate((np.full(12, value[0]), value[:-12]))
    x = np.column_stack((value, change))
    count = np.arange(1, len(value) + 1)[:, None]
    mean = np.cumsum(x, axis=0) / count
    deviation = np.sqrt(np.maximum(np.cumsum(x * x, axis=0) / count - mean * mean, 1e-6))
    labels = json.loads((DATA / "nab" / "labels" / "combined_windows.json").read_text())
    strange = np.zeros(len(times), dtype=bool)
    for window in labels[f"{RECORDING}.csv"]:
        low, high = (datetime.fromisoformat(t) for t in window)
        strange |= np.array([low <= t.replace(tzinfo=None) <= high for t in times])
    return (x - mean) / deviation, strange


def scores(peer: Peer, x: Array) -> Array:
    """Return the score of each point before it is learnt."""
    model = peer.new(x.shape[1])
    found = np.zeros(len(x))
    for i, row in enumerate(x):
        with suppress(ZeroDivisionError):
            # A scorer that has seen nothing.
            found[i] = peer.score(model, peer.shape(row))
        peer.learn(model, peer.shape(row))
    return np.nan_to_num(found)


def microseconds(works: list[Callable[[], object]]) -> list[float]:
    """Return the best time of each over several rounds; they take turns."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for i, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[i] = min(best[i], (time.perf_counter() - began) * 1e6)
    return best


def warmed(peer: Peer, x: Array) -> Any:
    model = peer.new(x.shape[1])
    for row in x[:WARM]:
        with suppress(ZeroDivisionError):
            peer.score(model, peer.shape(row))
        peer.learn(model, peer.shape(row))
    return model


def step_times(peers: tuple[Peer, ...], x: Array) -> list[float]:
    """Return the time of scoring and learning an observation."""
    part = x[WARM : WARM + 300]

    def run(peer: Peer, model: Any) -> Callable[[], None]:
        shaped = [peer.shape(row) for row in part]

        def work() -> None:
            for item in shaped:
                peer.score(model, item)
                peer.learn(model, item)

        return work

    found = microseconds([run(peer, warmed(peer, x)) for peer in peers])
    return [each / len(part) for each in found]


def costs(peers: tuple[Peer, ...], x: Array) -> Iterator[tuple[Peer, list[str]]]:
    """Yield what each takes: a step beside the first's, bytes, and to be read from them."""
    steps = step_times(peers, x)
    raws = [peer.written(warmed(peer, x)) for peer in peers]
    reads = microseconds([partial(p.read, raw) for p, raw in zip(peers, raws, strict=True)])
    for peer, step, raw, read in zip(peers, steps, raws, reads, strict=True):
        yield (
            peer,
            [f"{step:.1f} ({step / steps[0]:.1f}×)", f"{len(raw):,}", f"{read:.0f}"],
        )


def print_detectors() -> None:
    nab = recording()
    table = Table(
        "detector", "µs a point", "bytes", "µs to restore", "area, far out",
        "area, combined", "area, NAB",
        title=f"Points of {WIDTH} numbers",
    )  # fmt: skip
    for peer, cells in costs(DETECTORS, stream(1, far_out=True)[0]):
        for far_out in (True, False):
            found = []
            for seed in (1, 2, 3):
                x, strange = stream(seed, far_out)
                found.append(area(scores(peer, x)[WARM:], strange[WARM:]))
            cells.append(" ".join(f"{each:.2f}" for each in found))
        real = f"{area(scores(peer, nab[0]), nab[1]):.2f}" if nab else "–"
        table.add_row(peer.name, *cells, real)
    Console(width=150).print(table)


def print_drifts() -> None:
    table = Table(
        "test", "µs an observation", "bytes", "µs to restore", "told", "median delay", "false",
        title=f"{WIDTH} series; one of them shifts by {SHIFT} standard deviations",
    )  # fmt: skip
    x = np.random.default_rng(1).normal(size=(POINTS, WIDTH))
    for peer, cells in costs(DRIFTS, x):
        delays, false = [], 0
        for seed in range(SEEDS):
            each = np.random.default_rng(seed).normal(size=(BEFORE + AFTER, WIDTH))
            each[BEFORE:, 0] += SHIFT
            model = peer.new(WIDTH)
            told = [i for i, row in enumerate(each) if peer.score(model, peer.shape(row))]
            false += sum(i < BEFORE for i in told)
            delays += [i - BEFORE for i in told if i >= BEFORE][:1]
        delay = f"{np.median(delays):.0f}" if delays else "–"
        table.add_row(peer.name, *cells, f"{len(delays)} of {SEEDS}", delay, str(false))
    Console(width=150).print(table)


def only(frame: Frame, names: tuple[str, ...]) -> Frame:
    """Return a frame of a machine with fewer channels."""
    channels = {name: frame.info.channels[name] for name in names}
    samples = {name: frame.samples[name] for name in names if name in frame.samples}
    return replace(frame, info=replace(frame.info, channels=channels), samples=samples)


def print_states() -> None:
    """Print what each step keeps of each machine of the plant after an hour of blocks a minute."""
    plant = Plant(1, DEFAULT_START_MS)
    chains: dict[str, Chain] = defaultdict(Chain)
    channels = {device.tag: len(device.channels) for device in plant.devices()}
    for tag, frame in plant_frames(plant, 3600, 60):
        chains[tag].feed(frame)
        if tag == PART_OF:
            chains[f"part of {tag}"].feed(only(frame, PART))
    channels[f"part of {PART_OF}"] = len(PART)
    table = Table(
        "machine",
        "channels",
        *(name.split("_")[0] for name, _ in STAGES),
        "together",
        title="Bytes of state after an hour, as a snapshot has them",
    )
    for tag, chain in sorted(chains.items(), key=lambda item: channels[item[0]]):
        sizes = [
            len(pickle.dumps(stage.state(), pickle.HIGHEST_PROTOCOL)) for stage in chain.stages
        ]
        table.add_row(tag, str(channels[tag]), *(f"{s:,}" for s in sizes), f"{sum(sizes):,}")
    Console(width=150).print(table)


def main() -> None:
    warm_up()
    print(describe("river", "numpy", "numba"))
    print(f"recordings: {Path(os.path.relpath(DATA))}")
    print_detectors()
    print_drifts()
    print_states()


if __name__ == "__main__":
    main()
