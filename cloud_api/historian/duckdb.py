"""The embedded historian: one DuckDB file, and one beside it for waveforms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from cloud_api.historian import duckdb_schema as schema
from cloud_api.historian import duckdb_settling as settling
from cloud_api.historian import duckdb_trends as trends
from cloud_api.historian import duckdb_waveforms as kept_waveforms
from cloud_api.historian.batch import columns_of
from cloud_api.historian.catalogue import Key, Series, described, key_of
from cloud_api.historian.duckdb_columns import POINT, insert, registered
from cloud_api.historian.levels import (
    BEGINNING_MS,
    DAY_MS,
    HOUR_MS,
    Floors,
    Level,
    Retention,
    bucket_width,
    level_of,
)
from cloud_api.historian.port import (
    HistorianError,
    SeriesBlock,
    SeriesDescription,
    Trend,
    Usage,
    WaveformRecord,
)
from cloud_api.historian.windows import Columns, thin

# Sorted together, so many points lie by series in few groups of rows.
SETTLE_POINTS = 1_000_000
SETTLE_SECONDS = 900.0
KEEP = Retention()

# Extents are stored at settling only: what is recent widens them.
KNOWN = """
select site, equipment, series, series_id, unit, aggregated, interval_ms,
       least(first_ms, recently.first), greatest(last_ms, recently.last),
       points_from_ms, minutes_from_ms
