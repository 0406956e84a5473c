"""The historian of a plant: InfluxDB 2.

Points are the measurement `points` with the tags site, equipment and series; `series` has unit and
kind of each series at time zero; `waveforms` has raw samples in pieces. Roll-ups are the same
measurement in two more buckets. They are made by the server, of exactly the windows that a batch
lies in and before the batch counts as kept: so late points are in them, and a crash leaves nothing
to remember.
"""

from __future__ import annotations

import base64
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from cloud_api.historian import flux
from cloud_api.historian.flux import EVER, POINTS, SERIES, WAVEFORMS
from cloud_api.historian.levels import (
    BEGINNING_MS,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Floors,
    Level,
    Range,
    Retention,
    Segment,
    bucket_width,
    level_of,
    segments,
)
from cloud_api.historian.line_protocol import point_lines, series_line, waveform_lines
from cloud_api.historian.port import (
    HistorianError,
    SeriesBlock,
    SeriesDescription,
    Trend,
    Usage,
    WaveformRecord,
)
from cloud_api.historian.windows import Windows, joined, thin

KEEP = Retention()
# Past that many machines a roll-up is of all of them.
NAMED_MACHINES = 20
# A duration is nanoseconds in 64 bits; the widest buckets are multiples of this.
WIDEST_MS = 28 * 2**11 * DAY_MS

Key = tuple[str, str, str]


