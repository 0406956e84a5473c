"""What a model of a machine is, in two kinds.

A *detector* judges points, each by itself: `score_one` changes nothing, `learn_one` takes a point
as usual. A *monitor* follows series: `update` takes every observation once and says what it makes
of it, which moves what it knows of the last ones; `learn` takes that observation as usual, of
monitors that tell the two apart. So neither learns from what it alarms on, and a monitor still
knows how long something has lasted.

Laws of both, which `stream_processor.models.checks` holds each of them to:

- What it returns and what its state becomes depend on what it was given alone, to the last bit: no
  clock, no chance but a seed of its own.
- `state` is built-in values and arrays with a schema version, of a size that does not grow with
  the observations; `restore` shares nothing with it, and what goes on from it goes on as if nothing
  had happened, wherever it was taken.
- What is no number (NaN, infinities) neither raises nor stays: later scores are what they would
  have been without it, as far as the model does not say otherwise.
- Before it is warm it says nothing: a detector is not `ready`, a monitor's evidence is 0.
"""

from __future__ import annotations

from typing import Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Observed = ParamSpec("Observed")
Evidence = TypeVar("Evidence", covariant=True)


class Model(Protocol):
    """What has a state of its own."""

    def state(self) -> dict[str, Any]:
        """Return the state: `schema` (int), built-in values and arrays; it is to be copied."""
        ...

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the model in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        ...


class Detector(Model, Protocol):
    """A model that judges points."""

    @property
    def ready(self) -> bool:
        """Whether enough was learnt for scores to mean something."""
        ...

    def score_one(self, x: Array) -> float:
        """Return how unusual a point is, from 0 to 1; 0 of one that is not known in full."""
        ...

    def learn_one(self, x: Array) -> None:
        """Take a point as usual; one that is not known in full teaches nothing."""
        ...


class Monitor(Model, Protocol[Observed, Evidence]):
    """A model that follows series."""

    def update(self, *observed: Observed.args, **named: Observed.kwargs) -> Evidence:
        """Take the next observation of every series and return the evidence."""
        ...
