"""How a model plugs into the agent."""

from __future__ import annotations

from typing import Protocol

from edge_agent.drivers.base import Block, Device
from edge_agent.windows import Window


class Scorer(Protocol):
    """Scores the blocks of one device."""

    @property
    def model(self) -> str:
        """Name and version, as the device's birth carries it."""
        ...

    def score(self, block: Block) -> float | None:
        """Return the block's anomaly score, 1.0 at the limit; None when it cannot be scored."""
        ...


class WindowScorer:
    """Scores each block by the window that ends with it, whatever the length of the blocks."""

    def __init__(self, device: Device, scorer: Scorer) -> None:
        """Put a window before `scorer`, which must have been trained on such windows."""
        self._window, self._scorer = Window(device), scorer

    @property
    def model(self) -> str:
        """Name and version, as the device's birth carries it."""
        return self._scorer.model

    def score(self, block: Block) -> float | None:
        """Return the score of the window, 1.0 at the limit; None when it cannot be scored.

        Blocks come in the order of their event times.
        """
        return self._scorer.score(self._window.add(block))


def scorer_for(device: Device) -> Scorer | None:
    """Return the scorer of a device, None when its class has no model."""
    from edge_agent import inference

    scorer = inference.scorer_for(device)
    return None if scorer is None else WindowScorer(device, scorer)
