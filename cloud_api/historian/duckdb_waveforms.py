"""The waveforms of the embedded historian: kept whole, the oldest let go first."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np

from cloud_api.historian.duckdb_schema import WAVEFORMS
from cloud_api.historian.levels import DAY_MS
from cloud_api.historian.port import WaveformRecord

TABLE = f"{WAVEFORMS}.waveforms"
# A little more is let go than must be, so that it is not done again with every new one.
ROOM = 0.9


def write(connection: duckdb.DuckDBPyConnection, records: Sequence[WaveformRecord]) -> None:
    """Keep waveforms; one of the same id is replaced."""
    found = {record.waveform_id: record for record in records}
    connection.execute(
        f"delete from {TABLE} where waveform_id in (select unnest(?))", [list(found)]
    )
    row = connection.execute(f"select coalesce(max(stored), 0) from {TABLE}").fetchone()
    assert row is not None
    connection.executemany(
        f"insert into {TABLE} values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            [
                int(row[0]) + 1 + index,
                record.waveform_id,
                record.site,
                record.equipment,
                record.channel,
                record.unit,
                record.start_time_ms,
                record.sample_rate_hz,
                record.samples.astype("<f4").tobytes(),
            ]
            for index, record in enumerate(found.values())
        ],
    )


def read(connection: duckdb.DuckDBPyConnection, waveform_id: str) -> WaveformRecord | None:
    """Return a waveform, None when there is none of this id."""
    row = connection.execute(
        f"select * exclude (stored) from {TABLE} where waveform_id = ?", [waveform_id]
    ).fetchone()
    if row is None:
        return None
    identity, site, equipment, channel, unit, start_time_ms, sample_rate_hz, samples = row
    return WaveformRecord(
        identity, site, equipment, channel, unit, start_time_ms, sample_rate_hz,
        np.frombuffer(samples, "<f4"),
    )  # fmt: skip


def size(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Return how many waveforms are kept, and the bytes of their samples."""
    row = connection.execute(
        f"select count(*), coalesce(sum(octet_length(samples)), 0) from {TABLE}"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def let_go(connection: duckdb.DuckDBPyConnection, days: int, limit_bytes: int) -> bool:
    """Delete what is past its age, or stored longest while all exceed the limit; 0 is no limit.

    Returns whether anything went.
    """
    gone = 0
    if days:
        gone += _deleted(
            connection.execute(
                f"delete from {TABLE} using (select site, equipment, max(start_time_ms) as newest "
                f"from {TABLE} group by all) as newest where newest.site = waveforms.site "
                "and newest.equipment = waveforms.equipment "
                "and waveforms.start_time_ms < newest.newest - ?",
                [days * DAY_MS],
            )
        )
    if limit_bytes and size(connection)[1] > limit_bytes:
        gone += _deleted(
            connection.execute(
                f"delete from {TABLE} where stored in (select stored from (select stored, "
                f"sum(octet_length(samples)) over (order by stored desc) as so_far from {TABLE}) "
                "where so_far > ?)",
                [int(limit_bytes * ROOM)],
            )
        )
    return gone > 0


def _deleted(answer: duckdb.DuckDBPyConnection) -> int:
    row = answer.fetchone()
    return 0 if row is None else int(row[0])
