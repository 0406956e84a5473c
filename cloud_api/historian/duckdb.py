"""The embedded historian: one DuckDB file."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cloud_api.historian.port import (
    HistorianError,
    SeriesBlock,
    SeriesDescription,
    Trend,
    WaveformRecord,
)

# No primary key on points: DuckDB holds the whole of an index in memory, and a plant has a hundred
# million points. `write` deletes what it replaces instead; the zone maps on time make that cheap.
SCHEMA = """
create sequence if not exists series_id;
create table if not exists series (
    series_id integer primary key default nextval('series_id'),
    site varchar not null, equipment varchar not null, series varchar not null,
    unit varchar not null, aggregated boolean not null,
    unique (site, equipment, series)
);
create table if not exists extent (
    series_id integer not null, first_ms bigint not null, last_ms bigint not null
);
create table if not exists points (
    series_id integer not null, time_ms bigint not null, value double not null,
    minimum double, maximum double, count bigint
);
create table if not exists waveforms (
    waveform_id varchar primary key, site varchar not null, equipment varchar not null,
    channel varchar not null, unit varchar not null, start_time_ms bigint not null,
    sample_rate_hz double not null, samples blob not null
);
"""

REPLACED = """
delete from points using batch
where points.series_id = batch.series_id and points.time_ms = batch.time_ms
  and points.time_ms between ? and ?
"""
INSERTED = """
insert into points
select series_id, time_ms, value,
       case when isnan(minimum) then null else minimum end,
       case when isnan(maximum) then null else maximum end,
       case when isnan(minimum) then null else count end
from batch order by series_id, time_ms
"""
WIDENED = """
update extent set first_ms = least(extent.first_ms, wider.first_ms),
                  last_ms = greatest(extent.last_ms, wider.last_ms)
from (select series_id, min(time_ms) first_ms, max(time_ms) last_ms from batch group by all) wider
where extent.series_id = wider.series_id
  and (wider.first_ms < extent.first_ms or wider.last_ms > extent.last_ms)
