"""What can still be read of a damaged spool."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.store.database import SCHEMA, Row, checksum, text
from edge_agent.store.ranges import Range

_PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What could be read of a damaged file: boots by ordinal, ranges of ids, counters."""

    boots: Mapping[int, int]
    lost: list[Range]
    counters: Mapping[str, int]


class Salvage:
    """A damaged file, read as far as it goes."""

    def __init__(self, path: Path) -> None:
        """Open it; what cannot be read at all gives nothing."""
        self._database = self._open(path)
        try:
            self._database.execute("SELECT 1 FROM batch LIMIT 1")
        except sqlite3.DatabaseError:
            self._database.close()
            _restore_first_page(path)
            self._database = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        database.text_factory = text
        return database

    def found(self) -> Salvaged:
        """Return all but the batches."""
        return Salvaged(
            {int(n): epoch for n, epoch in self._all("SELECT ordinal, boot_epoch FROM boot")},
            [(int(a), int(b)) for a, b in self._all("SELECT first, last FROM lost")],
            {str(name): int(n) for name, n in self._all("SELECT name, value FROM counter")},
        )

    def batches(self) -> Iterator[Row]:
        """Yield every batch that can be read and is whole, in no order.

        From the front to the first bad place, from the back to the last one, and what can be found
        between them.
        """
        low, high = 0, (1 << 63) - 1
        try:
            for row in self._select("id > ? ORDER BY id", low):
                low = row[0]
                yield from self._whole(row)
            return
        except sqlite3.DatabaseError:
            pass
        try:
            for row in self._select("id > ? ORDER BY id DESC", low):
                high = row[0]
                yield from self._whole(row)
            return
        except sqlite3.DatabaseError:
            pass
        step = 1
        while low + step < high:
            low += step
            step *= 2
            try:
                for row in self._select("id > ? AND id < ? ORDER BY id", low, high):
                    low, step = row[0], 1
                    yield from self._whole(row)
                return
            except sqlite3.DatabaseError:
                continue

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _select(self, where: str, *values: int) -> Iterator[tuple[int, int, int, int, str, bytes]]:
        return self._database.execute(
            f"SELECT id, kind, made_s, checksum, topic, payload FROM batch WHERE {where}", values
        )

    @staticmethod
    def _whole(row: tuple[int, int, int, int, str, bytes]) -> Iterator[Row]:
        identity, kind, made_s, given, topic, payload = row
        if isinstance(payload, bytes) and given == checksum(
            identity, kind, made_s, topic, payload
        ):  # fmt: skip
            yield identity, kind, made_s, topic, payload

    def _all(self, query: str) -> list[tuple[int | str, int]]:
        found = []
        # An older layout has not these tables; a damaged one gives what comes before the damage.
        with contextlib.suppress(sqlite3.DatabaseError):
            for key, value in self._database.execute(query):
                if isinstance(key, int | str) and isinstance(value, int):
                    found.append((key, value))
        return found


def _restore_first_page(path: Path) -> None:
    """Put a new first page in place of one that cannot be read.

    It has the header and where each table begins, which is the same in every spool: they are all
    made by the same statements.
    """
    if not path.exists() or path.stat().st_size < 2 * _PAGE:
        return
    model = path.with_name(path.name + ".model")
    template = sqlite3.connect(model)
    template.executescript(SCHEMA)
    template.close()
    page = bytearray(model.read_bytes()[:_PAGE])
    model.unlink()
    pages = path.stat().st_size // _PAGE
    # Offsets of the file format: journal mode WAL, size in pages, no free pages, counters equal.
    page[18:20] = b"\x02\x02"
    page[28:32] = pages.to_bytes(4, "big")
    page[32:40] = bytes(8)
    page[92:96] = page[24:28]
    with path.open("r+b") as file:
        file.write(page)
