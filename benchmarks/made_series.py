"""Series by formula, of twelve kinds a plant has, with events of nine kinds: a judge beside NAB."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Random = np.random.Generator

SECOND_MS, MINUTE_MS = 1000, 60_000
START_MS = 1_700_000_000_000
DAY = 288
# Rows before the first event, and behind the last slot for one.
USUAL, REST = 1500, 600
EVENTS = (
    "spike",
    "dip",
    "shift",
    "drift",
    "dropout",
    "frozen",
    "noise",
    "reversed",
    "doubled",
)


@dataclass(frozen=True)
class Made:
    """A series: UTC times (n,) in ms, values (n,), labels (n,), and its events.

    An event is its kind, first row and the row behind its last.
    """

    name: str
    times: npt.NDArray[np.int64]
    values: Array
    labels: npt.NDArray[np.bool_]
    events: list[tuple[str, int, int]]


def _waves(period: float, rows: int, random: Random) -> Array:
    phase = 2.0 * np.pi * np.arange(rows) / period
    first, third = random.uniform(0.0, 6.0, 2)
    return 3.0 * np.sin(phase + first) + np.sin(3.0 * phase + third)


def _week(rows: int, random: Random) -> Array:
    at = np.arange(rows)
    busy = 1.0 - 0.6 * ((at // 48) % 7 >= 5)
    wave: Array = 100.0 + 40.0 * np.sin(2.0 * np.pi * at / 48 - 1.5) * busy
    return wave + random.normal(0.0, 4.0, rows)


def _ramps(rows: int, random: Random) -> Array:
    period = int(random.integers(37, 120))
    at = (np.arange(rows) % period) / period
    shape = np.where(at < 0.3, at / 0.3, np.where(at < 0.6, 1.0, 0.2))
    return 10.0 * shape + random.normal(0.0, 0.25, rows)


def _states(rows: int, random: Random, levels: Array, least: int, most: int) -> Array:
    out, at = np.zeros(rows), 0
    while at < rows:
        length = int(random.integers(least, most))
        out[at : at + length] = random.choice(levels)
        at += length
    return out


def _filtered(x: Array, weights: tuple[float, float]) -> Array:
    out = np.zeros(x.size)
    for i in range(2, x.size):
        out[i] = weights[0] * out[i - 1] + weights[1] * out[i - 2] + x[i]
    return out


def _duty(rows: int, random: Random) -> Array:
    period = int(random.integers(40, 200))
    on: Array = (np.arange(rows) % period < 0.4 * period).astype(np.float64)
    return on * random.uniform(1.0, 30.0)


def _rate(rows: int, random: Random) -> Array:
    wave = 2.0 + 1.5 * np.sin(2.0 * np.pi * np.arange(rows) / DAY)
    out: Array = np.maximum(wave + random.normal(0.0, 0.5, rows), 0.0)
    return out


def _loads(rows: int, random: Random) -> Array:
    steps = _states(rows, random, np.array([40.0, 55.0, 70.0, 85.0]), 100, 600)
    return _filtered(0.1 * steps, (0.9, 0.0)) + random.normal(0.0, 0.7, rows)


KINDS: dict[str, tuple[int, Callable[[int, Random], Array]]] = {
    "day": (5 * MINUTE_MS, lambda n, r: 20.0 + _waves(DAY, n, r) + r.normal(0.0, 0.4, n)),
    "week": (30 * MINUTE_MS, _week),
    "ramps": (SECOND_MS, _ramps),
    "waves": (
        10 * SECOND_MS,
        lambda n, r: _waves(r.uniform(150.0, 700.0), n, r) + r.normal(0.0, 0.3, n),
    ),
    "wander": (
        MINUTE_MS,
        lambda n, r: 30.0 + _filtered(r.normal(0.0, 0.1, n), (0.995, 0.0)) + r.normal(0.0, 0.1, n),
    ),
    "white": (MINUTE_MS, lambda n, r: r.normal(50.0, 2.0, n)),
    "counter": (5 * MINUTE_MS, _rate),
    "on and off": (
        MINUTE_MS,
        lambda n, r: _states(n, r, np.array([1.0, 21.0]), 40, 300) + r.normal(0.0, 0.5, n),
    ),
    "duty": (MINUTE_MS, _duty),
    "bursts": (5 * MINUTE_MS, lambda n, r: r.gamma(0.7, 2.0, n)),
    "loads": (MINUTE_MS, _loads),
    "resonance": (SECOND_MS, lambda n, r: _filtered(r.normal(size=n), (1.7, -0.8))),
}
"""The interval of each kind in ms and its values; of a counter its rate, which is summed last."""


def _event(kind: str, values: Array, at: int, room: int, random: Random) -> slice:
    """Change values from row `at` on; return the rows of the event."""
    usual = values[:USUAL]
    spread, span, sign = float(usual.std()), float(np.ptp(usual)), float(random.choice([-1.0, 1.0]))
    length = min(int(random.integers(60, 300)), int(0.4 * room))
    if kind in ("spike", "dip"):
        length = int(random.integers(1, 4) if kind == "spike" else random.integers(5, 15))
    if kind == "dropout":
        length = min(length, 60)
    rows = slice(at, at + length)
    part = values[rows]
    match kind:
        case "spike":
            part += sign * random.uniform(0.6, 1.2) * span
        case "dip":
            part += sign * random.uniform(0.4, 0.8) * span
        case "shift":
            part += sign * random.uniform(1.5, 3.0) * spread
        case "drift":
            part += sign * 3.0 * spread * np.linspace(0.0, 1.0, length)
        case "dropout":
            part[:] = 0.0 if abs(usual.mean()) > span else usual.min() - 0.3 * span
        case "frozen":
            part[:] = part[0]
        case "noise":
            part += random.normal(0.0, 0.8 * spread, length)
        case "reversed":
            part[:] = values[at - 37 - length : at - 37][::-1].copy()
        case _:
            part += part - part[0]
    return rows


def make(kind: str, seed: int) -> Made:
    """Return the series of a kind with three to six events, the same for the same seed."""
    random = np.random.default_rng([list(KINDS).index(kind), seed])
    interval, values_of = KINDS[kind]
    rows = int(random.integers(5000, 12_000))
    values = values_of(rows, random)
    labels, events = np.zeros(rows, np.bool_), []
    count = int(random.integers(3, 7))
    slots = np.linspace(max(USUAL, 0.2 * rows), rows - REST, count + 1)
    for low, high in itertools.pairwise(slots):
        name = str(random.choice(EVENTS))
        at = int(low + random.uniform(0.1, 0.4) * (high - low))
        found = _event(name, values, at, int(high - low), random)
        labels[found] = True
        events.append((name, found.start, found.stop))
    if kind == "counter":
        values = np.cumsum(np.maximum(values, 0.0))
    times = START_MS + interval * np.arange(rows, dtype=np.int64)
    return Made(f"{kind} {seed}", times, values, labels, events)


def corpus(seeds: range) -> list[Made]:
    """Return the series of every kind and seed."""
    return [make(kind, seed) for kind in KINDS for seed in seeds]
