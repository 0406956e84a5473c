"""The historian of a plant: InfluxDB 2.

Points are the measurement `points` with the tags site, equipment and series; `series` has unit and
kind of each series at time zero; `waveforms` has raw samples in pieces, since a string field holds
64 KiB.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from cloud_api.historian.port import (
    HistorianError,
    SeriesBlock,
    SeriesDescription,
    Trend,
    WaveformRecord,
)

PIECE_BYTES = 32_768
PLOTTED = (("value", "mean"), ("minimum", "min"), ("maximum", "max"))
# Times are nanoseconds in 64 bits.
EARLIEST_MS, LATEST_MS = -9_223_286_400_000, 9_223_286_400_000


def _quoted(text: str) -> str:
    """Return a Flux string literal; `${` would start an interpolation."""
    return json.dumps(text, ensure_ascii=False).replace("${", "\\${")


def _where(**tags: str) -> str:
    clauses = " and ".join(f"r[{_quoted(name)}] == {_quoted(tags[name])}" for name in tags)
    return f"filter(fn: (r) => {clauses})"


def _range(start_ms: int, stop_ms: int) -> str:
    start, stop = (min(max(ms, EARLIEST_MS), LATEST_MS) for ms in (start_ms, stop_ms))
    return f"range(start: time(v: {start * 1_000_000}), stop: time(v: {stop * 1_000_000}))"


EVER = _range(EARLIEST_MS, LATEST_MS)


class InfluxDBHistorian:
    """Points, waveforms and the list of series in one bucket."""

    def __init__(self, url: str, organisation: str, token: str, bucket: str) -> None:
        """Prepare the client; the network is first touched by a call."""
        # Any: the library is typed in part only.
        client: Any = InfluxDBClient(url=url, token=token, org=organisation, timeout=30_000)
        self._client = client
        self._write_api: Any = client.write_api(write_options=SYNCHRONOUS)
        self._query_api: Any = client.query_api()
        self._bucket = bucket

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        """Keep points and waveforms; see `Historian.write`."""
        points = [point for block in blocks for point in _points(block)]
        points += [point for record in waveforms for point in _pieces(record)]
        if not points:
            return
        try:
            self._write_api.write(bucket=self._bucket, record=points, write_precision="ms")
        except (ApiException, HTTPError) as error:
            raise HistorianError(f"InfluxDB could not keep a batch: {error}") from error

    def sites(self, equipment: str) -> list[str]:
        """Return the sites that have series of the equipment with this tag."""
        records = self._records(EVER, _where(_measurement="series", equipment=equipment))
        return sorted({str(record["site"]) for record in records})

    def list_series(self, site: str, equipment: str) -> list[SeriesDescription]:
        """Return the series of a piece of equipment, by name."""
        described = self._described(site, equipment)
        chosen = _where(_measurement="points", site=site, equipment=equipment, _field="value")
        first = self._times(EVER, chosen, "first()")
        last = self._times(EVER, chosen, "last()")
        return [
            SeriesDescription(name, unit, aggregated, first[name], last[name])
            for name, (unit, aggregated) in sorted(described.items())
            if name in first and name in last
        ]

    def _described(self, site: str, equipment: str, **tags: str) -> dict[str, tuple[str, bool]]:
        """Return unit and kind by the name of the series."""
        chosen = _where(_measurement="series", site=site, equipment=equipment, **tags)
        found: dict[str, dict[str, Any]] = {}
        for record in self._records(EVER, chosen):
            found.setdefault(str(record["series"]), {})[record["_field"]] = record["_value"]
        return {
            name: (str(fields.get("unit", "")), bool(fields.get("aggregated", False)))
            for name, fields in found.items()
        }

    def _times(self, *stages: str) -> dict[str, int]:
        return {str(r["series"]): _milliseconds(r["_time"]) for r in self._records(*stages)}

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
        described = self._described(site, equipment, series=series)
        if series not in described or end_ms <= start_ms:
            return Trend.empty()
        unit, aggregated = described[series]
        tags = {"_measurement": "points", "site": site, "equipment": equipment, "series": series}
        within = _range(start_ms, end_ms)
        values = _where(**tags, _field="value")
        counted = [int(r["_value"]) for r in self._records(within, values, "count()")]
        if not counted or counted[0] == 0:
            return Trend.empty(unit)
        cut: str | None = None
        if counted[0] > max_points:
            first = self._times(within, values, "first()")[series]
            last = self._times(within, values, "last()")[series]
            width = -(-(last - first + 1) // max_points)
            cut = f"every: {width}ms, offset: {first % width}ms"
        columns = {}
        for field, reduction in PLOTTED:
            chosen = _where(**tags, _field=field if aggregated else "value")
            window = (
                f'aggregateWindow({cut}, fn: {reduction}, createEmpty: false, timeSrc: "_start")'
            )
            stages = [within, chosen] + ([window] if cut else [])
            columns[field] = {
                _milliseconds(r["_time"]): float(r["_value"]) for r in self._records(*stages)
            }
        times = sorted(columns["value"])
        value, minimum, maximum = (
            np.array([columns[field].get(t, columns["value"][t]) for t in times])
            for field, _ in PLOTTED
        )
        return Trend(unit, np.array(times, np.int64), value, minimum, maximum)

    def waveform(self, waveform_id: str) -> WaveformRecord | None:
        """Return a waveform, None when there is none of this id."""
        pieces: dict[int, dict[str, Any]] = {}
        for record in self._records(
            EVER, _where(_measurement="waveforms", waveform_id=waveform_id)
        ):
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

    def _records(self, *stages: str) -> Iterator[dict[str, Any]]:
        """Run a Flux query of `stages` on the bucket and yield its records."""
        flux = " |> ".join((f"from(bucket: {_quoted(self._bucket)})", *stages))
        try:
            for table in self._query_api.query(flux):
                for record in table.records:
                    yield record.values
        except (ApiException, HTTPError) as error:
            raise HistorianError(f"InfluxDB could not answer: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._write_api.close()
        self._client.close()


def _milliseconds(time: datetime) -> int:
    """Return a record's time in milliseconds since the epoch."""
    return round(time.timestamp() * 1000)


