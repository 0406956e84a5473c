"""Half-space trees whose state is one flat array."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels.forest import grown, learn_point, score_point
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]

TREES = 8
HEIGHT = 6
# Observations a window, and the mass at which a walk down a tree ends, as in the paper.
WINDOW = 250
LEAST_MASS = 0.1 * WINDOW
SEED = 20816
# 2: whether the trees were grown within the unit cube; those of before go on as they are.
SCHEMA = Schema("a half-space forest", 2, {1: lambda state: {**state, "within": False}})


class HalfSpaceForest:
    """Streaming half-space trees (Tan, Ting and Liu, IJCAI 2011) over points in the unit cube.

    `river.anomaly.HalfSpaceTrees` is the same algorithm as trees of objects: 37 KB when pickled (at
    its default size 170 KB), which every snapshot would write for every machine. Here the splits
    are a pure function of the seed, which machines share, and only the masses, 2 KB, are state.
    """

    def __init__(self, dimensions: int, *, within: bool = True) -> None:
        self._dimensions = dimensions
        self._within = within
        self._split, self._value = grown(TREES, HEIGHT, max(dimensions, 1), SEED, within)
        nodes = 2 ** (HEIGHT + 1) - 1
        self._reference = np.zeros((TREES, nodes), dtype=np.float32)
        self._latest = np.zeros((TREES, nodes), dtype=np.float32)
        self._learnt = 0

    @property
    def ready(self) -> bool:
        """Whether a first window has been seen, so that scores mean something."""
        return self._learnt >= WINDOW

    def score_one(self, x: Array) -> float:
        """Return how unusual `x` is, from 0 (the densest place seen) to 1 (never seen).

        0 as well of a point with a coordinate that is no number.
        """
        mass = score_point(x, self._split, self._value, self._reference, LEAST_MASS)
        if mass != mass:
            return 0.0
        most = TREES * WINDOW * 2.0**HEIGHT
        return float(1.0 - np.log1p(mass) / np.log1p(most))

    def learn_one(self, x: Array) -> None:
        """Take a healthy observation; one with a coordinate that is no number teaches nothing."""
        if not learn_point(x, self._split, self._value, self._latest):
            return
        self._learnt += 1
        if self._learnt % WINDOW == 0:
            self._reference, self._latest = self._latest, np.zeros_like(self._latest)

    def state(self) -> dict[str, Any]:
        """Return the masses; those of one window fit in a byte."""
        return {
            "schema": SCHEMA.version,
            "dimensions": self._dimensions,
            "within": self._within,
            "learnt": self._learnt,
            "reference": self._reference.astype(np.uint8),
            "latest": self._latest.astype(np.uint8),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the forest in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        forest = cls(state["dimensions"], within=state["within"])
        forest._learnt = state["learnt"]
        forest._reference = state["reference"].astype(np.float32)
        forest._latest = state["latest"].astype(np.float32)
        return forest
