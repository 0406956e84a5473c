"""Points and roll-ups as columns, and the one way in which several become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Milliseconds = NDArray[np.int64]
Values = NDArray[np.float64]
Counts = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Windows:
    """Points, or windows that points were rolled up into; arrays of equal length, in order of time.

    `value` is the mean of the `count` samples, of which `points` points were made. `measured_ms`
    is the time there are samples for, NaN where that is not known, out of `width_ms`.
    """

    time_ms: Milliseconds
    value: Values
    minimum: Values
    maximum: Values
    count: Counts
    points: Counts
    measured_ms: Values
    width_ms: Values

    @classmethod
    def of_points(cls, columns: Columns, interval_ms: float) -> Self:
        """Return points by their columns; what they do not know of themselves is NaN, a count 0."""
        value = columns["value"]
        return cls(
            columns["time_ms"],
            value,
            np.where(np.isnan(columns["minimum"]), value, columns["minimum"]),
            np.where(np.isnan(columns["maximum"]), value, columns["maximum"]),
            np.maximum(columns["count"], 1),
            np.ones(value.size, np.int64),
            columns["measured_ms"],
            np.full(value.size, interval_ms or np.nan),
        )

    @classmethod
    def of_rollups(cls, columns: Columns, width_ms: int) -> Self:
        """Return roll-ups by their columns."""
        return cls(
            columns["time_ms"],
            columns["value"],
            columns["minimum"],
            columns["maximum"],
            columns["count"],
            columns["points"],
            columns["measured_ms"],
            np.full(columns["value"].size, float(width_ms)),
        )

    @property
    def coverage(self) -> Values:
        """Share of each window that was measured, 0 to 1; NaN where that is not known."""
        return np.minimum(self.measured_ms / self.width_ms, 1.0)


def reduce(windows: Windows, first: NDArray[np.intp], width_ms: Values) -> Windows:
    """Return each run of windows as one; runs begin at the indices `first`, and have these widths.

    Means are weighed by counts, and the time of a run is that of its first window.
    """
    minimum = np.minimum.reduceat(windows.minimum, first)
    maximum = np.maximum.reduceat(windows.maximum, first)
    count = np.add.reduceat(windows.count, first)
    share = windows.count / np.repeat(count, np.diff(first, append=windows.count.size))
    value = np.add.reduceat(windows.value * share, first)
    return Windows(
        time_ms=windows.time_ms[first],
        # Rounding does not lift a mean over its extremes.
        value=np.clip(value, minimum, maximum),
        minimum=minimum,
        maximum=maximum,
        count=count,
        points=np.add.reduceat(windows.points, first),
        measured_ms=np.add.reduceat(windows.measured_ms, first),
        width_ms=width_ms,
    )


def thin(
    windows: Windows, width_ms: int, within: tuple[int, int], first_ms: int, origin_ms: int = 0
) -> Windows:
    """Return the buckets of `width_ms`, counted from `origin_ms`, that have any of the windows.

    A bucket's time is its start, but not before `first_ms`; what of it lies outside of `within`,
    from and up to but not including, does not lower its coverage.

    >>> one, two = np.ones(3), np.array([2, 1, 1])
    >>> seconds = Windows(np.array([1, 2, 9]), one, -one, np.array([1.0, 7, 1]), two, two, one, one)
    >>> buckets = thin(seconds, 5, (0, 10), first_ms=1)
    >>> buckets.time_ms.tolist(), buckets.maximum.tolist(), buckets.coverage.tolist()
    ([1, 5], [7.0, 1.0], [0.4, 0.2])
    """
    if windows.time_ms.size == 0:
        return windows
    keys = (windows.time_ms - origin_ms) // width_ms
    first = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    begin = origin_ms + keys[first] * width_ms
    inside = np.minimum(begin + width_ms, within[1]) - np.maximum(begin, within[0])
    found = reduce(windows, first, inside.astype(np.float64))
    return replace(found, time_ms=np.maximum(begin, first_ms))


def joined(parts: Sequence[Windows]) -> Windows:
    """Return windows of several sources as one, in order of time."""
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Windows)
    }
    order = np.argsort(columns["time_ms"], kind="stable")
    return Windows(**{name: column[order] for name, column in columns.items()})
