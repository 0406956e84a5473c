"""One series of the embedded historian between two times."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np

from cloud_api.historian.batch import last_of_each
from cloud_api.historian.duckdb_columns import POINT, ROLLUP, fetched, rows
from cloud_api.historian.levels import Floors, Level, Range, Segment, segments
from cloud_api.historian.windows import Columns, Milliseconds, Windows, joined

TABLES = {Level.RAW: "settled", Level.MINUTE: "minutes", Level.HOUR: "hours"}
# Ranges of points that are not settled yet; past that many they are read with what lies between.
MOST_RANGES = 16


def read(
    connection: duckdb.DuckDBPyConnection,
    number: int,
    interval_ms: int,
    within: Range,
    level: Level,
    floors: Floors,
) -> Windows:
    """Return what there is of a series by number, at `level` where that is enough, in order.

    A point that is not settled yet hides the roll-ups it lies in: there, points are read.
    """
    fresh = last_of_each(
        fetched(
            connection.execute(
                f"select {POINT} from recent where series_id = ? and time_ms >= ? and time_ms < ? "
                "order by batch",
                [number, *within],
            )
        )
    )
    parts = [Windows.of_points(fresh, interval_ms)]
    hidden = list(_hidden(fresh["time_ms"], level))
    for segment in segments(level, within, floors, hidden):
        found = _read(connection, number, segment)
        if segment.level is Level.RAW:
            found = rows(found, ~np.isin(found["time_ms"], fresh["time_ms"]))
            parts.append(Windows.of_points(found, interval_ms))
        else:
            parts.append(Windows.of_rollups(found, segment.level))
    return joined(parts)


def _read(connection: duckdb.DuckDBPyConnection, number: int, segment: Segment) -> Columns:
    # One range a query: only then does DuckDB pass over what lies outside of it unread.
    names = POINT if segment.level is Level.RAW else ROLLUP
    return fetched(
        connection.execute(
            f"select {names} from {TABLES[segment.level]} "
            "where series_id = ? and time_ms >= ? and time_ms < ?",
            [number, segment.start_ms, segment.end_ms],
        )
    )


def _hidden(times: Milliseconds, level: Level) -> Iterator[Range]:
    """Yield the ranges, in order, whose minutes are not what they will be."""
    if level is Level.RAW or times.size == 0:
        return
    starts = np.unique(times // Level.MINUTE * Level.MINUTE)
    distances = np.diff(starts)
    gap = max(int(level), _kth_largest(distances, MOST_RANGES))
    cuts = np.flatnonzero(distances > gap)
    for first, last in zip([0, *(cuts + 1)], [*cuts, starts.size - 1], strict=True):
        yield int(starts[first]), int(starts[last]) + Level.MINUTE


def _kth_largest(values: Milliseconds, k: int) -> int:
    return int(np.partition(values, -k)[-k]) if len(values) >= k else 0
