"""Measure what a step of the dataflow does, whatever it does."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from bytewax.inputs import StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import StatefulSinkPartition

from stream_processor.messages import SetAside
from stream_processor.meters import StepMeter
from stream_processor.v1.dead_letter_pb2 import DEAD_LETTER_REASON_REPLAYED

Taken = TypeVar("Taken")
Made = TypeVar("Made")


def _dead_letters(made: Iterable[object]) -> int:
    """Return how many of them are dead letters; the receipt of a replay is none."""
    return sum(
        isinstance(item, SetAside) and item.letter.reason != DEAD_LETTER_REASON_REPLAYED
        for item in made
    )


class MeteredLogic(StatefulBatchLogic[Taken, Made, Any]):
    """A step's logic with its items, its time and its dead letters on a meter."""

    def __init__(self, logic: StatefulBatchLogic[Taken, Made, Any], meter: StepMeter) -> None:
        self._logic = logic
        self._meter = meter

    def on_batch(self, values: list[Taken]) -> tuple[Iterable[Made], bool]:
        """Take items and note how long it took."""
        began = time.perf_counter()
        made, discard = self._logic.on_batch(values)
        found = made if isinstance(made, list) else list(made)
        self._meter.worked(len(values), time.perf_counter() - began, _dead_letters(found))
        return found, discard

    def on_notify(self) -> tuple[Iterable[Made], bool]:
        """Do what is due and note how long it took."""
        began = time.perf_counter()
        made, discard = self._logic.on_notify()
        found = made if isinstance(made, list) else list(made)
        self._meter.worked(0, time.perf_counter() - began, _dead_letters(found))
        return found, discard

    def on_eof(self) -> tuple[Iterable[Made], bool]:
        """Do what is to be done at the end."""
        return self._logic.on_eof()

    def notify_at(self) -> datetime | None:
        """Return when something is due."""
        return self._logic.notify_at()

    def snapshot(self) -> Any:
        """Return the state."""
        return self._logic.snapshot()


class MeteredSource(StatefulSourcePartition[Made, Any]):
    """A partition of a source with what it gave, and the time that took, on a meter."""

    def __init__(self, source: StatefulSourcePartition[Made, Any], meter: StepMeter) -> None:
        self._source = source
        self._meter = meter

    def next_batch(self) -> Iterable[Made]:
        """Return what is there and note how long it took."""
        began = time.perf_counter()
        found = list(self._source.next_batch())
        self._meter.worked(len(found), time.perf_counter() - began)
        return found

    def next_awake(self) -> datetime | None:
        """Return when to ask again."""
        return self._source.next_awake()

    def snapshot(self) -> Any:
        """Return the position."""
        return self._source.snapshot()

    def close(self) -> None:
        """End."""
        self._source.close()


class MeteredSink(StatefulSinkPartition[Taken, Any]):
    """A partition of a sink with what it wrote, and the time that and confirmation took."""

    def __init__(self, sink: StatefulSinkPartition[Taken, Any], meter: StepMeter) -> None:
        self._sink = sink
        self._meter = meter

    def write_batch(self, values: list[Taken]) -> None:
        """Write items and note how long it took."""
        began = time.perf_counter()
        self._sink.write_batch(values)
        self._meter.worked(len(values), time.perf_counter() - began)

    def snapshot(self) -> Any:
        """Return the state and note how long it took: what was written is confirmed then."""
        began = time.perf_counter()
        state = self._sink.snapshot()
        self._meter.worked(0, time.perf_counter() - began)
        return state

    def close(self) -> None:
        """End."""
        self._sink.close()