def _points(block: SeriesBlock) -> Iterator[dict[str, Any]]:
    """Yield a block for the line protocol: its description, then its finite points."""
    tags = {"site": block.site, "equipment": block.equipment, "series": block.series}
    described = {"unit": block.unit, "aggregated": block.aggregated}
    yield {"measurement": "series", "tags": tags, "fields": described, "time": 0}
    for index in np.flatnonzero(block.usable):
        fields: dict[str, float | int] = {"value": float(block.value[index])}
        if block.minimum is not None and block.maximum is not None:
            fields["minimum"] = float(block.minimum[index])
            fields["maximum"] = float(block.maximum[index])
        if block.count is not None:
            fields["count"] = int(block.count[index])
        time = int(block.time_ms[index])
        yield {"measurement": "points", "tags": tags, "fields": fields, "time": time}


def _pieces(record: WaveformRecord) -> Iterator[dict[str, Any]]:
    """Yield a waveform for the line protocol, a point a piece."""
    samples = record.samples.astype("<f4").tobytes()
    for piece, start in enumerate(range(0, max(len(samples), 1), PIECE_BYTES)):
        encoded = base64.b64encode(samples[start : start + PIECE_BYTES]).decode()
        yield {
            "measurement": "waveforms",
            "tags": {
                "waveform_id": record.waveform_id,
                "piece": str(piece),
                "site": record.site,
                "equipment": record.equipment,
                "channel": record.channel,
            },
            "fields": {
                "unit": record.unit,
                "sample_rate_hz": float(record.sample_rate_hz),
                "samples": encoded,
            },
            "time": record.start_time_ms,
        }
