"""Move what can be read of a damaged spool into a new one, and know the rest as lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from edge_agent.store.contents import Contents, size_of
from edge_agent.store.database import MAX_NUMBER, NUMBER_BITS, Row
from edge_agent.store.ranges import Range, merged
from edge_agent.store.salvage import Salvage

log = structlog.get_logger(__name__)

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    """Boot epochs by ordinal of what was restored, and how many batches are known as lost."""

    boots: Mapping[int, int]
    lost: int


def restore(
    aside: Path, contents: Contents, boots: Mapping[int, int], spans: Mapping[int, Range]
) -> Restored:
    """Fill `contents` from the file `aside`.

    `boots` are the epochs known from elsewhere; `spans` the ids that are known to have been in the
    file, by ordinal. Of other boots, what lies between two batches must have been there.
    """
    source = Salvage(aside)
    try:
        found = source.found()
        known = {**found.boots, **boots}
        _copy(source, contents, known)
    finally:
        source.close()
    told = [r for r in merged(found.lost) if _is_hole(r, known, contents)]
    unread = merged([*told, *contents.gaps(), *_ends(contents, spans)])
    with contents.transaction():
        contents.add_holes(unread)
        contents.put_boots(known)
        for name, value in found.counters.items():
            contents.put_counter(name, value)
    return Restored(known, _count(unread) - _count(told))


def _copy(source: Salvage, contents: Contents, known: Mapping[int, int]) -> None:
    chunk: list[Row] = []
    size = 0
    try:
        for row in source.batches():
            if row[0] >> NUMBER_BITS not in known:
                continue
            chunk.append(row)
            size += size_of(row[3], row[4])
            if size >= _CHUNK_BYTES:
                with contents.transaction():
                    contents.insert(chunk, again=True)
                chunk, size = [], 0
        with contents.transaction():
            contents.insert(chunk, again=True)
    except sqlite3.OperationalError as error:
        log.error("not all that can be read has room", reason=str(error))


def _is_hole(span: Range, known: Mapping[int, int], contents: Contents) -> bool:
    first, last = span
    same_boot = first >> NUMBER_BITS == last >> NUMBER_BITS
    return (
        same_boot
        and first >> NUMBER_BITS in known
        and first & MAX_NUMBER > 0
        and not contents.has_batch(first, last)
    )


def _ends(contents: Contents, spans: Mapping[int, Range]) -> list[Range]:
    """Return what is missing before the first and after the last batch of each span."""
    found = []
    for low, high in spans.values():
        first, last = contents.first(low, high), contents.last_batch(low, high)
        if first is None or last is None:
            found.append((low, high))
        else:
            found += [(low, first - 1), (last + 1, high)]
    return [(a, b) for a, b in found if a <= b]


def _count(ranges: list[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)
