"""Measure what a step of the dataflow does, whatever it does."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from bytewax.operators import StatefulBatchLogic

from stream_processor.meters import Meters

Taken = TypeVar("Taken")
Made = TypeVar("Made")


class MeteredLogic(StatefulBatchLogic[Taken, Made, Any]):
    """A step's logic with its items and its time on a meter."""

    def __init__(
        self, logic: StatefulBatchLogic[Taken, Made, Any], step: str, meters: Meters
    ) -> None:
        self._logic = logic
        self._step = step
        self._meters = meters

    def on_batch(self, values: list[Taken]) -> tuple[Iterable[Made], bool]:
        """Take items and note how long it took."""
        began = time.perf_counter()
        made = self._logic.on_batch(values)
        self._meters.worked(self._step, len(values), time.perf_counter() - began)
        return made

    def on_notify(self) -> tuple[Iterable[Made], bool]:
        """Do what is due and note how long it took."""
        began = time.perf_counter()
        made = self._logic.on_notify()
        self._meters.worked(self._step, 0, time.perf_counter() - began)
        return made

    def on_eof(self) -> tuple[Iterable[Made], bool]:
        """Do what is to be done at the end."""
        return self._logic.on_eof()

    def notify_at(self) -> datetime | None:
        """Return when something is due."""
        return self._logic.notify_at()

    def snapshot(self) -> Any:
        """Return the state."""
        return self._logic.snapshot()
