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
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cloud_api.historian import Historian, Retention, open_historian

Tags = tuple[tuple[str, str], ...]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REDUCTIONS = {"sum": sum, "min": min, "max": max}
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


Row = tuple[int, Any]


class Buckets:
    """The points of every bucket: one table a measurement, tags and field."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str, Tags, str], dict[int, Any]] = defaultdict(dict)
        # Every script that was sent, for who wants to check them.
        self.scripts: list[str] = []

    def write(self, bucket: str, line: str) -> None:
        key, fields, time = _split(line, " ")
        measurement, *tags = _split(key, ",")
        pairs = tuple(tuple(_plain(p) for p in _split(tag, "=")) for tag in tags)
        for field in _split(fields, ","):
            name, value = _split(field, "=")
            table = self.tables[bucket, _plain(measurement), pairs, _plain(name)]
            table[int(time)] = _value(value)

    def delete(self, bucket: str, start: str, stop: str, predicate: str) -> None:
        first, last = (
            int((datetime.fromisoformat(t) - EPOCH) / timedelta(milliseconds=1))
            for t in (start, stop)
        )
        wanted = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', predicate))
        for (within, measurement, tags, _), points in self.tables.items():
            columns = {"_measurement": measurement, **dict(tags)}
            if within == bucket and all(columns.get(n) == _text(v) for n, v in wanted.items()):
                for time in [t for t in points if first <= t <= last]:
                    del points[time]

    def query(self, script: str) -> list[tuple[dict[str, str], list[Row]]]:
        """Run each statement; return tables: the columns that group it, its times and values."""
        self.scripts.append(script)
        return [table for statement in script.split("\n") for table in self._run(statement)]

    def _run(self, statement: str) -> list[tuple[dict[str, str], list[Row]]]:
        source, within, *rest = statement.split(" |> ")
        bucket = re.fullmatch(r'from\(bucket: "(.+)"\)', source)
        assert bucket is not None, source
        start, stop = _range(within)
        name = "_result"
        found = []
        for (inside, measurement, tags, field), points in sorted(self.tables.items()):
            rows = sorted((t, v) for t, v in points.items() if start <= t < stop)
            if inside == bucket[1] and rows:
                found.append(({"_measurement": measurement, "_field": field, **dict(tags)}, rows))
        for stage in rest:
            if stage.startswith("filter("):
                found = [(columns, rows) for columns, rows in found if _passes(stage, columns)]
            elif stage.startswith("to("):
                self._keep(json.loads(stage[len("to(bucket: ") : -1]), found)
            elif stage.startswith("yield("):
                name = json.loads(stage[len("yield(name: ") : -1])
            else:
                found = [(columns, _stage(stage, rows, start)) for columns, rows in found]
        return [({"result": name, **columns}, rows) for columns, rows in found]

    def _keep(self, bucket: str, found: list[tuple[dict[str, str], list[Row]]]) -> None:
        for columns, rows in found:
            tags = {n: v for n, v in columns.items() if not n.startswith("_")}
            key = (bucket, columns["_measurement"], tuple(tags.items()), columns["_field"])
            self.tables[key].update(dict(rows))


def _text(literal: str) -> Any:
    return json.loads(literal.replace("\\${", "${"))


def _passes(stage: str, columns: dict[str, str]) -> bool:
    clauses = re.findall(r'r\["(.+?)"\] == ("(?:[^"\\]|\\.)*")', stage)
    equal = [columns.get(name) == _text(value) for name, value in clauses]
    return any(equal) if " or r[" in stage else all(equal)


def _range(stage: str) -> tuple[int, int]:
    limits = re.fullmatch(r"range\(start: time\(v: (.+)\), stop: time\(v: (.+)\)\)", stage)
    assert limits is not None, stage
    assert -(2**63) < int(limits[1]) < int(limits[2]) < 2**63
    return int(limits[1]) // 1_000_000, int(limits[2]) // 1_000_000


def _stage(stage: str, rows: list[Row], start: int) -> list[Row]:
    if stage == "sum()":
        return [(rows[0][0], sum(value for _, value in rows))]
    if stage in ("first()", "last()"):
        return [rows[0 if stage == "first()" else -1]]
    window = re.fullmatch(
        r'aggregateWindow\(every: (\d+)ms, fn: (\w+), createEmpty: false, timeSrc: "_start"\)',
        stage,
    )
    assert window is not None, stage
    every = int(window[1])
    assert every * 1_000_000 < 2**63
    windows: dict[int, list[Any]] = defaultdict(list)
    for time, value in rows:
        # The first window begins where the range does.
        windows[max(time // every * every, start)].append(value)
    return [(time, REDUCTIONS[window[2]](values)) for time, values in sorted(windows.items())]


def _csv(tables: list[tuple[dict[str, str], list[tuple[int, Any]]]]) -> str:
    """Return annotated CSV, as /api/v2/query answers."""
    lines: list[str] = []
    for number, (found, rows) in enumerate(tables):
        columns = dict(found)
        result = columns.pop("result")
        types = ["string", "long", "dateTime:RFC3339", CSV_TYPES[type(rows[0][1])]]
        lines.append(",".join(["#datatype", *types, *["string"] * len(columns)]))
        lines.append(",".join(["#group", *["false"] * 4, *["true"] * len(columns)]))
        lines.append(",".join(["#default", result, *[""] * (3 + len(columns))]))
        lines.append(",".join(["", "result", "table", "_time", "_value", *columns]))
        for time, value in rows:
            instant = (EPOCH + timedelta(milliseconds=time)).isoformat()
            cells = [instant, json.dumps(value) if isinstance(value, bool) else value]
            cells = ["", "", number, *cells, *columns.values()]
            lines.append(",".join('"' + str(c).replace('"', '""') + '"' for c in cells))
        lines.append("")
    return "\r\n".join(lines) + "\r\n"


class _Handler(BaseHTTPRequestHandler):
    buckets: Buckets

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.headers["Authorization"] == "Token a-token"
        path = urlsplit(self.path)
        within = parse_qs(path.query).get("bucket", [""])[0]
        if path.path == "/api/v2/write":
            for line in body.split("\n"):
                self.buckets.write(within, line)
            self._answer(204, "")
        elif path.path == "/api/v2/delete":
            said = json.loads(body)
            self.buckets.delete(within, said["start"], said["stop"], said["predicate"])
            self._answer(204, "")
        else:
            self._answer(200, _csv(self.buckets.query(json.loads(body)["query"])))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def buckets() -> Buckets:
    """What the stand-in for InfluxDB keeps."""
    return Buckets()


@pytest.fixture
def influxdb_url(buckets: Buckets) -> Iterator[str]:
    """Where an InfluxDB 2 is: a real one, or the server of this file."""
    real = os.environ.get("HEADRACE_TEST_INFLUXDB_URL")
    if real:
        yield real
        return
    handler = type("Handler", (_Handler,), {"buckets": buckets})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"influxdb+http://plant:a-token@127.0.0.1:{server.server_port}/headrace"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["duckdb", "influxdb"])
def new_historian(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., Historian]]:
    """Makes historians of each kind, on the same store whenever it is asked to."""
    made: list[Historian] = []

    def make(**retention: int) -> Historian:
        while made:
            made.pop().close()
        url = (
            f"duckdb:///{tmp_path / 'historian.duckdb'}"
            if request.param == "duckdb"
            else request.getfixturevalue("influxdb_url")
        )
        made.append(open_historian(url, Retention(**retention)))
        return made[-1]

    yield make
    while made:
        made.pop().close()


@pytest.fixture
def historian(new_historian: Callable[..., Historian]) -> Historian:
    """An empty historian of each kind."""
    return new_historian()
