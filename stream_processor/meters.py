"""What the processor is doing at the moment, of this process and since its start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream_processor.log_reader import Lag
from stream_processor.recovery import size_bytes
from stream_processor.watermarks import Delay, Watermarks

NOTHING = Lag(0, 0.0)


@dataclass(slots=True)
class StepMeter:
    """Items that a step took, the seconds it worked on them, and the dead letters it made.

    One thread adds to it, that of its partition; others read.
    """

    items: int = 0
    seconds: float = 0.0
    dead_letters: int = 0

    def worked(self, items: int, seconds: float, dead_letters: int = 0) -> None:
        """Add what the step did."""
        self.items += items
        self.seconds += seconds
        self.dead_letters += dead_letters


@dataclass(frozen=True, slots=True)
class PartitionMeter:
    """Whether this process has a partition, what of it is still to be taken, and its state.

    `delay` is how far its devices lie behind by event time.
    """

    held: bool
    lag: Lag
    state_bytes: int
    delay: Delay


class Meters:
    """Steps and partitions of a process; safe to write to and to read from any thread."""

    def __init__(self, state_of: Callable[[int], Path]) -> None:
        self._state_of = state_of
        self.watermarks = Watermarks()
        self._lags: dict[int, Callable[[float], Lag] | None] = {}
        self._steps: dict[tuple[int, str], StepMeter] = {}
        self._lock = threading.Lock()

    def expect(self, partition: int) -> None:
        """Know of a partition that is to be read."""
        with self._lock:
            self._lags.setdefault(partition, None)

    def reading(self, partition: int, lag: Callable[[float], Lag]) -> None:
        """Know how far behind a partition is that is read from now on."""
        with self._lock:
            self._lags[partition] = lag

    def step(self, partition: int, name: str) -> StepMeter:
        """Return the meter of a step that works on a partition."""
        with self._lock:
            return self._steps.setdefault((partition, name), StepMeter())

    def steps(self) -> dict[str, StepMeter]:
        """Return what each step did since the start, in the order in which they were built."""
        total: dict[str, StepMeter] = {}
        for (_, name), meter in self._known():
            total.setdefault(name, StepMeter()).worked(
                meter.items, meter.seconds, meter.dead_letters
            )
        return total

    def steps_of(self, partition: int) -> dict[str, StepMeter]:
        """Return what each step did with a partition since the start."""
        return {name: meter for (of, name), meter in self._known() if of == partition}

    def _known(self) -> list[tuple[tuple[int, str], StepMeter]]:
        with self._lock:
            return list(self._steps.items())

    def partitions(self) -> dict[int, PartitionMeter]:
        """Return how each partition is doing."""
        now_ms = time.time() * 1000
        with self._lock:
            lags = sorted(self._lags.items())
        return {
            partition: PartitionMeter(
                lag is not None,
                lag(now_ms) if lag is not None else NOTHING,
                size_bytes(self._state_of(partition)),
                self.watermarks.delay(partition, now_ms),
            )
            for partition, lag in lags
        }
