"""Ranges of whole numbers, both ends included."""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[int, int]


def collected(numbers: Iterable[int]) -> list[Range]:
    """Return the ranges that the numbers make up, in order.

    >>> collected([5, 1, 2, 3, 9, 8])
    [(1, 3), (5, 5), (8, 9)]
    """
    return merged((n, n) for n in numbers)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return the same numbers in as few ranges as there can be, in order.

    >>> merged([(4, 6), (1, 2), (3, 3), (9, 9)])
    [(1, 6), (9, 9)]
    """
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def without(whole: Range, present: Iterable[Range]) -> list[Range]:
    """Return what of `whole` is in none of `present`.

    >>> without((1, 9), [(2, 3), (7, 7)])
    [(1, 1), (4, 6), (8, 9)]
    """
    found = []
    start, end = whole
    for first, last in merged(present):
        if first > start:
            found.append((start, min(first - 1, end)))
        start = max(start, last + 1)
    if start <= end:
        found.append((start, end))
    return [(first, last) for first, last in found if first <= last]
