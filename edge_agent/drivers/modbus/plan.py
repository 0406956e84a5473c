"""Which registers to read at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Registers, or coils, that belong together: `count` from `address` on."""

    address: int
    count: int

    @property
    def end(self) -> int:
        """The address after the last one."""
        return self.address + self.count


@dataclass(frozen=True, slots=True)
class Read:
    """One request; `members` are the places of the spans that it answers."""

    address: int
    count: int
    members: tuple[int, ...]


def plan_reads(spans: Sequence[Span], max_count: int, max_gap: int) -> list[Read]:
    """Return the fewest reads that cover every span, in the order of their addresses.

    No read is longer than `max_count`, and none crosses more than `max_gap` addresses that no span
    asks for.

    Raises:
        ValueError: a span alone is longer than `max_count`.
    """
    reads: list[Read] = []
    members: list[int] = []
    start = end = 0
    for place in sorted(range(len(spans)), key=lambda i: (spans[i].address, spans[i].end)):
        span = spans[place]
        if span.count > max_count:
            raise ValueError(f"{span.count} addresses from {span.address} on are no one read")
        joined = max(end, span.end)
        if members and span.address - end <= max_gap and joined - start <= max_count:
            members.append(place)
            end = joined
            continue
        if members:
            reads.append(Read(start, end - start, tuple(members)))
        members, start, end = [place], span.address, span.end
    if members:
        reads.append(Read(start, end - start, tuple(members)))
    return reads


def pieces(span: Span, max_count: int) -> list[Span]:
    """Return a long span in pieces of `max_count` at most."""
    return [
        Span(address, min(max_count, span.end - address))
        for address in range(span.address, span.end, max_count)
    ]
