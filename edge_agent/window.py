"""What is on its way: published, and not yet acknowledged by the cloud."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from edge_agent.store.spool import Batch, Hole

# Seconds without an acknowledgement after which the newest batch goes again, at first and at most.
PROBE_S: Final = 30.0
MAX_PROBE_S: Final = 300.0


def probe_waits() -> Iterator[float]:
    """Yield how long to wait before each further probe, in seconds: ever longer."""
    wait_s = PROBE_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, MAX_PROBE_S)


class Window:
    """Bounds what the log may hold of this node that has no effects yet.

    A processor that is too slow, or away, acknowledges nothing: the log then grows by no more than
    the window, and the rest waits in the spool, which has its own bounds and priorities.
    """

    def __init__(self, max_batches: int, max_bytes: int) -> None:
        """Begin with nothing on its way; 0 is no limit."""
        self._max_batches, self._max_bytes = max_batches, max_bytes
        # In the order of their keys, which is that of publishing.
        self._entries: deque[tuple[tuple[int, int], int]] = deque()
        self.bytes = 0
        # Set by an acknowledgement.
        self.moved = asyncio.Event()

    @property
    def batches(self) -> int:
        """Batches, and holes that were told, on their way."""
        return len(self._entries)

    def room(self, batches: int, size: int) -> tuple[int, int]:
        """Return how many of `batches` and of `size` bytes may go now; one of them 0 if none may.

        A batch larger than the bytes that are left goes whole.
        """
        if self._max_batches:
            batches = min(batches, self._max_batches - self.batches)
        if self._max_bytes:
            size = min(size, self._max_bytes - self.bytes)
        return max(batches, 0), max(size, 0)

    def add(self, entries: Iterable[Batch | Hole]) -> None:
        """Take what is being published, in order."""
        for entry in entries:
            size = len(entry.payload) if isinstance(entry, Batch) else 0
            self._entries.append((entry.key, size))
            self.bytes += size

    def acknowledge(self, boot_epoch: int, number: int) -> None:
        """Let go of what is up to a batch, and of earlier boots: these took effect before."""
        while self._entries and self._entries[0][0] <= (boot_epoch, number):
            self.bytes -= self._entries.popleft()[1]
        self.moved.set()

    def clear(self) -> None:
        """Begin anew, since a new session publishes again what was not acknowledged."""
        self._entries.clear()
        self.bytes = 0
