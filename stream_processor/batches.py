"""The numbered batches of one edge node: by boot epoch, in order, each once, none forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stream_processor.arrivals import Arrived
from stream_processor.messages import Mark, Resend
from stream_processor.sequence import Arrival, Sequence
from stream_processor.sparkplug import BadInputError
from stream_processor.spools import Ranges
from stream_processor.turns import Turns
from stream_processor.v1 import dead_letter_pb2 as dl

# More boots than an agent that keeps dying leaves in its spool while the broker is away.
REMEMBERED_EPOCHS = 256


@dataclass(slots=True)
class Turned:
    """What taking something brought: batches whose turn has come, and why it cannot be used."""

    released: list[Arrived] = field(default_factory=list)
    error: BadInputError | None = None


class Batches:
    """The order of one edge node's batches; what is lost and duplicated is counted."""

    def __init__(self, counts: Counter[str]) -> None:
        self.sequences: dict[int, Sequence[Arrived]] = {}
        self.turns = Turns(self.sequences)
        self._counts = counts
        self._marks: dict[int, Mark] = {}
        # Boot epochs of which the node has not heard how far they are durable.
        self._again: set[int] = set()

    def begin(
        self, earlier: dict[int, tuple[int, int]], epoch: int, first: int | None, now: float
    ) -> list[Arrived]:
        """Take what a birth tells: first and last of each earlier boot, and its own first."""
        released: list[Arrived] = []
        for boot, (lowest, _) in sorted(earlier.items()):
            released += self._anchor(boot, lowest, now)
        if first is not None:
            released += self._anchor(epoch, max(1, first), now)
        self.turns.tell({boot: last for boot, (_, last) in earlier.items()})
        # Who waited for a boot of which nothing is left does so no more.
        for boot in sorted(self.sequences):
            released += self._advance(boot)
        return released

    def _anchor(self, epoch: int, first: int, now: float) -> list[Arrived]:
        sequence = self.sequences.get(epoch)
        if sequence is None:
            self._remember(epoch, Sequence(first - 1))
        elif first > sequence.watermark + 1:
            lost, released = sequence.skip_to(first, now)
            self._counts["lost"] += lost
            return [arrived for _, arrived in released]
        return []

    def _remember(self, epoch: int, sequence: Sequence[Arrived]) -> None:
        self.sequences[epoch] = sequence
        while len(self.sequences) > REMEMBERED_EPOCHS:
            oldest = min(other for other in self.sequences if other != epoch)
            del self.sequences[oldest]
            self._marks.pop(oldest, None)

    def _of(self, epoch: int, batch: int, now: float) -> Sequence[Arrived]:
        sequence = self.sequences.get(epoch)
        if sequence is None:
            # An earlier boot's spool: it comes from its lowest batch on.
            sequence = Sequence(batch - 1)
            self._remember(epoch, sequence)
        self.turns.expect(epoch, now)
        return sequence

    def offer(self, arrived: Arrived, now: float) -> Turned:
        """Take a batch."""
        epoch, batch = arrived.numbers.boot_epoch, arrived.numbers.batch or 0
        sequence = self._of(epoch, batch, now)
        match sequence.offer(batch, arrived, len(arrived.message.payload), now):
            case Arrival.DUPLICATE:
                self._counts["duplicated"] += 1
                self._again.add(epoch)
            case Arrival.OVERFLOWED:
                self._counts["overflowed"] += 1
            case Arrival.NONSENSE:
                return Turned(
                    error=BadInputError(
                        dl.DEAD_LETTER_REASON_WRONG_TYPE,
                        f"batch {batch} comes after batch {sequence.watermark}",
                    )
                )
            case Arrival.RELEASED:
                return Turned(self._advance(epoch))
        return Turned()

    def lose(self, arrived: Arrived, ranges: Ranges, now: float) -> Turned:
        """Take what says which batches its edge node no longer has."""
        news, error = False, None
        epoch = arrived.numbers.boot_epoch
        sequence = self._of(epoch, arrived.numbers.batch or 0, now)
        for first, last in ranges:
            match sequence.lose(first, last, now):
                case Arrival.OVERFLOWED:
                    self._counts["overflowed"] += 1
                case Arrival.NONSENSE:
                    error = BadInputError(
                        dl.DEAD_LETTER_REASON_WRONG_TYPE,
                        f"batches {first} to {last} are said to be lost after batch "
                        f"{sequence.watermark}",
                    )
                    break
                case Arrival.RELEASED | Arrival.HELD:
                    news = True
        if not news and error is None:
            # It was not heard that these are behind us.
            self._again.add(epoch)
        return Turned(self._advance(epoch), error)

    def doubt(self) -> None:
        """Hear that something of the node could not be read, whose number is not known either."""
        for sequence in self.sequences.values():
            sequence.in_doubt = True

    def _advance(self, epoch: int) -> list[Arrived]:
        lost, released = self.turns.release(epoch)
        self._counts["lost"] += lost
        return [arrived for _, arrived in released]

    def tick(
        self, site: str, edge_node: str, now: float, patient: bool
    ) -> Iterator[Resend | Arrived]:
        """Yield what is asked for at `now`, and what goes on without what is given up.

        `patient` when nothing can have come.
        """
        for epoch, sequence in sorted(self.sequences.items()):
            if sequence.due is None or now < sequence.due:
                continue
            if patient or self.turns.must_wait(epoch):
                sequence.postpone(now)
                continue
            report = sequence.look(now)
            for first, last in report.requests:
                self._counts["resends"] += 1
                yield Resend(site, edge_node, epoch, first, last)
            if report.requests and sequence.requests == 1:
                self._counts["gaps"] += len(report.requests)
            self._counts["lost"] += report.lost
            yield from self._advance(epoch)

    @property
    def due(self) -> float | None:
        """When `tick` has something to do, in seconds since the epoch; None for never."""
        return min((s.due for s in self.sequences.values() if s.due is not None), default=None)

    def marks(self, site: str, edge_node: str, waiting: Callable[[int], list[int]]) -> list[Mark]:
        """Return how far each boot epoch has come where that is news, or was asked for again.

        `waiting` tells the batches of a boot epoch whose turn has come but that still wait.
        """
        found = []
        for epoch, sequence in sorted(self.sequences.items()):
            batch = min([sequence.watermark + 1, *waiting(epoch)]) - 1
            mark = Mark(site, edge_node, epoch, batch)
            if batch > 0 and (epoch in self._again or self._marks.get(epoch) != mark):
                self._marks[epoch] = mark
                found.append(mark)
        self._again.clear()
        return found

    def reached(self) -> dict[int, int]:
        """Return by boot epoch the last batch that came in order or was given up."""
        return {epoch: sequence.watermark for epoch, sequence in self.sequences.items()}

    def state(self) -> dict[int, tuple[Any, ...]]:
        """Return the sequences as values of built-in types."""
        return {
            epoch: (
                s.watermark,
                s.highest,
                [(batch, a.plain(), size) for batch, (a, size) in s.held.items()],
                list(s.lost),
                s.told,
            )
            for epoch, s in self.sequences.items()
        }

    def restore(self, state: dict[int, Any], site: str, edge_node: str, now: float) -> None:
        """Take over what `state` wrote; patience starts anew at `now`."""
        for epoch, (watermark, highest, held, lost, told) in state.items():
            sequence: Sequence[Arrived] = Sequence(watermark, highest)
            sequence.lost = [(first, last) for first, last in lost]
            sequence.told = told
            for batch, plain, size in held:
                sequence.held[batch] = (Arrived.from_plain(plain, site, edge_node), size)
                sequence.held_bytes += size
            sequence.postpone(now)
            self.sequences[epoch] = sequence
        self.turns = Turns(self.sequences)
