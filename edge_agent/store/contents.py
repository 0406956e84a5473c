"""What an open spool file holds: batches by id, and ranges of ids that were lost."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edge_agent.store import database as files
from edge_agent.store.database import NUMBER_BITS, DamagedError, Row
from edge_agent.store.policy import KINDS, Candidate, Kind
from edge_agent.store.ranges import Range

# What a batch takes beside its topic and payload: its other columns and its place in the index.
OVERHEAD_BYTES: Final = 64
# Deletes of one transaction, so that the log stays small.
STEP: Final = 2000


def size_of(topic: str, payload: bytes) -> int:
    """Return about how many bytes of the file a batch takes."""
    return len(topic) + len(payload) + OVERHEAD_BYTES


def _kind(place: int) -> Kind:
    if not isinstance(place, int) or not 0 <= place < len(KINDS):
        raise DamagedError(f"no kind has the place {place!r}")
    return KINDS[place]


class Read(NamedTuple):
    """Rows in order, the ids of those that are damaged, and whether a limit cut them off."""

    rows: list[Row]
    damaged: list[int]
    cut: bool


class Contents:
    """The tables of one open file, and how many rows they have."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            DamagedError, sqlite3.Error: it cannot be used; see `database.connect`.
        """
        self._database = files.connect(path)
        try:
            self._page_bytes = int(self._one("PRAGMA page_size") or 0)
            self.kinds: Counter[Kind] = Counter(
                {
                    _kind(place): count
                    for place, count in self._database.execute(
                        "SELECT kind, count(*) FROM batch GROUP BY kind"
                    )
                }
            )
            self.holes = int(self._one("SELECT count(*) FROM lost") or 0)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @property
    def used_bytes(self) -> int:
        """Size of the pages in use."""
        return self.file_bytes - int(self._one("PRAGMA freelist_count") or 0) * self._page_bytes

    @property
    def file_bytes(self) -> int:
        """Size of all pages, in use or free."""
        return int(self._one("PRAGMA page_count") or 0) * self._page_bytes

    @contextlib.contextmanager
    def transaction(self, durable: bool = True) -> Iterator[None]:
        """Do all of it or nothing; without `durable` a power cut may undo it."""
        before = self.kinds.copy(), self.holes
        if not durable:
            self._database.execute("PRAGMA synchronous = NORMAL")
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except BaseException:
            self.kinds, self.holes = before
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        finally:
            if not durable:
                self._database.execute("PRAGMA synchronous = FULL")

    def counter(self, name: str) -> int:
        """Return a counter, -1 when it was never put."""
        value = self._one("SELECT value FROM counter WHERE name = ?", name)
        return -1 if value is None else int(value)

    def put_counter(self, name: str, value: int) -> None:
        """Set a counter."""
        self._database.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (name, value))

    def boots(self) -> dict[int, int]:
        """Return boot epochs by ordinal."""
        return dict(self._database.execute("SELECT ordinal, boot_epoch FROM boot"))

    def put_boots(self, boots: Mapping[int, int]) -> None:
        """Replace the boot epochs."""
        self._database.execute("DELETE FROM boot")
        self._database.executemany("INSERT INTO boot VALUES (?, ?)", list(boots.items()))

    def first(self, low: int, high: int) -> int | None:
        """Return the lowest id of a batch or a hole from `low` to `high`."""
        found = [
            self._one(f"SELECT min({key}) FROM {table} WHERE {key} BETWEEN ? AND ?", low, high)
            for key, table in (("id", "batch"), ("first", "lost"))
        ]
        return min((identity for identity in found if identity is not None), default=None)

    def newest_made_s(self) -> int:
        """Return when the newest batch was made, by the age clock."""
        return self._one("SELECT made_s FROM batch ORDER BY id DESC LIMIT 1") or 0

    def insert(self, rows: Iterable[Row], again: bool = False) -> None:
        """Add batches; with `again` leave out those that are here."""
        for identity, kind, made_s, topic, payload in rows:
            added = self._database.execute(
                f"INSERT {'OR IGNORE ' if again else ''}INTO batch VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    identity,
                    kind,
                    made_s,
                    size_of(topic, payload),
                    files.checksum(identity, kind, made_s, topic, payload),
                    topic,
                    payload,
                ),
            )
            self.kinds[_kind(kind)] += added.rowcount

    def read(self, low: int, high: int, count: int, size: int) -> Read:
        """Return the batches from id `low` to `high`: up to `count`, about `size` bytes, one."""
        rows: list[Row] = []
        damaged: list[int] = []
        for identity, kind, made_s, checksum, topic, payload in self._database.execute(
            "SELECT id, kind, made_s, checksum, topic, payload FROM batch"
            " WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (low, high, count + 1),
        ):
            if len(rows) + len(damaged) == count or (rows and size <= 0):
                return Read(rows, damaged, True)
            if isinstance(payload, bytes) and checksum == files.checksum(
                identity, kind, made_s, topic, payload
            ):
                rows.append((identity, kind, made_s, topic, payload))
                size -= size_of(topic, payload)
            else:
                damaged.append(identity)
        return Read(rows, damaged, False)

    def made_before(self, made_s: int, limit: int) -> list[tuple[int, Kind]]:
        """Return the oldest batches, when they were made before `made_s` of the age clock."""
        found = []
        for identity, kind, made in self._database.execute(
            "SELECT id, kind, made_s FROM batch ORDER BY id LIMIT ?", (limit,)
        ):
            if made >= made_s:
                break
            found.append((identity, _kind(kind)))
        return found

    def oldest(self, kind: Kind) -> Iterator[Candidate]:
        """Yield id and size of the batches of a kind, oldest first."""
        for identity, size in self._database.execute(
            "SELECT id, size FROM batch WHERE kind = ? ORDER BY id", (KINDS.index(kind),)
        ):
            if not isinstance(size, int):
                raise DamagedError(f"a batch has the size {size!r}")
            yield identity, size

    def delete(self, identities: Sequence[int], kind: Kind) -> None:
        """Delete batches of one kind."""
        self._database.executemany(
            "DELETE FROM batch WHERE id = ?", [(identity,) for identity in identities]
        )
        self.kinds[kind] -= len(identities)

    def delete_damaged(self, identities: Iterable[int]) -> None:
        """Delete rows of which nothing can be trusted but that they are here."""
        for identity in identities:
            kind = self._one("SELECT kind FROM batch WHERE id = ?", identity)
            self._database.execute("DELETE FROM batch WHERE id = ?", (identity,))
            if isinstance(kind, int) and 0 <= kind < len(KINDS):
                self.kinds[KINDS[kind]] -= 1

    def delete_up_to(self, low: int, high: int) -> int:
        """Delete up to `STEP` batches from id `low` to `high`; return how many."""
        kinds = self._database.execute(
            "SELECT id, kind FROM batch WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (low, high, STEP),
        ).fetchall()
        if kinds:
            self._database.execute(
                "DELETE FROM batch WHERE id BETWEEN ? AND ?", (low, kinds[-1][0])
            )
            self.kinds.subtract(_kind(kind) for _, kind in kinds)
        return len(kinds)

    def holes_between(self, low: int, high: int, limit: int) -> list[Range]:
        """Return the holes that begin from id `low` to `high`, and one that `low` lies in."""
        found: list[Range] = [
            (first, last)
            for first, last in self._database.execute(
                "SELECT first, last FROM lost WHERE first < ? ORDER BY first DESC LIMIT 1", (low,)
            )
            if last >= low
        ]
        found += self._database.execute(
            "SELECT first, last FROM lost WHERE first BETWEEN ? AND ? ORDER BY first LIMIT ?",
            (low, high, limit),
        )
        return found

    def add_holes(self, ranges: Iterable[Range]) -> None:
        """Note that ids are lost, in as few ranges as there can be."""
        for first, last in ranges:
            joined = []
            for other in self._database.execute(
                "SELECT first, last FROM lost WHERE first <= ? ORDER BY first DESC", (last + 1,)
            ):
                if other[1] < first - 1:
                    break
                joined.append(other)
            self._database.executemany(
                "DELETE FROM lost WHERE first = ?", [(other,) for other, _ in joined]
            )
            self._database.execute(
                "INSERT INTO lost VALUES (?, ?)",
                (
                    min([first, *(other for other, _ in joined)]),
                    max([last, *(other for _, other in joined)]),
                ),
            )
            self.holes += 1 - len(joined)

    def close_holes(self, low: int, high: int) -> None:
        """Forget what is lost from id `low` to `high`; of a hole that reaches further, the rest."""
        gone = self._database.execute(
            "SELECT first, last FROM lost WHERE first BETWEEN ? AND ?", (low, high)
        ).fetchall()
        if not gone:
            return
        self._database.execute("DELETE FROM lost WHERE first BETWEEN ? AND ?", (low, high))
        self.holes -= len(gone)
        _, last = max(gone)
        if last > high:
            self._database.execute("INSERT INTO lost VALUES (?, ?)", (high + 1, last))
            self.holes += 1

    def gaps(self) -> Iterator[Range]:
        """Yield the ids of each boot that lie between batches and are none."""
        last: int | None = None
        for (identity,) in self._database.execute("SELECT id FROM batch ORDER BY id"):
            same_boot = last is not None and last >> NUMBER_BITS == identity >> NUMBER_BITS
            if last is not None and same_boot and identity > last + 1:
                yield last + 1, identity - 1
            last = identity

    def has_batch(self, low: int, high: int) -> bool:
        """Return whether there is a batch from id `low` to `high`."""
        return self._one("SELECT 1 FROM batch WHERE id BETWEEN ? AND ? LIMIT 1", low, high) == 1

    def last(self, low: int, high: int) -> int | None:
        """Return the highest id of a batch or a hole from `low` to `high`."""
        hole = self._one("SELECT max(last) FROM lost WHERE first BETWEEN ? AND ?", low, high)
        found = [self.last_batch(low, high), hole]
        return max((identity for identity in found if identity is not None), default=None)

    def last_batch(self, low: int, high: int) -> int | None:
        """Return the highest id of a batch from `low` to `high`."""
        return self._one("SELECT max(id) FROM batch WHERE id BETWEEN ? AND ?", low, high)

    def _one(self, query: str, *values: int | str) -> int | None:
        row: tuple[int | None] | None = self._database.execute(query, values).fetchone()
        return None if row is None else row[0]
