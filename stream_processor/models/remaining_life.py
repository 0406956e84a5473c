"""Remaining life of a machine by what became of others of its class.

A library is learnt from run-to-failure histories (`life_learning.py`): a few small networks from
the levels and slopes of the channels to the remaining life, and the spread of the truth around what
networks said of units they had not seen. Here it is used, one observation at a time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from stream_processor.kernels import discounted as kernel
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]
SCHEMA = Schema("a trajectory")
LIBRARY = Schema("a life library")

# Observations over which levels and slopes are taken: what is noise, what is the trend, and what
# the trend was before.
MEMORIES = np.array([4.0, 12.0, 36.0])
# Observations before anything is said.
WARM_UP = 30


class LifeLibraryError(ValueError):
    """A file that is no life library, or one of newer code."""


@dataclass(frozen=True, slots=True)
class Life:
    """A distribution of the remaining life, in the unit of the library.

    `mean` is the best single number; `quantiles` (q,) belong to the library's `chances`. The truth
    lies between `lower` and `upper` nine times in ten. Lives of the horizon and longer are not told
    apart: where they belong to the nine, `upper` is infinite and `lower` the tenth percentile.
    """

    mean: float
    median: float
    lower: float
    upper: float
    quantiles: Array


@dataclass(frozen=True)
class LifeLibrary:
    """What was learnt of an equipment class; a flat file (.npz) holds all of it.

    `channels` are the names of the values that an observation has: in the flow `channel/feature`,
    as in the historian. `mean` and `scale` (n,) are their usual value and spread, `input_mean` and
    `input_scale` (m,) those of the networks' inputs. `hours` are those from one observation to the
    next, NaN where they are counted otherwise (cycles); the flow follows machines by libraries that
    know them. `layers` are weights (networks, in + 1, out), the constant last, `horizon` the
    longest life that is told apart, in `unit`. `levels` (l,) are what networks say, `spread` (l, q)
    the quantiles of the truth there, at `chances` (q,). `card` says from what it was learnt and
    how well it does.
    """

    equipment_class: str
    version: str
    unit: str
    hours: float
    channels: tuple[str, ...]
    mean: Array
    scale: Array
    input_mean: Array
    input_scale: Array
    layers: tuple[Weights, ...]
    horizon: float
    levels: Array
    chances: Array
    spread: Array
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Class and version, as it is told."""
        return f"life-{self.equipment_class}@{self.version}"

    def remaining(self, followed: Array) -> Life:
        """Return the remaining life of a machine of which a trajectory returned `followed`."""
        inputs = inputs_of(followed, self.mean, self.scale)[np.newaxis]
        scaled = (inputs - self.input_mean) / self.input_scale
        return self.life(float(predict(self.layers, scaled, self.horizon)[0]))

    def quantiles(self, life: float) -> Array:
        """Return the quantiles (q,) of the truth when the networks say `life`."""
        place = np.interp(life, self.levels, np.arange(self.levels.size, dtype=np.float64))
        low = min(int(place), self.levels.size - 2)
        share = place - low
        found: Array = (1.0 - share) * self.spread[low] + share * self.spread[low + 1]
        return found

    def life(self, said: float) -> Life:
        """Return the distribution of the truth when the networks say `said`."""
        quantiles = self.quantiles(said)
        low, tenth, median, high = np.interp((0.05, 0.1, 0.5, 0.95), self.chances, quantiles)
        open_ended = high > self.horizon - 0.01
        return Life(
            said,
            float(median),
            float(tenth if open_ended else low),
            float("inf") if open_ended else float(high),
            quantiles,
        )

    def write(self, path: Path) -> None:
        """Write the library as `path` and its card beside it (.json)."""
        head = {
            "schema": LIBRARY.version,
            "equipment_class": self.equipment_class,
            "version": self.version,
            "unit": self.unit,
            "hours": self.hours if np.isfinite(self.hours) else None,
            "channels": list(self.channels),
            "horizon": self.horizon,
            "card": self.card,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"layer_{i}": layer for i, layer in enumerate(self.layers)}
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        file = BytesIO()
        np.savez(file, **arrays)
        path.write_bytes(file.getvalue())
        path.with_suffix(".json").write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a library.

        Raises:
            LifeLibraryError: it is none, or of newer code.
            OSError: it cannot be read.
        """
        try:
            with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as file:
                head = json.loads(bytes(file["head"]))
                arrays = {name: file[name] for name in _ARRAYS}
                count = sum(name.startswith("layer_") for name in file.files)
                layers = tuple(file[f"layer_{i}"] for i in range(count))
            head = LIBRARY.current(head)
            del head["schema"]
            head["hours"] = float("nan") if head["hours"] is None else float(head["hours"])
            return cls(**{**head, "channels": tuple(head["channels"])}, **arrays, layers=layers)
        except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise LifeLibraryError(f"{path}: not a life library: {error}") from error


_ARRAYS = ("mean", "scale", "input_mean", "input_scale", "levels", "chances", "spread")


def predict(layers: tuple[Weights, ...], inputs: Array, horizon: float) -> Array:
    """Return the mean over the networks for scaled inputs (r, m), from 0 to `horizon` (r,)."""
    total = np.zeros(len(inputs))
    networks = layers[0].shape[0]
    for network in range(networks):
        a = inputs.astype(np.float32)
        for layer in layers[:-1]:
            a = np.maximum(a @ layer[network, :-1] + layer[network, -1], 0.0)
        last = layers[-1][network]
        total += 1.0 / (1.0 + np.exp(-(a @ last[:-1] + last[-1])[:, 0].astype(np.float64)))
    found: Array = total * (horizon / networks)
    return found


class Trajectory:
    """How the values of one machine have gone: their levels and rises, and how they were at first.

    It is to be followed from when the machine was new or restored. It knows no library, so it goes
    on when there is a newer one.
    """

    def __init__(self, channels: int) -> None:
        self._sums = np.zeros((MEMORIES.size, kernel.ROWS, channels))
        self._start = np.zeros((2, channels))
        self._seen = 0

    @property
    def ready(self) -> bool:
        """Whether enough was seen for a life to be told."""
        return self._seen >= WARM_UP

    def update(self, values: Array) -> Array:
        """Take the next observation (n,) and return levels, rises and start (2 k + 1, n).

        Observations are as far apart as those of the library; what is NaN is missing, and one
        without any number is passed over.
        """
        out = np.empty((2 * MEMORIES.size + 1, values.size))
        kernel.follow(values, MEMORIES, self._sums, self._start, out)
        if np.isfinite(values).any():
            self._seen = min(self._seen + 1, WARM_UP)
        return out

    def state(self) -> dict[str, Any]:
        """Return the sums."""
        return {
            "schema": SCHEMA.version,
            "sums": self._sums,
            "start": self._start,
            "seen": self._seen,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the model in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        model = cls(state["start"].shape[1])
        model._sums = state["sums"].copy()
        model._start = state["start"].copy()
        model._seen = state["seen"]
        return model


def inputs_of(followed: Array, mean: Array, scale: Array) -> Array:
    """Return what networks see (m,) of what a trajectory returned; what is unknown is usual."""
    offset = np.zeros_like(followed)
    offset[::2] = mean
    found: Array = np.nan_to_num((followed - offset) / scale, nan=0.0).ravel()
    return found
