"""Make room in the spool: how large it may be, and what goes when it would be larger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.store.contents import STEP, Contents, size_of
from edge_agent.store.database import Row
from edge_agent.store.options import SpoolOptions
from edge_agent.store.policy import KINDS, Candidate, Kind, Reason, victims
from edge_agent.store.ranges import collected

# The spool may grow to this size whatever the file system's reserve, when there is as much.
FLOOR_BYTES: Final = 8 << 20
# What its log may need of that.
_LOG_BYTES: Final = 1 << 20
# Room is made for more than the next batches, so that it is not made for each.
_SLACK_BYTES: Final = 4 << 20

Dropped = Counter[tuple[Kind | None, Reason]]


@dataclass(frozen=True, slots=True)
class Limit:
    """How many bytes the spool may take, and what says so."""

    bytes: int
    reason: Reason


def limit(contents: Contents, options: SpoolOptions, free: int, total: int) -> Limit:
    """Return the limit given the free and total bytes of the file system.

    The file is never given back, so a reserve that others have used up keeps it from growing and
    no more.
    """
    size = contents.file_bytes
    reserve = min(options.reserve_bytes, total // 10)
    growth = max(0, free - reserve, min(FLOOR_BYTES - size, free - _LOG_BYTES))
    if size + growth < options.max_bytes:
        return Limit(size + growth, "disk")
    return Limit(options.max_bytes, "size")


def insert(
    contents: Contents, rows: Sequence[Row], given: Limit, drop_first: Sequence[Kind]
) -> Dropped:
    """Insert `rows` after what must go has made room, and return what was dropped.

    New rows are dropped like old ones: a batch of a kind that goes first does not displace one of
    a kind that stays longer. Holes are noted for all of them.
    """
    new = {row[0]: row for row in rows}
    dropped: Dropped = Counter()

    def candidates(kind: Kind) -> Iterator[Candidate]:
        yield from contents.oldest(kind)
        for identity, place, _, topic, payload in list(new.values()):
            if KINDS[place] == kind:
                yield identity, size_of(topic, payload)

    def shrink() -> None:
        target = 0
        while True:
            incoming = sum(size_of(topic, payload) for _, _, _, topic, payload in new.values())
            over = contents.used_bytes + incoming - given.bytes
            if over <= target:
                return
            target = -min(given.bytes // 16, _SLACK_BYTES)
            # A cap that was lowered takes several turns, so that memory holds few ids.
            chosen = victims(drop_first, candidates, min(over - target, 2 * _SLACK_BYTES))
            if not chosen:
                return
            for kind, identities in chosen.items():
                contents.delete([i for i in identities if i not in new], kind)
                contents.add_holes(collected(identities))
                for identity in identities:
                    new.pop(identity, None)
                dropped[kind, given.reason] += len(identities)

    # Before, so that pages are used again; and after, since pages are not filled to the last byte.
    shrink()
    contents.insert(new.values())
    new.clear()
    shrink()
    return dropped


def expire(contents: Contents, made_s: int) -> Dropped:
    """Drop what was made before a second of the age clock; some now, the rest the next times."""
    dropped: Dropped = Counter()
    old = contents.made_before(made_s, STEP)
    for kind in KINDS:
        identities = [identity for identity, its in old if its == kind]
        if identities:
            contents.delete(identities, kind)
            dropped[kind, "age"] += len(identities)
    contents.add_holes(collected(identity for identity, _ in old))
    return dropped
