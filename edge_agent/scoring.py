"""How a model plugs into the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from edge_agent.drivers.base import Block, Device, Driver, Lost
from edge_agent.drivers.stage import DriverStage
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


ScorerFor = Callable[[Device], Scorer | None]


class ScoredDriver(DriverStage):
    """Scores every block of a driver, before any other stage leaves something out of it."""

    def __init__(self, inner: Driver, scorer_for: ScorerFor = scorer_for) -> None:
        """Give each device of `inner` what `scorer_for` has for it."""
        super().__init__(inner)
        found = {device.tag: scorer_for(device) for device in inner.devices()}
        self.scorers: Mapping[str, Scorer] = {
            tag: scorer for tag, scorer in found.items() if scorer is not None
        }

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield the blocks with their scores."""
        async for item in self.inner.blocks():
            scorer = self.scorers.get(item.device)
            if scorer is not None and isinstance(item, Block):
                yield replace(item, score=scorer.score(item))
            else:
                yield item
