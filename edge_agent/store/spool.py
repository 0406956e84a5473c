"""The agent's disk: every batch is here before it is published, until the cloud has its effects.

One SQLite file. What the spool promises:
- a batch that `append` returned for survives a power cut;
- batches come back in the order (boot epoch, number), and so do the holes that dropped ones left;
- only an acknowledgement or a cap removes one, and what a cap removed is told as a hole;
- boot epochs never repeat as long as the spool, or the file beside it, is there; when both are lost
  they start at the clock's seconds.
"""

from __future__ import annotations

import os
import sqlite3
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import structlog

from edge_agent.store import boots, database, room
from edge_agent.store.ballast import Ballast
from edge_agent.store.contents import STEP, Contents, Read
from edge_agent.store.database import MAX_NUMBER, NUMBER_BITS, DamagedError, Row, move_aside
from edge_agent.store.options import SpoolOptions
from edge_agent.store.policy import KINDS, Kind
from edge_agent.store.ranges import Range
from edge_agent.store.restore import restore
from edge_agent.store.room import Dropped

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# What an INTEGER of SQLite holds.
LARGEST: Final = (1 << 63) - 1
# Told of at once.
_HOLES: Final = 256
_BOOTS: Final = 128

# A boot epoch, and the lowest and the highest number that is here or known as lost.
Span = tuple[int, int, int]


class SpoolError(OSError):
    """The spool's file cannot be opened: no rights, no disk, or another agent has it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A message as it will be published, but for Sparkplug's `seq`."""

    boot_epoch: int
    number: int
    topic: str
    payload: bytes
    kind: Kind = "data"
    # How long it had been in the spool when it was read, in seconds of the agent's running time.
    waited_s: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the order."""
        return self.boot_epoch, self.number


@dataclass(frozen=True, slots=True)
class Hole:
    """Batches of a boot epoch, from `first` to `last`, that are lost."""

    boot_epoch: int
    first: int
    last: int

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the order: all of it has passed when this has."""
        return self.boot_epoch, self.last


