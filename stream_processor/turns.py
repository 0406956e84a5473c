"""Let the boots of one edge node speak one after the other.

The order of batches within a boot is its `Sequence`'s. A birth says what the spool still has of the
boots before; until that has come, or is given up, what a later boot says is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from stream_processor.sequence import Sequence

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Whose turn it is among the sequences of boot epochs, which it shares with its owner."""

    def __init__(self, sequences: Mapping[int, Sequence[Item]]) -> None:
        self._sequences = sequences
        # Boot epochs that have not said all that was told of them.
        self._owing = {epoch for epoch, sequence in sequences.items() if sequence.owes}

    def tell(self, last: Mapping[int, int]) -> None:
        """Take the last number that each earlier boot has in the spool; others have none."""
        for epoch, sequence in self._sequences.items():
            sequence.told = last.get(epoch, 0)
        self._owing = {epoch for epoch, sequence in self._sequences.items() if sequence.owes}

    def expect(self, epoch: int, now: float) -> None:
        """Begin to wait for earlier boots: a batch of `epoch` came, and theirs come before it."""
        if self._owing and self.must_wait(epoch):
            for earlier in self._owing:
                if earlier < epoch:
                    self._sequences[earlier].expect(now)

    def must_wait(self, epoch: int) -> bool:
        """Return whether an earlier boot is to speak before `epoch`."""
        self._owing = {e for e in self._owing if e in self._sequences and self._sequences[e].owes}
        return min(self._owing, default=epoch) < epoch

    def release(self, epoch: int) -> tuple[int, list[tuple[int, Item]]]:
        """Advance a boot epoch, and those that waited for it.

        Returns how many batches the edge node said are lost, and those that came, in order.
        """
        lost = 0
        found: list[tuple[int, Item]] = []
        later = sorted(e for e in self._sequences if e > epoch) if self._owing else []
        for turn in (epoch, *later):
            if self.must_wait(turn):
                break
            told, released = self._sequences[turn].release()
            lost += told
            found += released
        return lost, found