class InfluxDBHistorian:
    """Points, waveforms and the list of series in one bucket; minutes and hours in two beside it.

    The buckets are `{bucket}`, `{bucket}_minutes` and `{bucket}_hours`, without a retention of
    their own: that would go by the wall clock, which event times need not.
    """

    def __init__(
        self, url: str, organisation: str, token: str, bucket: str, retention: Retention = KEEP
    ) -> None:
        """Prepare the client; the network is first touched by a call."""
        # Any: the library is typed in part only.
        client: Any = InfluxDBClient(url=url, token=token, org=organisation, timeout=30_000)
        self._client = client
        self._organisation = organisation
        self._write_api: Any = client.write_api(write_options=SYNCHRONOUS)
        self._query_api: Any = client.query_api()
        self._bucket = bucket
        self._buckets = {
            Level.RAW: bucket,
            Level.MINUTE: f"{bucket}_minutes",
            Level.HOUR: f"{bucket}_hours",
        }
        self._retention = retention
        self._writing = threading.Lock()
        self._newest: dict[Key, int] | None = None
        self._let_go: dict[Key, Floors] = {}
        self._expired = 0

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        """Keep points and waveforms, and roll up the windows they touch; see `Historian.write`."""
        with self._writing:
            newest = dict(self._known_newest())
            lines = [line for record in waveforms for line in waveform_lines(record)]
            touched: dict[int, set[str]] = defaultdict(set)
            expired = 0
            for block in blocks:
                key = (block.site, block.equipment, block.series)
                usable = block.usable
                if key in newest:
                    young = block.time_ms >= self._floors(newest[key]).raw_ms
                    expired += int(np.count_nonzero(usable & ~young))
                    usable &= young
                lines.append(series_line(block))
                lines += point_lines(block, usable)
                times = block.time_ms[usable]
                if times.size:
                    newest[key] = max(newest.get(key, BEGINNING_MS), int(times.max()))
                    for minute in np.unique(times // MINUTE_MS * MINUTE_MS).tolist():
                        touched[minute].add(block.equipment)
            if not lines:
                return
            try:
                self._write_api.write(
                    bucket=self._bucket, record="\n".join(lines), write_precision="ms"
                )
            except (ApiException, HTTPError) as error:
                raise HistorianError(f"InfluxDB could not keep a batch: {error}") from error
            for within, equipment in _together(touched):
                self._roll_up(within, equipment)
            self._newest = newest
            self._expired += expired

    def _roll_up(self, within: Range, equipment: set[str]) -> None:
        """Let the server roll up the minutes of a range, and the hours these lie in."""
        named = equipment if len(equipment) <= NAMED_MACHINES else set()
        hours = within[0] // HOUR_MS * HOUR_MS, -(-within[1] // HOUR_MS) * HOUR_MS
        for level, span in ((Level.MINUTE, within), (Level.HOUR, hours)):
            finer, into = self._buckets[level.finer], self._buckets[level]
            self._run(flux.rolled_up(finer, into, level, span, named))

    def _known_newest(self) -> dict[Key, int]:
        """Return the time of each series' newest point, or the end of its newest hour."""
        if self._newest is None:
            script = " |> ".join(
                (
                    flux.source(self._buckets[Level.HOUR], EVER),
                    flux.where(_measurement=POINTS, _field="points"),
                    "last()",
                )
            )
            self._newest = {
                (str(r["site"]), str(r["equipment"]), str(r["series"])): _milliseconds(r["_time"])
                for r in self._records(script)
            }
        return self._newest

    def _floors(self, newest_ms: int) -> Floors:
        keep = self._retention
        raw, minute = (
            (newest_ms // DAY_MS - days) * DAY_MS if days else BEGINNING_MS
            for days in (keep.raw_days, keep.minute_days)
        )
        return Floors(raw, minute)

    def tend(self) -> Usage:
        """Delete what is past its age, a day at a time; see `Historian.tend`."""
        with self._writing:
            for key, newest in self._known_newest().items():
                floors = self._floors(newest)
                if self._let_go.get(key) == floors:
                    continue
                tags = dict(zip(("site", "equipment", "series"), key, strict=True))
                hours = self._retention.hour_days
                for level, floor in (
                    (Level.RAW, floors.raw_ms),
                    (Level.MINUTE, floors.minute_ms),
                    (Level.HOUR, (newest // DAY_MS - hours) * DAY_MS if hours else BEGINNING_MS),
                ):
                    self._delete(self._buckets[level], floor, _measurement=POINTS, **tags)
                days = self._retention.waveform_days
                self._delete(
                    self._bucket,
                    (newest // DAY_MS - days) * DAY_MS if days else BEGINNING_MS,
                    _measurement=WAVEFORMS,
                    site=key[0],
                    equipment=key[1],
                )
                self._let_go[key] = floors
            return Usage(expired=self._expired)

    def _delete(self, bucket: str, before_ms: int, **columns: str) -> None:
        if before_ms <= EVER[0]:
            return
        predicate = " AND ".join(f"{name}={flux.quoted(columns[name])}" for name in columns)
        try:
            self._client.delete_api().delete(
                _instant(EVER[0]), _instant(before_ms - 1), predicate, bucket, self._organisation
            )
        except (ApiException, HTTPError) as error:
            raise HistorianError(f"InfluxDB could not delete: {error}") from error

    def sites(self, equipment: str) -> list[str]:
        """Return the sites that have series of the equipment with this tag."""
        return sorted({str(r["site"]) for r in self._describing(equipment=equipment)})

    def _describing(self, **tags: str) -> Iterator[dict[str, Any]]:
        chosen = flux.where(_measurement=SERIES, **tags)
        return self._records(f"{flux.source(self._bucket, EVER)} |> {chosen}")

    def _described(self, **tags: str) -> dict[str, dict[str, Any]]:
        """Return unit, kind and interval by the name of the series."""
        found: dict[str, dict[str, Any]] = {}
        for record in self._describing(**tags):
            series = found.setdefault(str(record["series"]), {"interval_ms": 0})
            series[record["_field"]] = record["_value"]
        return found

    def list_series(self, site: str, equipment: str) -> list[SeriesDescription]:
        """Return the series of a piece of equipment, by name."""
        tags = {"site": site, "equipment": equipment}
        extents = self._extents(**tags)
        return [
            SeriesDescription(name, str(said["unit"]), bool(said["aggregated"]), *extents[name])
            for name, said in sorted(self._described(**tags).items())
            if name in extents
        ]

    def _extents(self, **tags: str) -> dict[str, Range]:
        """Return the times of the first and the last point by the name of the series."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        script = []
        for name, level, stage in (
            ("hour", Level.HOUR, "first()"),
            ("first", Level.RAW, "first()"),
            ("last", Level.RAW, "last()"),
        ):
            chosen = flux.where(_measurement=POINTS, **tags, _field="points")
            source = flux.source(self._buckets[level], EVER)
            script.append(f'{source} |> {chosen} |> {stage} |> yield(name: "{name}")')
        for record in self._records("\n".join(script)):
            found[str(record["series"])][record["result"]] = _milliseconds(record["_time"])
        return {
            name: (_first(at["hour"], at["first"]), at["last"])
            for name, at in found.items()
            if {"hour", "first", "last"} <= at.keys()
        }

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
        tags = {"site": site, "equipment": equipment, "series": series}
        described = self._described(**tags)
        if series not in described:
            return Trend.empty()
        unit, interval_ms = str(described[series]["unit"]), int(described[series]["interval_ms"])
        extent = self._extents(**tags).get(series)
        if extent is None:
            return Trend.empty(unit)
        start, end = max(start_ms, extent[0]), min(end_ms, extent[1] + 1)
        if start >= end:
            return Trend.empty(unit)
        width = bucket_width(end - start, max_points)
        floors = self._floors(extent[1])
        # From the start of an hour: where the first points are gone, their hour is left.
        within = max(start_ms, extent[0] // HOUR_MS * HOUR_MS), end
        chosen = list(segments(level_of(width), within, floors))
        counts = self._records(flux.sums(self._buckets, chosen, **tags))
        if sum(int(record["_value"]) for record in counts) <= max_points:
            chosen = list(segments(Level.RAW, within, floors))
            return Trend.of(unit, self._windows(chosen, 0, interval_ms, tags))
        windows = self._windows(chosen, min(width, WIDEST_MS), interval_ms, tags)
        origin, width = (within[0], end - within[0]) if max_points == 1 else (0, width)
        return Trend.of(unit, thin(windows, width, (start_ms, end_ms), start, origin), width)

    def _windows(
        self, chosen: Sequence[Segment], width_ms: int, interval_ms: int, tags: dict[str, str]
    ) -> Windows:
        """Read segments, cut into windows of `width_ms` unless that is 0."""
        fields: list[dict[str, dict[int, float]]] = [defaultdict(dict) for _ in chosen]
        for record in self._records(flux.trend(self._buckets, chosen, width_ms, **tags)):
            field, _, number = str(record["result"]).partition(" ")
            fields[int(number)][field][_milliseconds(record["_time"])] = record["_value"]
        return joined(
            [
                _windows(found, float(width_ms or segment.level or interval_ms or np.nan))
                for found, segment in zip(fields, chosen, strict=True)
            ]
        )

    def waveform(self, waveform_id: str) -> WaveformRecord | None:
        """Return a waveform, None when there is none of this id."""
        pieces: dict[int, dict[str, Any]] = {}
        chosen = flux.where(_measurement=WAVEFORMS, waveform_id=waveform_id)
        for record in self._records(f"{flux.source(self._bucket, EVER)} |> {chosen}"):
            piece = pieces.setdefault(int(record["piece"]), dict(record))
            piece[record["_field"]] = record["_value"]
        if not pieces:
            return None
        head = pieces[0]
        samples = b"".join(base64.b64decode(pieces[n]["samples"]) for n in sorted(pieces))
        return WaveformRecord(
            waveform_id=waveform_id,
            site=str(head["site"]),
            equipment=str(head["equipment"]),
            channel=str(head["channel"]),
            unit=str(head["unit"]),
            start_time_ms=_milliseconds(head["_time"]),
            sample_rate_hz=float(head["sample_rate_hz"]),
            samples=np.frombuffer(samples, "<f4"),
        )

    def _records(self, script: str) -> Iterator[dict[str, Any]]:
        """Run a script and yield the records of its results."""
        try:
            for table in self._query_api.query(script):
                for record in table.records:
                    yield record.values
        except (ApiException, HTTPError) as error:
            raise HistorianError(f"InfluxDB could not answer: {error}") from error

    def _run(self, script: str) -> None:
        """Run a script for what it does."""
        try:
            self._query_api.query_raw(script).read()
        except (ApiException, HTTPError) as error:
            raise HistorianError(f"InfluxDB could not roll up: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._write_api.close()
        self._client.close()


def _windows(found: dict[str, dict[int, float]], width_ms: float) -> Windows:
    times = sorted(found["count"])
    columns = {
        name: np.array([found[name].get(t, np.nan) for t in times])
        for name in ("total", "minimum", "maximum", "measured_ms")
    }
    count = np.array([found["count"][t] for t in times], np.int64)
    # A window has no mean of its own; rounding does not lift it over its extremes.
    mean = np.clip(columns["total"] / count, columns["minimum"], columns["maximum"])
    value = [found["value"].get(t, m) for t, m in zip(times, mean.tolist(), strict=True)]
    return Windows(
        time_ms=np.array(times, np.int64),
        value=np.array(value, np.float64),
        minimum=columns["minimum"],
        maximum=columns["maximum"],
        count=count,
        points=np.array([found["points"][t] for t in times], np.int64),
        measured_ms=columns["measured_ms"],
        width_ms=np.full(len(times), width_ms),
    )


def _first(hour_ms: int, point_ms: int) -> int:
    """Return the time of a series' first point; its hour's where the point itself is gone."""
    return hour_ms if hour_ms < point_ms // HOUR_MS * HOUR_MS else point_ms


def _together(touched: dict[int, set[str]]) -> Iterable[tuple[Range, set[str]]]:
    """Return the touched minutes as ranges of time, apart where an hour or more is between."""
    found: list[tuple[Range, set[str]]] = []
    for minute in sorted(touched):
        end = minute + MINUTE_MS
        if found and minute - found[-1][0][1] < HOUR_MS:
            (start, _), equipment = found[-1]
            found[-1] = (start, end), equipment | touched[minute]
        else:
            found.append(((minute, end), touched[minute]))
    return found


def _milliseconds(time: datetime) -> int:
    """Return a record's time in milliseconds since the epoch."""
    return round(time.timestamp() * 1000)


def _instant(milliseconds: int) -> str:
    """Return RFC 3339 of a time."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{rest:03}Z")
