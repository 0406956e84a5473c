"""A device's scorer whose model can change while blocks come, and try a new one beside it."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_agent.drivers.base import Block, Device
from edge_agent.scoring import Scorer
from edge_agent.updates.tally import Tally
from edge_agent.updates.trial import Trial
from edge_agent.windows import Window

# What an interpreter, or a card that does not fit, raises.
FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


class SwappingScorer:
    """Scores with the model that counts; one on trial is timed and compared on the same windows."""

    def __init__(self, device: Device, fallen: Callable[[SwappingScorer, str], None]) -> None:
        """Begin without a model; `fallen` hears when the one that counts raises."""
        self.device = device
        # Of the model that counts.
        self.tally = Tally()
        self.current: Scorer | None = None
        self._fallen = fallen
        self._window: Window | None = None
        self._candidate: Scorer | None = None
        self._trial: Trial | None = None
        self._before_first: Callable[[], bool] | None = None

    @property
    def model(self) -> str:
        """Name and version of the model that counts, as the device's birth carries it."""
        return self.current.model if self.current else ""

    def try_beside(self, candidate: Scorer, trial: Trial, before_first: Callable[[], bool]) -> None:
        """Let a new model score too; `before_first` says right before it whether it may."""
        self._candidate, self._trial, self._before_first = candidate, trial, before_first

    def end_trial(self) -> None:
        """Let the new model go."""
        self._candidate = self._trial = self._before_first = None

    def score(self, block: Block) -> float | None:
        """Return the score of the window that ends with a block, 1.0 at the limit.

        None when it cannot be scored. Only the model that counts is heard. Blocks come in the order
        of their event times.
        """
        if self.current is None and self._candidate is None:
            return None
        if self._window is None:
            self._window = Window(self.device)
        window = self._window.add(block)
        began = time.perf_counter_ns()
        score = self._current_score(window)
        took = time.perf_counter_ns() - began
        if score is not None:
            self.tally.add(score, took)
        if self._candidate is not None and self._trial is not None:
            self._try(self._candidate, self._trial, window, score, took)
        return score

    def _current_score(self, window: Block) -> float | None:
        try:
            return self.current.score(window) if self.current else None
        except FAILURES as error:
            self._fallen(self, f"{type(error).__name__}: {error}")
            return None

    def _try(
        self, candidate: Scorer, trial: Trial, window: Block, old: float | None, old_ns: int
    ) -> None:
        if self._before_first is not None:
            if not self._before_first():
                self.end_trial()
                return
            self._before_first = None
        began = time.perf_counter_ns()
        try:
            new = candidate.score(window)
        except FAILURES as error:
            trial.fail(f"{type(error).__name__}: {error}")
            return
        trial.observe(old, old_ns, new, time.perf_counter_ns() - began)
