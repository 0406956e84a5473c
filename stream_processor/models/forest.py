"""Half-space trees whose state is one flat array."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels.forest import grow, learn_point, score_point

Array = npt.NDArray[np.float64]

TREES = 8
HEIGHT = 6
# Observations a window, and the mass at which a walk down a tree ends, as in the paper.
WINDOW = 250
LEAST_MASS = 0.1 * WINDOW
SEED = 20816
SCHEMA = 1


class HalfSpaceForest:
    """Streaming half-space trees (Tan, Ting and Liu, IJCAI 2011) over points in the unit cube.

    `river.anomaly.HalfSpaceTrees` is the same algorithm as a tree of Python objects: 170 KB when
    pickled, which every snapshot would write for every machine. Here the splits are a pure
    function of the seed and only the masses, some 3 KB, are state.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._split, self._value = grow(TREES, HEIGHT, max(dimensions, 1), SEED)
        nodes = 2 ** (HEIGHT + 1) - 1
        self._reference = np.zeros((TREES, nodes), dtype=np.float32)
        self._latest = np.zeros((TREES, nodes), dtype=np.float32)
        self._learnt = 0

    @property
    def ready(self) -> bool:
        """Whether a first window has been seen, so that scores mean something."""
        return self._learnt >= WINDOW

    def score_one(self, x: Array) -> float:
        """Return how unusual `x` is, from 0 (the densest place seen) to 1 (never seen)."""
        mass = score_point(x, self._split, self._value, self._reference, LEAST_MASS)
        most = TREES * WINDOW * 2.0**HEIGHT
        return float(1.0 - np.log1p(mass) / np.log1p(most))

    def learn_one(self, x: Array) -> None:
        """Take a healthy observation."""
        learn_point(x, self._split, self._value, self._latest)
        self._learnt += 1
        if self._learnt % WINDOW == 0:
            self._reference, self._latest = self._latest, np.zeros_like(self._latest)

    def state(self) -> dict[str, Any]:
        """Return the masses; those of one window fit in a byte."""
        return {
            "schema": SCHEMA,
            "dimensions": self._dimensions,
            "learnt": self._learnt,
            "reference": self._reference.astype(np.uint8),
            "latest": self._latest.astype(np.uint8),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the forest in `state`.

        Raises:
            ValueError: the schema is newer than this code.
        """
        if state["schema"] > SCHEMA:
            raise ValueError(f"forest state has schema {state['schema']}, not {SCHEMA}")
        forest = cls(state["dimensions"])
        forest._learnt = state["learnt"]
        forest._reference = state["reference"].astype(np.float32)
        forest._latest = state["latest"].astype(np.float32)
        return forest
