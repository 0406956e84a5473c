"""The agent's disk: every batch is here before it is published, until the cloud has its effects.

One SQLite file. What the spool promises:
- a batch that `append` returned for survives a power cut;
- batches come back in the order (boot epoch, number);
- only an acknowledgement, or the byte cap, removes one;
- boot epochs never repeat, even when the disk is lost: they start at the clock's seconds.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batch (
  boot_epoch INTEGER NOT NULL,
  number INTEGER NOT NULL,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (boot_epoch, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


# What an INTEGER of SQLite holds.
_LARGEST: Final = (1 << 63) - 1


class SpoolError(OSError):
    """The spool's file cannot be opened: no rights, no disk, or another agent has it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A message as it will be published, but for Sparkplug's `seq`."""

    boot_epoch: int
    number: int
    topic: str
    payload: bytes

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the order."""
        return self.boot_epoch, self.number


class Spool:
    """The batches of one edge node. Not for several threads at once."""

    def __init__(self, path: Path, max_bytes: int = 1 << 30, now: float | None = None) -> None:
        """Open or make the spool and begin a new boot epoch.

        A file that SQLite cannot read is moved aside as `{name}.corrupt-{epoch}` and said in the
        log. `max_bytes` bounds the payloads; beyond it the oldest are dropped and counted.

        Raises:
            SpoolError: the file cannot be opened, or another agent has it open.
        """
        self._path, self._max_bytes = path, max_bytes
        clock = int(time.time() if now is None else now)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open_sound(clock)
        except (sqlite3.OperationalError, OSError) as error:
            raise SpoolError(f"{path}: {error}; is another agent of this node running?") from error
        # Since the start.
        self.dropped = self.acknowledged = 0
        self.boot_epoch = self._count("boot_epoch", max(clock, self._counter("boot_epoch") + 1))
        self._last = 0
        row = self._database.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM batch"
        ).fetchone()
        self.depth, self.bytes = int(row[0]), int(row[1])

    def _open_sound(self, clock: int) -> None:
        try:
            self._database = self._open()
        except sqlite3.OperationalError:
            # The disk or another agent, not what is in the file: a spool is never moved for that.
            raise
        except sqlite3.DatabaseError as error:
            aside = f"{self._path.name}.corrupt-{clock}"
            log.error("spool is corrupt and was moved aside", reason=str(error), file=aside)
            for suffix in ("-wal", "-shm", ""):
                file = self._path.with_name(self._path.name + suffix)
                if file.exists():
                    file.rename(file.with_name(aside + suffix))
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self._path, timeout=1.0, isolation_level=None, check_same_thread=False
        )
        try:
            # One agent a spool; the lock goes with the process, however that ends.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            # KiB: batches are written once and read once.
            database.execute("PRAGMA cache_size = -256")
            if database.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("quick_check failed")
            database.executescript(SCHEMA)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _counter(self, name: str) -> int:
        row = self._database.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else -1

    def _count(self, name: str, value: int) -> int:
        self._database.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (name, value))
        return value

    def next_bd_seq(self) -> int:
        """Return the next birth/death sequence, 0 to 255, kept over restarts."""
        return self._count("bd_seq", (self._counter("bd_seq") + 1) % 256)

    @property
    def first_batch(self) -> int:
        """The lowest number of this boot epoch still here or to come."""
        row = self._database.execute(
            "SELECT min(number) FROM batch WHERE boot_epoch = ?", (self.boot_epoch,)
        ).fetchone()
        return int(row[0]) if row[0] is not None else self._last + 1

    def append(self, batches: Sequence[Batch]) -> None:
        """Keep batches, durably, in one transaction.

        Raises:
            sqlite3.OperationalError: the disk is full or gone; nothing was kept.
        """
        if not batches:
            return
        size = sum(len(b.payload) for b in batches)
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "INSERT INTO batch VALUES (?, ?, ?, ?)",
                [(b.boot_epoch, b.number, b.topic, b.payload) for b in batches],
            )
            dropped, freed = self._drop_oldest(self.bytes + size)
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._last = max(b.number for b in batches)
        self.depth += len(batches) - dropped
        self.bytes += size - freed
        self.dropped += dropped
        if dropped:
            log.error("spool is full, the oldest batches were dropped", dropped=dropped)

    def after(self, key: tuple[int, int], limit: int) -> list[Batch]:
        """Return up to `limit` batches that come after `key`, in order."""
        return self._batches(
            "WHERE (boot_epoch, number) > (?, ?) ORDER BY boot_epoch, number LIMIT ?", (*key, limit)
        )

    def range(self, boot_epoch: int, first: int, last: int, limit: int) -> list[Batch]:
        """Return up to `limit` batches of a boot epoch from `first` to `last` still here."""
        return self._batches(
            "WHERE boot_epoch = ? AND number BETWEEN ? AND ? ORDER BY number LIMIT ?",
            (boot_epoch, first, last, limit),
        )

    def acknowledge(self, boot_epoch: int, number: int) -> int:
        """Delete the batches of a boot epoch up to `number`; return how many there were."""
        values = (min(boot_epoch, _LARGEST), min(number, _LARGEST))
        where = "WHERE boot_epoch = ? AND number <= ?"
        count, size = self._database.execute(
            f"SELECT count(*), coalesce(sum(length(payload)), 0) FROM batch {where}", values
        ).fetchone()
        if count:
            self._database.execute(f"DELETE FROM batch {where}", values)
            self.depth -= count
            self.bytes -= size
            self.acknowledged += count
        return int(count)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _batches(self, where: str, values: Iterable[int]) -> list[Batch]:
        rows = self._database.execute(
            f"SELECT boot_epoch, number, topic, payload FROM batch {where}",
            tuple(min(value, _LARGEST) for value in values),
        )
        return [Batch(*row) for row in rows]

    def _drop_oldest(self, size: int) -> tuple[int, int]:
        """Make room down to nine tenths of the cap, oldest first; return batches and bytes."""
        if size <= self._max_bytes:
            return 0, 0
        target, dropped, freed = self._max_bytes * 9 // 10, 0, 0
        last = (0, 0)
        for epoch, number, length in self._database.execute(
            "SELECT boot_epoch, number, length(payload) FROM batch ORDER BY boot_epoch, number"
        ):
            if size - freed <= target:
                break
            last, dropped, freed = (epoch, number), dropped + 1, freed + length
        self._database.execute("DELETE FROM batch WHERE (boot_epoch, number) <= (?, ?)", last)
        return dropped, freed
