"""The tables of the embedded historian, and how an older file comes to have them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from cloud_api.historian.levels import DAY_MS

SCHEMA_VERSION = 2
# Names the file of waveforms in SQL.
WAVEFORMS = "kept"
# DuckDB writes a group of rows anew when one of them changes, and waveforms are long.
WAVEFORM_ROW_GROUP = 2048

COLUMNS = """
    series_id integer not null, time_ms bigint not null, value double not null,
    minimum double, maximum double, count bigint, measured_ms double
"""
ROLLED_UP = f"{COLUMNS}, points bigint not null"

# No keys on what grows: DuckDB holds the whole of an index in memory, and a plant has a hundred
# million points. What is written lands in `recent`, with the number of its batch, and is settled
# from there: sorted by series and time into `points`, and rolled up.
SCHEMA = f"""
create table if not exists version (version integer not null);
create table if not exists catalogue (
    series_id integer primary key,
    site varchar not null, equipment varchar not null, series varchar not null,
    unit varchar not null, aggregated boolean not null, interval_ms bigint not null,
    first_ms bigint, last_ms bigint,
    points_from_ms bigint not null, minutes_from_ms bigint not null
);
create table if not exists recent ({COLUMNS}, batch bigint not null);
create table if not exists settled ({COLUMNS});
create table if not exists minutes ({ROLLED_UP});
create table if not exists hours ({ROLLED_UP});
create table if not exists {WAVEFORMS}.waveforms (
    stored bigint not null, waveform_id varchar not null, site varchar not null,
    equipment varchar not null, channel varchar not null, unit varchar not null,
    start_time_ms bigint not null, sample_rate_hz double not null, samples blob not null
);
"""


def connect(path: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Open the two files at `path` with their tables; the one of waveforms is beside the other.

    Raises:
        duckdb.Error: they cannot be opened, are no historian, or are of newer code.
        OSError: the folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One thread: the machine's other cores belong to the flow.
    connection = duckdb.connect(str(path), config={"memory_limit": memory_limit, "threads": 1})
    try:
        beside = str(path.with_suffix(".waveforms" + path.suffix)).replace("'", "''")
        connection.execute(
            f"attach '{beside}' as {WAVEFORMS} (row_group_size {WAVEFORM_ROW_GROUP})"
        )
        connection.execute(SCHEMA)
        row = connection.execute("select max(version) from version").fetchone()
        found = row[0] if row is not None else None
        if found is not None and found > SCHEMA_VERSION:
            raise duckdb.InvalidInputException(
                f"it has schema {found}, written by newer code than this, which knows "
                f"{SCHEMA_VERSION}"
            )
        if found is None:
            connection.execute("insert into version values (?)", [SCHEMA_VERSION])
    except duckdb.Error:
        connection.close()
        raise
    return connection


def days_of_first_schema(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """Return the days since the epoch that points of the first schema are still there for."""
    if not _has(connection, "points"):
        return []
    rows = connection.execute(f"select distinct time_ms // {DAY_MS} from points order by 1")
    return [int(day) for (day,) in rows.fetchall()]


def take_over_series(connection: duckdb.DuckDBPyConnection, beginning_ms: int) -> None:
    """Copy the list of series and the waveforms of the first schema, if they are there."""
    if not _has(connection, "points"):
        return
    connection.execute(
        """
        insert into catalogue
        select series_id, site, equipment, series, unit, aggregated, 0, first_ms, last_ms, $1, $1
        from series left join extent using (series_id)
        where series_id not in (select series_id from catalogue)
        """,
        [beginning_ms],
    )
    if _has(connection, "waveforms"):
        connection.execute(
            f"insert into {WAVEFORMS}.waveforms select row_number() over (order by start_time_ms), "
            "* from main.waveforms where waveform_id not in "
            f"(select waveform_id from {WAVEFORMS}.waveforms)"
        )
        connection.execute("drop table main.waveforms")


def take_over_day(connection: duckdb.DuckDBPyConnection, day: int) -> None:
    """Copy one day's points of the first schema to `recent`."""
    connection.execute(
        "insert into recent select series_id, time_ms, value, minimum, maximum, count, null, 0 "
        "from points where time_ms >= ? and time_ms < ?",
        [day * DAY_MS, (day + 1) * DAY_MS],
    )


def drop_first_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of the first schema's tables."""
    for table in ("points", "extent", "series"):
        connection.execute(f"drop table if exists main.{table}")


def _has(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    found = connection.execute(
        "select count(*) from duckdb_tables() where database_name = current_database() "
        "and schema_name = 'main' and table_name = ?",
        [table],
    ).fetchone()
    return found is not None and found[0] > 0
