"""Columns into DuckDB and out of it: what is not known is NaN, or 0; older rows have null there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np

from cloud_api.historian.windows import Columns

POINT = "series_id, time_ms, value, minimum, maximum, count, measured_ms"
ROLLUP = f"{POINT}, points"
INTEGERS = {"series_id": np.int32, "time_ms": np.int64, "count": np.int64, "points": np.int64}


def fetched(answer: duckdb.DuckDBPyConnection) -> Columns:
    """Return what a query found."""
    columns: Columns = {}
    for name, column in answer.fetchnumpy().items():
        kind = INTEGERS.get(name, np.float64)
        if isinstance(column, np.ma.MaskedArray):
            column = column.filled(0 if name in INTEGERS else np.nan)
        columns[name] = np.asarray(column, kind)
    return columns


@contextmanager
def registered(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Columns
) -> Iterator[None]:
    """Let SQL read columns by a name."""
    connection.register(name, columns)
    try:
        yield
    finally:
        connection.unregister(name)


def insert(
    connection: duckdb.DuckDBPyConnection, table: str, names: str, columns: Columns, rest: str = ""
) -> None:
    """Append the columns of these names, and the SQL `rest`, to a table."""
    with registered(connection, "incoming", columns):
        sql = f"insert into {table} select {names}{rest} from incoming"
        connection.execute(sql).fetchall()


def found(
    connection: duckdb.DuckDBPyConnection, names: str, table: str, keys: Columns, width_ms: int
) -> Columns:
    """Return the rows whose series and window of `width_ms` are among the keys."""
    with registered(connection, "wanted", keys):
        return fetched(
            connection.execute(
                f"select {names} from {_matching(table, width_ms)}", _bounds(keys, width_ms)
            )
        )


def delete(connection: duckdb.DuckDBPyConnection, table: str, keys: Columns) -> None:
    """Delete the rows whose series and time are among the keys."""
    with registered(connection, "wanted", keys):
        connection.execute(f"delete from {_matching(table, 1)}", _bounds(keys, 1)).fetchall()


def _matching(table: str, width_ms: int) -> str:
    # Bounded by the least and the greatest time, so that the rest of the table is not read.
    window = "time_ms" if width_ms == 1 else f"time_ms // {width_ms} * {width_ms}"
    return (
        f"{table} where time_ms between ? and ? "
        f"and (series_id, {window}) in (select (series_id, time_ms) from wanted)"
    )


def _bounds(keys: Columns, width_ms: int) -> list[int]:
    return [int(keys["time_ms"].min()), int(keys["time_ms"].max()) + width_ms - 1]


def rows(columns: Columns, chosen: Any) -> Columns:
    """Return some rows of columns."""
    return {name: column[chosen] for name, column in columns.items()}


def stacked(parts: Sequence[Columns]) -> Columns:
    """Return the rows of several, the later ones last."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
