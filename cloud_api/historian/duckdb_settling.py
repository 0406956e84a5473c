"""From what was written to what is kept: sort, replace, roll up, let go.

Each function is a part of one transaction on the connection it is given, and what it does depends
on the tables alone: done twice, or again after a crash, it changes nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from cloud_api.historian.batch import last_of_each
from cloud_api.historian.duckdb_columns import (
    POINT,
    ROLLUP,
    delete,
    fetched,
    found,
    insert,
    registered,
    rows,
    stacked,
)
from cloud_api.historian.levels import DAY_MS, Level
from cloud_api.historian.windows import Columns, Windows, reduce


def settle(connection: duckdb.DuckDBPyConnection) -> None:
    """Move what is recent to where it is kept and set right the roll-ups that it touches.

    By the day, so that for a late point nobody reads what lies between it and the others.
    """
    recent = fetched(connection.execute(f"select {POINT} from recent order by batch"))
    for day in _days(recent):
        points = last_of_each(day)
        minutes = _merge(connection, points)
        _replace_hours(connection, minutes)
    connection.execute("delete from recent")


def _days(columns: Columns) -> Iterator[Columns]:
    days = columns["time_ms"] // DAY_MS
    distinct = np.unique(days)
    for day in distinct:
        yield columns if distinct.size == 1 else rows(columns, days == day)


def _merge(connection: duckdb.DuckDBPyConnection, points: Columns) -> Columns:
    """Keep points, and return the minutes they lie in, rolled up anew."""
    touched = _windows_of(points, Level.MINUTE)
    known = found(connection, POINT, "settled", touched, Level.MINUTE)
    both = last_of_each(stacked([known, points]))
    # What both have is replaced.
    if both["time_ms"].size < known["time_ms"].size + points["time_ms"].size:
        delete(connection, "settled", points)
    insert(connection, "settled", POINT, points)
    minutes = _rolled_up(both, Windows.of_points(both, 0), Level.MINUTE)
    if known["time_ms"].size:
        delete(connection, "minutes", _windows_of(last_of_each(known), Level.MINUTE))
    insert(connection, "minutes", ROLLUP, minutes)
    return minutes


def _replace_hours(connection: duckdb.DuckDBPyConnection, minutes: Columns) -> None:
    """Roll up the hours that these minutes, which are kept already, lie in."""
    touched = _windows_of(minutes, Level.HOUR)
    whole = last_of_each(found(connection, ROLLUP, "minutes", touched, Level.HOUR))
    delete(connection, "hours", touched)
    windows = Windows.of_rollups(whole, Level.MINUTE)
    insert(connection, "hours", ROLLUP, _rolled_up(whole, windows, Level.HOUR))


def _windows_of(columns: Columns, level: Level) -> Columns:
    """Return series and start of each window that rows, sorted by series and time, lie in."""
    times = columns["time_ms"] // level * level
    ids = columns["series_id"]
    first = np.flatnonzero(_changes(ids, times))
    return {"series_id": ids[first], "time_ms": times[first]}


def _changes(ids: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.bool_]:
    changed = np.ones(ids.size, bool)
    changed[1:] = (ids[1:] != ids[:-1]) | (times[1:] != times[:-1])
    return changed


def _rolled_up(columns: Columns, windows: Windows, level: Level) -> Columns:
    """Return the roll-ups of rows that are sorted by series and time."""
    times = windows.time_ms // level * level
    first = np.flatnonzero(_changes(columns["series_id"], times))
    whole = reduce(windows, first, np.full(first.size, float(level)))
    return {
        "series_id": columns["series_id"][first],
        "time_ms": times[first],
        "value": whole.value,
        "minimum": whole.minimum,
        "maximum": whole.maximum,
        "count": whole.count,
        "measured_ms": whole.measured_ms,
        "points": whole.points,
    }


def expire(
    connection: duckdb.DuckDBPyConnection, table: str, floors: Sequence[tuple[int, int]]
) -> None:
    """Delete from a table what each series, by number, has before its floor in milliseconds."""
    numbers, times = (np.array(column) for column in zip(*floors, strict=True))
    gone: Columns = {"series_id": numbers.astype(np.int32), "floor_ms": times.astype(np.int64)}
    with registered(connection, "gone", gone):
        connection.execute(
            f"delete from {table} using gone where {table}.series_id = gone.series_id "
            f"and {table}.time_ms < gone.floor_ms and {table}.time_ms < ?",
            [int(times.max())],
        ).fetchall()


def days_of(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int] | None:
    """Return the oldest and the newest day, since the epoch, that a table has rows of."""
    row = connection.execute(
        f"select min(time_ms) // {DAY_MS}, max(time_ms) // {DAY_MS} from {table}"
    ).fetchone()
    return None if row is None or row[0] is None else (int(row[0]), int(row[1]))


def checkpoint(connection: duckdb.DuckDBPyConnection, database: str = "") -> None:
    """Write the log into the file and free what was deleted; left for later while others write."""
    try:
        connection.execute(f"checkpoint {database}")
    except duckdb.TransactionException:
        return
