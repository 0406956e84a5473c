"""Notice that a message of a node without batch numbers does not come (Sparkplug 3.0, 5.9).

Such a node cannot be asked for what is missing, only for its births, with which all is known again.
"""

from __future__ import annotations

from typing import Self

from stream_processor.sparkplug import parse

REORDER_TIMEOUT_S = 5.0
NUMBERS = 256
SEQUENCED = frozenset({"NBIRTH", "DBIRTH", "NDATA", "DDATA", "DDEATH"})


class Reordering:
    """The `seq` of one node. Messages are not held: each has the time of its samples."""

    def __init__(self, timeout_s: float = REORDER_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._expected: int | None = None
        self._missing: set[int] = set()
        # When what is missing is given up, in seconds since the epoch.
        self.due: float | None = None

    def hear(self, kind: str, payload: bytes, now: float) -> None:
        """Take a message of a `SEQUENCED` kind.

        Raises:
            BadInputError: it is no Sparkplug payload.
        """
        sequence = parse(payload, needs_metrics=False).seq % NUMBERS
        if kind == "NBIRTH":
            self._missing.clear()
            self._expected, self.due = (sequence + 1) % NUMBERS, None
        elif self._expected is not None:
            self._see(sequence, self._expected, now)

    def _see(self, sequence: int, expected: int, now: float) -> None:
        if sequence != expected and sequence in self._missing:
            self._missing.discard(sequence)
            if not self._missing:
                self.due = None
            return
        ahead = (sequence - expected) % NUMBERS
        if ahead >= NUMBERS // 2:
            # It was told before.
            return
        self._missing.update((expected + step) % NUMBERS for step in range(ahead))
        if ahead and self.due is None:
            self.due = now + self._timeout_s
        self._expected = (sequence + 1) % NUMBERS

    def overdue(self, now: float) -> bool:
        """Return whether births are to be asked for; what was missing is forgotten then."""
        if self.due is None or now < self.due:
            return False
        self._missing.clear()
        self.due = None
        return True

    def state(self) -> tuple[int | None, list[int], float | None]:
        """Return the state as values of built-in types."""
        return self._expected, sorted(self._missing), self.due

    @classmethod
    def restore(cls, state: tuple[int | None, list[int], float | None]) -> Self:
        """Return what `state` wrote."""
        self = cls()
        self._expected, missing, self.due = state
        self._missing = set(missing)
        return self