"""
STARTED = """
insert into extent
select series_id, min(time_ms), max(time_ms) from batch
where series_id not in (select series_id from extent) group by series_id
"""
CHOSEN = "from points where series_id = ? and time_ms >= ? and time_ms < ?"

Key = tuple[str, str, str]


class DuckDBHistorian:
    """Points, waveforms and the list of series in one file; one writer, many readers."""

    def __init__(self, path: Path, memory_limit: str = "256MB") -> None:
        """Open or create the file.

        Raises:
            HistorianError: it is no historian, or another process has it open.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One thread: the machine's other cores belong to the flow.
            self._connection = duckdb.connect(
                str(path), config={"memory_limit": memory_limit, "threads": 1}
            )
            self._connection.execute(SCHEMA)
        except (duckdb.Error, OSError) as error:
            raise HistorianError(f"the historian {path} cannot be opened: {error}") from error
        self._writer = self._connection.cursor()
        self._writing = threading.Lock()
        rows = self._writer.execute(
            "select site, equipment, series, series_id, unit, aggregated from series"
        ).fetchall()
        self._known: dict[Key, tuple[int, str, bool]] = {
            (site, equipment, series): (number, unit, aggregated)
            for site, equipment, series, number, unit, aggregated in rows
        }

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        """Keep points and waveforms in one transaction; see `Historian.write`."""
        with self._writing:
            before, known = self._known, dict(self._known)
            try:
                self._writer.begin()
                self._write_points(blocks, known)
                for record in waveforms:
                    self._write_waveform(record)
                # Before the commit: whoever sees a new series' points must find its number.
                self._known = known
                self._writer.commit()
            except duckdb.Error as error:
                self._known = before
                self._writer.rollback()
                raise HistorianError(f"the historian could not keep a batch: {error}") from error

    def _write_points(
        self, blocks: Sequence[SeriesBlock], known: dict[Key, tuple[int, str, bool]]
    ) -> None:
        batch = _batch([(self._number(block, known), block) for block in blocks])
        if batch["time_ms"].size == 0:
            return
        times = batch["time_ms"]
        self._writer.register("batch", batch)
        try:
            self._writer.execute(REPLACED, [int(times.min()), int(times.max())])
            self._writer.execute(INSERTED)
            self._writer.execute(WIDENED)
            self._writer.execute(STARTED)
        finally:
            self._writer.unregister("batch")

    def _number(self, block: SeriesBlock, known: dict[Key, tuple[int, str, bool]]) -> int:
        """Return the number of the block's series, after noting a new one or a new unit."""
        key = (block.site, block.equipment, block.series)
        found = known.get(key)
        if found is None:
            row = self._writer.execute(
                "insert into series (site, equipment, series, unit, aggregated) "
                "values (?, ?, ?, ?, ?) returning series_id",
                [*key, block.unit, block.aggregated],
            ).fetchone()
            assert row is not None
            number = int(row[0])
        else:
            number = found[0]
            if found[1:] != (block.unit, block.aggregated):
                self._writer.execute(
                    "update series set unit = ?, aggregated = ? where series_id = ?",
                    [block.unit, block.aggregated, number],
                )
        known[key] = (number, block.unit, block.aggregated)
        return number

    def _write_waveform(self, record: WaveformRecord) -> None:
        self._writer.execute(
            "insert or replace into waveforms values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                record.waveform_id,
                record.site,
                record.equipment,
                record.channel,
                record.unit,
                record.start_time_ms,
                record.sample_rate_hz,
                record.samples.astype("<f4").tobytes(),
            ],
        )

    def sites(self, equipment: str) -> list[str]:
        """Return the sites that have series of the equipment with this tag."""
        return sorted({site for site, tag, _ in self._known if tag == equipment})

    def list_series(self, site: str, equipment: str) -> list[SeriesDescription]:
        """Return the series of a piece of equipment, by name."""
        rows = self._read(
            "select series, unit, aggregated, first_ms, last_ms from series join extent "
            "using (series_id) where site = ? and equipment = ? order by series",
            [site, equipment],
        ).fetchall()
        return [SeriesDescription(*row) for row in rows]

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
        found = self._known.get((site, equipment, series))
        if found is None:
            return Trend.empty()
        number, unit, _ = found
        chosen = [number, start_ms, end_ms]
        extent = self._read(
            f"select count(*), min(time_ms), max(time_ms) {CHOSEN}", chosen
        ).fetchone()
        assert extent is not None
        count, first, last = extent
        if count == 0:
            return Trend.empty(unit)
        if count <= max_points:
            sql = (
                "select time_ms, value, coalesce(minimum, value) as minimum, "
                f"coalesce(maximum, value) as maximum {CHOSEN} order by time_ms"
            )
            rows = self._read(sql, chosen).fetchnumpy()
        else:
            sql = (
                "select min(time_ms) as time_ms, avg(value) as value, "
                "min(coalesce(minimum, value)) as minimum, "
                f"max(coalesce(maximum, value)) as maximum {CHOSEN} "
                "group by (time_ms - ?) * ? // ? order by 1"
            )
            cut = [first, max_points, last - first + 1]
            rows = self._read(sql, [*chosen, *cut]).fetchnumpy()
        return Trend(unit, rows["time_ms"], rows["value"], rows["minimum"], rows["maximum"])

    def waveform(self, waveform_id: str) -> WaveformRecord | None:
        """Return a waveform, None when there is none of this id."""
        row = self._read("select * from waveforms where waveform_id = ?", [waveform_id]).fetchone()
        if row is None:
            return None
        identity, site, equipment, channel, unit, start_time_ms, sample_rate_hz, samples = row
        return WaveformRecord(
            identity, site, equipment, channel, unit, start_time_ms, sample_rate_hz,
            np.frombuffer(samples, "<f4"),
        )  # fmt: skip

    def _read(self, sql: str, parameters: list[Any]) -> duckdb.DuckDBPyConnection:
        """Run a query on a cursor of its own, so that readers never wait for the writer."""
        try:
            return self._connection.cursor().execute(sql, parameters)
        except duckdb.Error as error:
            raise HistorianError(f"the historian could not answer: {error}") from error

    def close(self) -> None:
        """Write what is in the log to the file and close it."""
        with self._writing:
            self._writer.close()
            self._connection.close()


def _batch(numbered: Sequence[tuple[int, SeriesBlock]]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the blocks as columns: finite values only, of equal keys the last."""
    names = ("series_id", "time_ms", "value", "minimum", "maximum", "count", "usable")
    columns: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in names}
    for number, block in numbered:
        length = len(block.time_ms)
        missing = np.full(length, np.nan)
        columns["series_id"].append(np.full(length, number, np.int32))
        columns["time_ms"].append(np.asarray(block.time_ms, np.int64))
        columns["value"].append(np.asarray(block.value, np.float64))
        columns["minimum"].append(missing if block.minimum is None else block.minimum)
        columns["maximum"].append(missing if block.maximum is None else block.maximum)
        columns["usable"].append(block.usable)
        columns["count"].append(np.zeros(length, np.int64) if block.count is None else block.count)
    if not numbered:
        return {name: np.empty(0, np.int64) for name in columns}
    flat = {name: np.concatenate(parts) for name, parts in columns.items()}
    # A stable sort leaves equal keys in the order of writing: the last of each run is kept.
    order = np.lexsort((flat["time_ms"], flat["series_id"]))
    order = order[flat.pop("usable")[order]]
    ids, times = flat["series_id"][order], flat["time_ms"][order]
    last = np.ones(order.size, bool)
    last[:-1] = (ids[1:] != ids[:-1]) | (times[1:] != times[:-1])
    return {name: column[order[last]] for name, column in flat.items()}
