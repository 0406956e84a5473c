"""What each step took in the last minutes, in slots of five seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from stream_processor.v1.status_pb2 import ProcessorStatus

SLOT_S = 5.0
SLOTS = 60
# What was done in a slot is told after it: every process spoke again by then.
SETTLED_S = 2.0


@dataclass(slots=True)
class _Taken:
    items: float = 0.0
    dead_letters: float = 0.0


class History:
    """Sums over all processes and partitions; times are seconds of one clock."""

    def __init__(self) -> None:
        # By number of the slot and name of the step.
        self._slots: dict[int, defaultdict[str, _Taken]] = {}
        self._first: int | None = None

    def clear(self) -> None:
        """Begin anew."""
        self._slots.clear()
        self._first = None

    def add(
        self, start_s: float, end_s: float, before: ProcessorStatus, after: ProcessorStatus
    ) -> None:
        """Add what a process did between two of its words, spread evenly over that time."""
        first, last = int(start_s // SLOT_S), int(end_s // SLOT_S)
        if self._first is None:
            self._first = first
        done = _done(before, after)
        for slot in range(max(first, last - SLOTS), last + 1):
            overlap = min(end_s, (slot + 1) * SLOT_S) - max(start_s, slot * SLOT_S)
            share = overlap / (end_s - start_s) if end_s > start_s else 1.0
            steps = self._slots.setdefault(slot, defaultdict(_Taken))
            for step, taken in done.items():
                steps[step].items += taken.items * share
                steps[step].dead_letters += taken.dead_letters * share
        for slot in [slot for slot in self._slots if slot < last - SLOTS]:
            del self._slots[slot]

    def rates(self, step: str, now_s: float) -> Sequence[float]:
        """Return items a second of each slot that is over and was heard of whole."""
        if self._first is None:
            return []
        current = int((now_s - SETTLED_S) // SLOT_S)
        return [
            self._of(slot, step).items / SLOT_S
            for slot in range(max(self._first + 1, current - SLOTS), current)
        ]

    def dead_letters(self, step: str, now_s: float) -> int:
        """Return how many there were in the slots that are kept, that of now among them."""
        current = int(now_s // SLOT_S)
        slots = range(current - SLOTS, current + 1)
        return round(sum(self._of(slot, step).dead_letters for slot in slots))

    def _of(self, slot: int, step: str) -> _Taken:
        steps = self._slots.get(slot)
        return steps.get(step, _Taken()) if steps else _Taken()


def _done(before: ProcessorStatus, after: ProcessorStatus) -> dict[str, _Taken]:
    done: defaultdict[str, _Taken] = defaultdict(_Taken)
    for sign, status in ((-1, before), (1, after)):
        for partition in status.partitions:
            for step in partition.steps:
                done[step.name].items += sign * step.items
                done[step.name].dead_letters += sign * step.dead_letters
    return done