def disk_space(folder: Path) -> tuple[int, int]:
    """Return the bytes that are free for this process in a folder's file system, and its size."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


class Spool:
    """The batches of one edge node. Not for several threads at once."""

    def __init__(
        self,
        path: Path,
        options: SpoolOptions = SpoolOptions(),  # noqa: B008 (it is frozen)
        *,
        now: float | None = None,
        running: Callable[[], float] = time.monotonic,
        space: Callable[[Path], tuple[int, int]] = disk_space,
    ) -> None:
        """Open or make the spool and begin a new boot epoch.

        A file that SQLite finds damaged is moved aside as `{name}.corrupt-{time}`; what can be
        read of it is kept, and the rest known as holes. `now` is the wall clock and used for the
        boot epoch alone; `running` counts seconds whatever happens to the wall clock.

        Raises:
            SpoolError: the file cannot be opened, or another agent has it open.
        """
        self._path, self._options = path, options
        self._running, self._space = running, space
        self._stamp = int(time.time() if now is None else now)
        # Since the start, by kind (None: it could not be read) and reason.
        self.dropped: Dropped = Counter()
        self.acknowledged = 0
        # Size of the file's pages in use.
        self.bytes = 0
        # The last number kept or known as lost, and the last acknowledged of each boot.
        self._last = 0
        self._said: dict[int, int] = {}
        self._know({})
        self._started, self._age_s = running(), 0
        self._ballast = Ballast(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._contents = Contents(path)
                self._know(self._contents.boots())
            except (DamagedError, sqlite3.DatabaseError) as error:
                if isinstance(error, sqlite3.Error) and not database.is_damage(error):
                    # The disk or another agent, not what is in the file: it is never moved.
                    raise
                self._salvage(str(error))
            self.boot_epoch = self._sound(self._begin)
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"{path}: {error}; is another agent of this node running?") from error

    @property
    def depth(self) -> int:
        """Batches, and holes, without acknowledgement."""
        return self._contents.kinds.total() + self._contents.holes

    def next_bd_seq(self) -> int:
        """Return the next birth/death sequence, 0 to 255, kept over restarts."""
        return self._sound(self._next_bd_seq)

    def _next_bd_seq(self) -> int:
        following = (self._contents.counter("bd_seq") + 1) % 256
        self._contents.put_counter("bd_seq", following)
        return following

    @property
    def first_batch(self) -> int:
        """The lowest number of this boot epoch still here, known as lost, or to come."""
        low, high = self._id(self.boot_epoch, 0), self._id(self.boot_epoch, MAX_NUMBER)
        first = self._sound(lambda: self._contents.first(low, high))
        return self._last + 1 if first is None else first & MAX_NUMBER

    @property
    def earlier(self) -> list[Span]:
        """What earlier boots left, oldest first; the oldest 128, so that a birth stays small."""
        return self._sound(self._earlier)

    def append(self, batches: Sequence[Batch], lost: Sequence[Range] = ()) -> None:
        """Keep batches of this boot epoch, durably, in one transaction.

        Room is made for them as configured; they may be what is dropped themselves. `lost` are
        ranges of numbers that never came here.

        Raises:
            sqlite3.OperationalError: the disk is full or gone; nothing was kept.
        """
        if batches or lost:
            self._sound(self._append, batches, lost)

    def after(self, key: tuple[int, int], count: int, size: int = LARGEST) -> list[Batch | Hole]:
        """Return what comes after `key`, in order: up to `count` batches of about `size` bytes.

        One batch is returned whatever its size, when there is one.
        """
        return self._sound(self._after, self._id(*key), count, size)

    def range(
        self, boot_epoch: int, first: int, last: int, count: int, size: int = LARGEST
    ) -> list[Batch]:
        """Return the batches of a boot epoch from `first` to `last` still here, up to a limit."""
        if boot_epoch not in self._ordinals:
            return []
        low, high = self._id(boot_epoch, first), self._id(boot_epoch, last)
        return [self._batch(row) for row in self._sound(self._read, low, high, count, size).rows]

    def acknowledge(self, boot_epoch: int, number: int) -> int:
        """Delete the batches and holes of a boot epoch up to `number`; return how many batches.

        Raises:
            sqlite3.OperationalError: the disk is full or gone; some may be deleted.
        """
        if boot_epoch not in self._ordinals:
            return 0
        self._said[boot_epoch] = max(number, self._said.get(boot_epoch, 0))
        return self._sound(self._acknowledge, boot_epoch, number)

    def close(self) -> None:
        """Close the file."""
        self._contents.close()

    def _sound(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do work; when the file turns out to be damaged, save what can be and do it again."""
        try:
            return work(*arguments, **named)
        except (DamagedError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.Error) and not database.is_damage(error):
                if not database.is_full(error) or not self._ballast.drop():
                    raise
                log.error("the disk is full, ballast was dropped")
            else:
                self._contents.close()
                self._salvage(str(error))
            return work(*arguments, **named)

    def _know(self, boots: Mapping[int, int]) -> None:
        """Take over which boot epoch each ordinal stands for."""
        self._boots = dict(boots)
        self._ordinals = {epoch: ordinal for ordinal, epoch in boots.items()}
        self._epochs = sorted(self._ordinals)

    def _salvage(self, reason: str) -> None:
        """Put a new file in place of the damaged one, with what can be read of it."""
        aside = move_aside(self._path, self._stamp)
        self._contents = Contents(self._path)
        told = {**boots.read(boots.beside(self._path)), **self._boots}
        spans = {}
        if self._last:
            ordinal = self._ordinals[self.boot_epoch]
            # What was here of this boot is known from memory, whatever became of the file.
            first = self._said.get(self.boot_epoch, 0) + 1
            spans[ordinal] = (ordinal << NUMBER_BITS | first, ordinal << NUMBER_BITS | self._last)
        restored = restore(aside, self._contents, told, spans)
        self._know(restored.boots)
        self.dropped[None, "damage"] += restored.lost
        log.error(
            "spool is damaged and was moved aside",
            reason=reason,
            file=aside.name,
            saved=self.depth,
            lost=restored.lost,
        )

    def _begin(self) -> int:
        """Begin a boot epoch above all that are known."""
        contents = self._contents
        known = {**boots.read(boots.beside(self._path)), **self._boots}
        epoch = max([self._stamp, *(before + 1 for before in known.values())])
        there = {
            n: before
            for n, before in self._boots.items()
            if contents.first(n << NUMBER_BITS, n << NUMBER_BITS | MAX_NUMBER) is not None
        }
        there[max(known, default=0) + 1] = epoch
        with contents.transaction():
            contents.put_boots(there)
        self._know(there)
        try:
            boots.write(boots.beside(self._path), there)
        except OSError as error:
            log.error("boot epochs could not be written beside the spool", reason=str(error))
        self._ballast.make(self._space(self._path.parent)[0])
        self._age_s, self.bytes = contents.newest_made_s(), contents.used_bytes
        return epoch

    def _id(self, boot_epoch: int, number: int) -> int:
        """Return the id of a batch, or the place before all later ones when its boot is gone."""
        place = bisect_left(self._epochs, boot_epoch)
        if place == len(self._epochs):
            return LARGEST
        epoch = self._epochs[place]
        within = min(max(number, 0), MAX_NUMBER) if epoch == boot_epoch else 0
        return self._ordinals[epoch] << NUMBER_BITS | within

    def _made_s(self) -> int:
        # Seconds of the agent's running time, over all its starts: no clock that can be set.
        return self._age_s + int(self._running() - self._started)

    def _earlier(self) -> list[Span]:
        spans: list[Span] = []
        for ordinal, epoch in sorted(self._boots.items()):
            low, high = ordinal << NUMBER_BITS, ordinal << NUMBER_BITS | MAX_NUMBER
            first, last = self._contents.first(low, high), self._contents.last(low, high)
            if first is not None and last is not None and epoch != self.boot_epoch:
                spans.append((epoch, first & MAX_NUMBER, last & MAX_NUMBER))
        return spans[:_BOOTS]

    def _append(self, batches: Sequence[Batch], lost: Sequence[Range]) -> None:
        contents, made_s = self._contents, self._made_s()
        base = self._ordinals[self.boot_epoch] << NUMBER_BITS
        rows: list[Row] = [
            (base | b.number, KINDS.index(b.kind), made_s, b.topic, b.payload) for b in batches
        ]
        dropped: Dropped = Counter()
        with contents.transaction():
            if self._options.max_age_h:
                dropped += room.expire(contents, made_s - int(self._options.max_age_h * 3600))
            free, total = self._space(self._path.parent)
            limit = room.limit(contents, self._options, free, total)
            dropped += room.insert(contents, rows, limit, self._options.drop_first)
            contents.add_holes((base | first, base | last) for first, last in lost)
        self._ballast.make(free)
        self.bytes = contents.used_bytes
        self._last = max([self._last, *(b.number for b in batches), *(last for _, last in lost)])
        if dropped:
            self.dropped += dropped
            log.error(
                "batches were dropped to make room",
                **{f"{kind}_for_{reason}": count for (kind, reason), count in dropped.items()},
            )

    def _read(self, low: int, high: int, count: int, size: int) -> Read:
        """Read batches; delete those that are damaged, so that what asks for them hears so."""
        found = self._contents.read(low, high, count, size)
        strange = [row[0] for row in found.rows if row[0] >> NUMBER_BITS not in self._boots]
        damaged = found.damaged + strange
        if damaged:
            with self._contents.transaction(durable=False):
                self._contents.delete_damaged(damaged)
            self.dropped[None, "damage"] += len(damaged)
            log.error("damaged batches were dropped", dropped=len(damaged))
        rows = [row for row in found.rows if row[0] >> NUMBER_BITS in self._boots]
        return Read(rows, damaged, found.cut)

    def _after(self, low: int, count: int, size: int) -> list[Batch | Hole]:
        if low >= LARGEST:
            return []
        found = self._read(low + 1, LARGEST, count, size)
        while found.cut and not found.rows:
            found = self._read(low + 1, LARGEST, count, size)
        end = found.rows[-1][0] if found.cut else LARGEST
        holes = self._contents.holes_between(low + 1, end, _HOLES)
        if len(holes) >= _HOLES:
            end = holes[-1][1]
        entries: dict[int, Batch | Hole] = {
            row[0]: self._batch(row) for row in found.rows if row[0] <= end
        }
        for first, last in holes:
            epoch = self._boots.get(first >> NUMBER_BITS)
            if epoch is not None:
                entries[first] = Hole(epoch, first & MAX_NUMBER, last & MAX_NUMBER)
        return [entry for _, entry in sorted(entries.items(), key=lambda item: item[0])]

    def _batch(self, row: Row) -> Batch:
        identity, kind, made_s, topic, payload = row
        epoch, waited_s = self._boots[identity >> NUMBER_BITS], max(0, self._made_s() - made_s)
        return Batch(epoch, identity & MAX_NUMBER, topic, payload, KINDS[kind], waited_s)

    def _acknowledge(self, boot_epoch: int, number: int) -> int:
        low, high = self._id(boot_epoch, 0), self._id(boot_epoch, number)
        deleted, step = 0, STEP
        while step == STEP:
            # Steps, so that the log stays small when an hour goes at once.
            with self._contents.transaction(durable=False):
                step = self._contents.delete_up_to(low, high)
                if step < STEP:
                    self._contents.close_holes(low, high)
            self.acknowledged += step
            deleted += step
        self.bytes = self._contents.used_bytes
        return deleted
