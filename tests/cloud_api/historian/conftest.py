"""Both historians, for the same cases.

InfluxDB is a real one when `HEADRACE_TEST_INFLUXDB_URL` names it (as in HEADRACE_HISTORIAN_URL);
otherwise an HTTP server here stands in for it. It implements `/api/v2/write` for the line protocol,
and of Flux the stages which the historian sends.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloud_api.historian import Historian, open_historian

Tags = tuple[tuple[str, str], ...]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REDUCTIONS = {"mean": lambda v: sum(v) / len(v), "min": min, "max": max}
CSV_TYPES = {bool: "boolean", float: "double", int: "long", str: "string"}


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` unless it is escaped or within quotes."""
    parts, current, quoted, escaped = [], "", False, False
    for character in text:
        if escaped:
            current, escaped = current + "\\" + character, False
        elif character == "\\":
            escaped = True
        elif character == separator and not quoted:
            parts.append(current)
            current = ""
        else:
            quoted ^= character == '"'
            current += character
    return [*parts, current]


def _plain(text: str) -> str:
    return re.sub(r"\\([,= \\\"])", r"\1", text)


def _value(text: str) -> Any:
    if text.startswith('"'):
        return _plain(text[1:-1])
    if text.endswith("i"):
        return int(text[:-1])
    if text.lower() in ("true", "false", "t", "f"):
        return text.lower() in ("true", "t")
    return float(text)


class Points:
    """The points of a bucket: one table a measurement, tags and field."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, Tags, str], dict[int, Any]] = defaultdict(dict)

    def write(self, line: str) -> None:
        key, fields, time = _split(line, " ")
        measurement, *tags = _split(key, ",")
        pairs = tuple(tuple(_plain(p) for p in _split(tag, "=")) for tag in tags)
        for field in _split(fields, ","):
            name, value = _split(field, "=")
            self.tables[_plain(measurement), pairs, _plain(name)][int(time)] = _value(value)

    def query(self, flux: str) -> list[tuple[dict[str, str], list[tuple[int, Any]]]]:
        """Return tables: the columns that group it, and its times and values."""
        source, within, chosen, *rest = flux.split(" |> ")
        assert source.startswith("from(bucket: ")
        start, stop = _range(within)
        wanted = {
            name: json.loads(value.replace("\\${", "${"))
            for name, value in re.findall(r'r\["(.+?)"\] == ("(?:[^"\\]|\\.)*")', chosen)
        }
        found = []
        for (measurement, tags, field), points in sorted(self.tables.items()):
            columns = {"_measurement": measurement, "_field": field, **dict(tags)}
            rows = sorted((t, v) for t, v in points.items() if start <= t < stop)
            if rows and all(columns.get(name) == value for name, value in wanted.items()):
                for stage in rest:
                    rows = _stage(stage, rows)
                found.append((columns, rows))
        return found


def _range(stage: str) -> tuple[int, int]:
    limits = re.fullmatch(r"range\(start: time\(v: (.+)\), stop: time\(v: (.+)\)\)", stage)
    assert limits is not None, stage
    assert -(2**63) < int(limits[1]) < int(limits[2]) < 2**63
    return int(limits[1]) // 1_000_000, int(limits[2]) // 1_000_000


def _stage(stage: str, rows: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    if stage == "count()":
        return [(rows[0][0], len(rows))]
    if stage in ("first()", "last()"):
        return [rows[0 if stage == "first()" else -1]]
    window = re.fullmatch(
        r"aggregateWindow\(every: (\d+)ms, offset: (\d+)ms, fn: (\w+), "
        r'createEmpty: false, timeSrc: "_start"\)',
        stage,
    )
    assert window is not None, stage
    every, offset = int(window[1]), int(window[2])
    windows: dict[int, list[Any]] = defaultdict(list)
    for time, value in rows:
        windows[(time - offset) // every * every + offset].append(value)
    return [(time, REDUCTIONS[window[3]](values)) for time, values in sorted(windows.items())]


def _csv(tables: list[tuple[dict[str, str], list[tuple[int, Any]]]]) -> str:
    """Return annotated CSV, as /api/v2/query answers."""
    lines: list[str] = []
    for number, (columns, rows) in enumerate(tables):
        types = ["string", "long", "dateTime:RFC3339", CSV_TYPES[type(rows[0][1])]]
        lines.append(",".join(["#datatype", *types, *["string"] * len(columns)]))
        lines.append(",".join(["#group", *["false"] * 4, *["true"] * len(columns)]))
        lines.append(",".join(["#default", "_result", *[""] * (3 + len(columns))]))
        lines.append(",".join(["", "result", "table", "_time", "_value", *columns]))
        for time, value in rows:
            instant = (EPOCH + timedelta(milliseconds=time)).isoformat()
            cells = [instant, json.dumps(value) if isinstance(value, bool) else value]
            cells = ["", "", number, *cells, *columns.values()]
            lines.append(",".join('"' + str(c).replace('"', '""') + '"' for c in cells))
        lines.append("")
    return "\r\n".join(lines) + "\r\n"


class _Handler(BaseHTTPRequestHandler):
    points: Points

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.headers["Authorization"] == "Token a-token"
        if self.path.startswith("/api/v2/write?"):
            for line in body.split("\n"):
                self.points.write(line)
            self._answer(204, "")
        else:
            self._answer(200, _csv(self.points.query(json.loads(body)["query"])))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def influxdb_url() -> Iterator[str]:
    """Where an InfluxDB 2 is: a real one, or the server of this file."""
    real = os.environ.get("HEADRACE_TEST_INFLUXDB_URL")
    if real:
        yield real
        return
    handler = type("Handler", (_Handler,), {"points": Points()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"influxdb+http://plant:a-token@127.0.0.1:{server.server_port}/headrace"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["duckdb", "influxdb"])
def historian(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Historian]:
    """An empty historian of each kind."""
    if request.param == "duckdb":
        url = f"duckdb:///{tmp_path / 'historian.duckdb'}"
    else:
        url = request.getfixturevalue("influxdb_url")
    store = open_historian(url)
    yield store
    store.close()
