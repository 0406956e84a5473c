"""Batches that came without the birth that makes them readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stream_processor.arrivals import Arrived, Waiting

# How long a batch waits for its birth, and how many may.
BIRTH_PATIENCE_S = 12.0
MAX_WAITING = 64
# A device that did not announce itself when asked is not waited for again for so long.
BARREN_S = 60.0


class Unborn:
    """What waits for births of one edge node and its devices."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._barren_until: dict[str, float] = {}

    @property
    def count(self) -> int:
        """How many batches wait."""
        return len(self._waiting)

    def add(self, arrived: Arrived, now: float, sequenced: bool) -> tuple[bool, list[Waiting]]:
        """Let a batch wait; `sequenced` when its turn has come.

        Returns whether it waits, and what is given up for want of room or of hope.
        """
        item = Waiting(arrived, now + BIRTH_PATIENCE_S, sequenced)
        if now < self._barren_until.get(arrived.equipment, 0.0):
            return False, [item]
        given_up = [self._waiting.pop(0)] if len(self._waiting) >= MAX_WAITING else []
        self._waiting.append(item)
        return True, given_up

    def born(self, equipment: str) -> None:
        """Hear that a device has announced itself."""
        self._barren_until.pop(equipment, None)

    def take(self, ready: Callable[[Waiting], bool]) -> Iterator[Waiting]:
        """Yield what is `ready`, in the order it came; the rest goes on waiting."""
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            if ready(item):
                yield item
            else:
                self._waiting.append(item)

    def expire(self, now: float) -> list[Waiting]:
        """Return what has waited for too long."""
        late = [w for w in self._waiting if w.deadline <= now]
        self._waiting = [w for w in self._waiting if w.deadline > now]
        self._barren_until = {e: until for e, until in self._barren_until.items() if until > now}
        for item in late:
            if item.sequenced:
                self._barren_until[item.arrived.equipment] = now + BARREN_S
        return late

    @property
    def due(self) -> float | None:
        """When the first has waited for too long, in seconds since the epoch."""
        return min((w.deadline for w in self._waiting), default=None)

    def batches(self, epoch: int) -> list[int]:
        """Return the numbers of a boot epoch's batches that have left the order and wait here."""
        return [
            w.arrived.numbers.batch
            for w in self._waiting
            if w.sequenced
            and w.arrived.numbers.boot_epoch == epoch
            and w.arrived.numbers.batch is not None
        ]

    def state(self) -> list[tuple[Any, ...]]:
        """Return what waits as values of built-in types."""
        return [(w.arrived.plain(), w.deadline, w.sequenced) for w in self._waiting]

    def restore(self, state: list[Any], site: str, edge_node: str, now: float) -> None:
        """Let what `state` wrote wait again; patience starts anew at `now`."""
        self._waiting = [
            Waiting(Arrived.from_plain(plain, site, edge_node), now + BIRTH_PATIENCE_S, sequenced)
            for plain, _, sequenced in state
        ]
