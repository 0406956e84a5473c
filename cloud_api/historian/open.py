"""Choose the historian by its URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cloud_api.historian.levels import Retention
from cloud_api.historian.port import Historian, HistorianError

KEEP = Retention()
MEMORY_LIMIT = "256MB"


def open_historian(url: str, retention: Retention = KEEP) -> Historian:
    """Open the historian at `url`, to keep what it keeps for as long as `retention` says.

    `duckdb:///{path}` is a file, of which DuckDB keeps up to 256 MB in memory unless
    `?memory_limit={size}` follows; `influxdb+http://{organisation}:{token}@{host}:{port}/{bucket}`
    (or `influxdb+https`) is an InfluxDB 2.

    Raises:
        HistorianError: the URL is of no known kind, or the store cannot be opened.
    """
    parts = urlsplit(url)
    if parts.scheme == "duckdb":
        from cloud_api.historian.duckdb import DuckDBHistorian

        limit = parse_qs(parts.query).get("memory_limit", [MEMORY_LIMIT])[-1]
        return DuckDBHistorian(Path(unquote(parts.path.removeprefix("/"))), retention, limit)
    if parts.scheme in ("influxdb+http", "influxdb+https"):
        from cloud_api.historian.influxdb import InfluxDBHistorian

        bucket = parts.path.strip("/")
        if not (parts.hostname and parts.username and parts.password and bucket):
            raise HistorianError(
                "the historian's URL needs organisation, token, host and bucket: "
                "influxdb+http://ORGANISATION:TOKEN@HOST:8086/BUCKET"
            )
        host = parts.netloc.rpartition("@")[2]
        return InfluxDBHistorian(
            url=f"{parts.scheme.removeprefix('influxdb+')}://{host}",
            organisation=unquote(parts.username),
            token=unquote(parts.password),
            bucket=unquote(bucket),
            retention=retention,
        )
    raise HistorianError(
        f"no historian is of the kind {parts.scheme!r}: use duckdb, influxdb+http or influxdb+https"
    )
