"""What happened in a stretch of event time, in sixteen rows of sums."""

from __future__ import annotations

import math
from typing import Any, Self

BUCKETS = 16
# A slope or a correlation of less than this share of its window says nothing about it.
LEAST_SHARE = 0.5
LEAST_SAMPLES = 3
LEAST_FOR_CORRELATION = 8

# Of a bucket: its number, samples, means of both, sums of squares and of products about the means,
# time of its first and of its last sample.
Row = list[float]
_AT, _N, _MEAN_A, _MEAN_B, _AA, _BB, _AB, _FIRST, _LAST = range(9)


class Window:
    """Pairs of numbers of the last `seconds` of event time, as moments of sixteen buckets.

    The stretch is exact to a sixteenth: buckets begin at multiples of their width since the epoch,
    so that what is in the window depends on the samples alone. Moments are merged as in Chan,
    Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._rows: list[Row] = []

    def add(self, time_ms: int, a: float, b: float) -> None:
        """Take a pair; what is older than the window leaves."""
        at = math.floor(time_ms / 1000.0 * BUCKETS / self.seconds)
        rows = self._rows
        if rows and at < rows[-1][_AT]:
            # A clock that was set back begins anew.
            rows.clear()
        if rows and rows[0][_AT] <= at - BUCKETS:
            rows[:] = [row for row in rows if row[_AT] > at - BUCKETS]
        if not rows or rows[-1][_AT] != at:
            rows.append([at, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, time_ms, time_ms])
        row = rows[-1]
        row[_N] += 1.0
        delta_a, delta_b = a - row[_MEAN_A], b - row[_MEAN_B]
        row[_MEAN_A] += delta_a / row[_N]
        row[_MEAN_B] += delta_b / row[_N]
        row[_AA] += delta_a * (a - row[_MEAN_A])
        row[_BB] += delta_b * (b - row[_MEAN_B])
        row[_AB] += delta_a * (b - row[_MEAN_B])
        row[_LAST] = time_ms

    def _merged(self) -> Row:
        total: Row = [0.0] * 9
        for row in self._rows:
            n = total[_N] + row[_N]
            delta_a, delta_b = row[_MEAN_A] - total[_MEAN_A], row[_MEAN_B] - total[_MEAN_B]
            weight = total[_N] * row[_N] / n
            total[_AA] += row[_AA] + delta_a * delta_a * weight
            total[_BB] += row[_BB] + delta_b * delta_b * weight
            total[_AB] += row[_AB] + delta_a * delta_b * weight
            total[_MEAN_A] += delta_a * row[_N] / n
            total[_MEAN_B] += delta_b * row[_N] / n
            total[_N] = n
        return total

    def _covers(self) -> bool:
        span_ms = self._rows[-1][_LAST] - self._rows[0][_FIRST]
        return span_ms >= LEAST_SHARE * self.seconds * 1000.0

    def mean(self) -> float:
        """Return the mean of the second numbers, NaN without any."""
        return self._merged()[_MEAN_B] if self._rows else math.nan

    def slope(self) -> float:
        """Return the least-squares slope of the second numbers over the first.

        NaN while there are fewer than three, or they cover less than half of the window.
        """
        if not self._rows or not self._covers():
            return math.nan
        total = self._merged()
        return total[_AB] / total[_AA] if total[_N] >= LEAST_SAMPLES and total[_AA] else math.nan

    def correlation(self) -> float:
        """Return the correlation (Pearson) of both, NaN when one of them stands still.

        NaN while there are fewer than eight, or they cover less than half of the window.
        """
        if not self._rows or not self._covers():
            return math.nan
        total = self._merged()
        product = total[_AA] * total[_BB]
        if total[_N] < LEAST_FOR_CORRELATION or not product > 0.0:
            return math.nan
        return max(-1.0, min(1.0, total[_AB] / math.sqrt(product)))

    def state(self) -> dict[str, Any]:
        """Return the rows."""
        return {"seconds": self.seconds, "rows": [list(row) for row in self._rows]}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the window in `state`."""
        window = cls(state["seconds"])
        window._rows = [list(row) for row in state["rows"]]
        return window