from catalogue left join (
    select series_id, min(time_ms) as first, max(time_ms) as last from recent group by series_id
) as recently using (series_id)
"""


class DuckDBHistorian:
    """Points, waveforms and the list of series in two files; one writer, many readers."""

    def __init__(
        self,
        path: Path,
        retention: Retention = KEEP,
        memory_limit: str = "256MB",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or create the files; `clock` gives seconds since any moment.

        Raises:
            HistorianError: it is no historian, of newer code, or another process has it open.
        """
        self._retention, self._clock = retention, clock
        self._writing = threading.Lock()
        try:
            self._connection = schema.connect(path, memory_limit)
            self._writer = self._connection.cursor()
            self._take_over()
            rows = self._writer.execute(KNOWN).fetchall()
            recent = self._writer.execute("select count(*), max(batch) from recent").fetchone()
        except (duckdb.Error, OSError) as error:
            raise HistorianError(f"the historian {path} cannot be opened: {error}") from error
        self._series = {tuple(row[:3]): _series(*row[3:]) for row in rows}
        assert recent is not None
        self._unsettled, self._batch = int(recent[0]), int(recent[1] or 0)
        self._settled_at = clock()
        self._expired = 0

    def _take_over(self) -> None:
        """Bring a file of the first schema to this one, a day at a time."""
        schema.take_over_series(self._writer, BEGINNING_MS)
        for day in schema.days_of_first_schema(self._writer):
            with self._transaction():
                schema.take_over_day(self._writer, day)
                settling.settle(self._writer)
        schema.drop_first_schema(self._writer)

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        """Keep points and then waveforms, each in one transaction; see `Historian.write`."""
        with self._writing, _translated("could not keep a batch"):
            if blocks:
                self._write_points(blocks)
            if waveforms:
                with self._transaction():
                    kept_waveforms.write(self._writer, waveforms)
            if self._unsettled >= SETTLE_POINTS:
                self._settle()

    def _write_points(self, blocks: Sequence[SeriesBlock]) -> None:
        known, numbered, expired = dict(self._series), [], 0
        number = max((series.number for series in known.values()), default=0)
        for block in blocks:
            key = key_of(block)
            series = described(known.get(key), block, number + 1)
            number = max(number, series.number)
            usable = block.usable
            young = block.time_ms >= series.floors.raw_ms
            expired += int(np.count_nonzero(usable & ~young))
            usable &= young
            if usable.any():
                times = block.time_ms[usable]
                series = series.widened(int(times.min()), int(times.max()))
            known[key] = series
            numbered.append((series.number, block, usable))
        batch = columns_of(numbered)
        with self._transaction():
            for key in {key_of(block) for block in blocks}:
                if not known[key].says_as(self._series.get(key)):
                    self._describe(key, known[key])
            if batch["time_ms"].size:
                insert(self._writer, "recent", POINT, batch, f", {self._batch + 1}")
        self._series = known
        self._batch += 1
        self._unsettled += batch["time_ms"].size
        self._expired += expired

    def _describe(self, key: Key, series: Series) -> None:
        """Note a new series, or a new description of one."""
        self._writer.execute(
            "insert into catalogue values (?, ?, ?, ?, ?, ?, ?, null, null, ?, ?) "
            "on conflict do update set unit = excluded.unit, aggregated = excluded.aggregated, "
            "interval_ms = excluded.interval_ms",
            [
                series.number, *key, series.unit, series.aggregated, series.interval_ms,
                series.floors.raw_ms, series.floors.minute_ms,
            ],
        )  # fmt: skip

    def tend(self) -> Usage:
        """Settle what is due, let go of what is too old or too much; see `Historian.tend`."""
        with self._writing, _translated("could not be tended"):
            late = self._clock() - self._settled_at >= SETTLE_SECONDS
            floors = self._due()
            if self._unsettled and (late or floors):
                self._settle()
            if floors:
                self._let_go(floors)
            self._bound()
            with self._transaction():
                keep = self._retention
                gone = kept_waveforms.let_go(self._writer, keep.waveform_days, keep.waveform_bytes)
            if gone:
                settling.checkpoint(self._writer, schema.WAVEFORMS)
            return self._usage()

    def _settle(self) -> None:
        with self._transaction():
            settling.settle(self._writer)
            self._store_series(self._series)
        settling.checkpoint(self._writer)
        self._unsettled, self._settled_at = 0, self._clock()

    def _due(self) -> dict[Key, Series]:
        """Return the series that have something past its age, as they are to be, by the day."""
        found = {}
        keep = self._retention
        for key, series in self._series.items():
            if series.last_ms is None or series.first_ms is None:
                continue
            raw, minute, hour = (
                (series.last_ms // DAY_MS - days) * DAY_MS if days else BEGINNING_MS
                for days in (keep.raw_days, keep.minute_days, keep.hour_days)
            )
            due = replace(series.without(raw, minute), first_ms=max(hour, series.first_ms))
            if due != series:
                found[key] = due
        return found

    def _let_go(self, changed: dict[Key, Series]) -> None:
        """Delete what lies before the new floors of these series; nothing of it is recent."""
        with self._transaction():
            for table, floors in (
                ("settled", [(s.number, s.floors.raw_ms) for s in changed.values()]),
                ("minutes", [(s.number, s.floors.minute_ms) for s in changed.values()]),
                ("hours", [(s.number, _hour_of(s.first_ms)) for s in changed.values()]),
            ):
                settling.expire(self._writer, table, floors)
            self._store_series(changed)
        self._series = {**self._series, **changed}
        settling.checkpoint(self._writer)

    def _bound(self) -> None:
        """Let the oldest days go, of points first, while the file holds more than it may."""
        limit = self._retention.total_bytes
        used = self._bytes()[0]
        if limit and used > limit and self._unsettled:
            self._settle()
        while limit and used > limit:
            points = settling.days_of(self._writer, "settled")
            minutes = settling.days_of(self._writer, "minutes")
            if points is not None and points[0] < points[1]:
                raw, minute = (points[0] + 1) * DAY_MS, BEGINNING_MS
            elif minutes is not None and minutes[0] < minutes[1]:
                raw = minute = (minutes[0] + 1) * DAY_MS
            else:
                return
            self._let_go({key: series.without(raw, minute) for key, series in self._series.items()})
            before, used = used, self._bytes()[0]
            if used >= before:
                # A reader holds what went: its room is free, and is seen to be, later.
                return

    def _store_series(self, changed: dict[Key, Series]) -> None:
        known = [series for series in changed.values() if series.last_ms is not None]
        if not known:
            return
        columns: Columns = {
            "series_id": np.array([s.number for s in known], np.int32),
            "first_ms": np.array([s.first_ms for s in known], np.int64),
            "last_ms": np.array([s.last_ms for s in known], np.int64),
            "raw_ms": np.array([s.floors.raw_ms for s in known], np.int64),
            "minute_ms": np.array([s.floors.minute_ms for s in known], np.int64),
        }
        with registered(self._writer, "changed", columns):
            self._writer.execute(
                "update catalogue set first_ms = changed.first_ms, last_ms = changed.last_ms, "
                "points_from_ms = raw_ms, minutes_from_ms = minute_ms "
                "from changed where catalogue.series_id = changed.series_id"
            ).fetchall()

    def _bytes(self) -> tuple[int, int]:
        """Return the bytes that both files use, and those in them that are free."""
        row = self._writer.execute(
            "select sum(used_blocks * block_size), sum(free_blocks * block_size) "
            "from pragma_database_size() where database_name in (current_database(), ?)",
            [schema.WAVEFORMS],
        ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def _usage(self) -> Usage:
        counts = self._writer.execute(
            "select (select count(*) from settled), (select count(*) from minutes), "
            "(select count(*) from hours)"
        ).fetchone()
        assert counts is not None
        used, free = self._bytes()
        number, size = kept_waveforms.size(self._writer)
        return Usage(
            bytes_used=used,
            bytes_free=free,
            points=counts[0] + self._unsettled,
            unsettled=self._unsettled,
            minutes=counts[1],
            hours=counts[2],
            waveforms=number,
            waveform_bytes=size,
            expired=self._expired,
        )

    def sites(self, equipment: str) -> list[str]:
        """Return the sites that have series of the equipment with this tag."""
        return sorted({site for site, tag, _ in self._series if tag == equipment})

    def list_series(self, site: str, equipment: str) -> list[SeriesDescription]:
        """Return the series of a piece of equipment, by name."""
        return [
            SeriesDescription(name, series.unit, series.aggregated, series.first_ms, series.last_ms)
            for (at, tag, name), series in sorted(self._series.items())
            if (at, tag) == (site, equipment)
            and series.first_ms is not None
            and series.last_ms is not None
        ]

    def query(
        self,
        site: str,
        equipment: str,
        series: str,
        start_ms: int,
        end_ms: int,
        max_points: int,
    ) -> Trend:
        """Return the points between two times, at most `max_points`; see `Historian.query`."""
        found = self._series.get((site, equipment, series))
        if found is None:
            return Trend.empty()
        if found.first_ms is None or found.last_ms is None:
            return Trend.empty(found.unit)
        start, end = max(start_ms, found.first_ms), min(end_ms, found.last_ms + 1)
        if start >= end:
            return Trend.empty(found.unit)
        width = bucket_width(end - start, max_points)
        level = level_of(width)
        # One snapshot for floors, counts and points, and no waiting for the writer.
        with _translated("could not answer"), self._snapshot() as connection:
            # From the start of an hour: where the first points are gone, their hour is left.
            within = max(start_ms, _hour_of(found.first_ms)), end
            chosen = (connection, found.number, found.interval_ms, within)
            floors = _floors(connection, found.number)
            windows = trends.read(*chosen, level, floors)
            few = int(windows.points.sum()) <= max_points
            if few and level is not Level.RAW:
                windows = trends.read(*chosen, Level.RAW, floors)
        if few:
            return Trend.of(found.unit, windows)
        origin, width = (within[0], end - within[0]) if max_points == 1 else (0, width)
        buckets = thin(windows, width, (start_ms, end_ms), start, origin)
        return Trend.of(found.unit, buckets, width)

    def waveform(self, waveform_id: str) -> WaveformRecord | None:
        """Return a waveform, None when there is none of this id."""
        with _translated("could not answer"), self._snapshot() as connection:
            return kept_waveforms.read(connection, waveform_id)

    @contextmanager
    def _snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connection.cursor()
        connection.begin()
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writer.begin()
        try:
            yield
            self._writer.commit()
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        try:
            self._writer.rollback()
        except duckdb.TransactionException:
            # A commit that failed has left nothing to roll back.
            return

    def close(self) -> None:
        """Write what is in the log to the files and close them."""
        with self._writing:
            self._writer.close()
            self._connection.close()


def _series(
    number: int, unit: str, aggregated: bool, interval_ms: int, first_ms: int | None,
    last_ms: int | None, points_from_ms: int, minutes_from_ms: int,
) -> Series:  # fmt: skip
    floors = Floors(points_from_ms, minutes_from_ms)
    return Series(number, unit, aggregated, interval_ms, first_ms, last_ms, floors)


def _hour_of(time_ms: int | None) -> int:
    return BEGINNING_MS if time_ms is None else time_ms // HOUR_MS * HOUR_MS


def _floors(connection: duckdb.DuckDBPyConnection, number: int) -> Floors:
    row = connection.execute(
        "select points_from_ms, minutes_from_ms from catalogue where series_id = ?", [number]
    ).fetchone()
    assert row is not None
    return Floors(*row)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise HistorianError(f"the historian {what}: {error}") from error
