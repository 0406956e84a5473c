"""What the InfluxDB historian writes is taken by a real server of its line protocol.

VictoriaMetrics takes InfluxDB 2's writes but not its queries: a server in between answers these
with nothing, and the points are read by its own.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from cloud_api.historian import SeriesBlock
from cloud_api.historian.influxdb import InfluxDBHistorian

SERVER = shutil.which("victoria-metrics")
START = 1_767_225_600_000
PATIENCE_S = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server of the line protocol."""
    if SERVER is None:
        pytest.skip("no victoria-metrics on PATH")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = subprocess.Popen(
        [
            SERVER,
            f"-storageDataPath={tmp_path / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=100y",
        ],
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if httpx.get(f"{address}/health").status_code == 200:
                    break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture
def address(server: str) -> Iterator[str]:
    """Return where writes go on to the server, and queries find nothing."""

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = 200, b"\r\n"
            if self.path.startswith("/api/v2/write?"):
                passed = {"Content-Encoding": self.headers.get("Content-Encoding", "identity")}
                answer = httpx.post(f"{server}{self.path}", content=body, headers=passed)
                status, content = answer.status_code, answer.content
            self.send_response(status)
            self.send_header("Content-Type", "text/csv; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    front = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    thread = threading.Thread(target=front.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{front.server_port}"
    front.shutdown()
    thread.join()
    front.server_close()


def exported(address: str, name: str) -> list[tuple[dict[str, str], list[int], list[float]]]:
    """Return the labels, times and values of every series of a name, once they can be read."""
    deadline = time.monotonic() + PATIENCE_S
    query = {"match[]": f'{{__name__="{name}"}}', "start": str(START // 1000 - 10)}
    while True:
        # Points are visible once they are flushed.
        httpx.get(f"{address}/internal/force_flush").raise_for_status()
        lines = httpx.get(f"{address}/api/v1/export", params=query).text.splitlines()
        if lines or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    rows = [json.loads(line) for line in lines]
    return [(row["metric"], row["timestamps"], row["values"]) for row in rows]


def test_points_arrive_with_tags_times_and_values(server: str, address: str) -> None:
    historian = InfluxDBHistorian(address, "plant", "token", "headrace")
    times = START + 1000 * np.arange(3, dtype=np.int64)
    mean, low, high = np.array([1.5, np.nan, 2.5]), np.array([1.0] * 3), np.array([3.0] * 3)
    equipment = 'P-1, "east" = 1'
    historian.write(
        [
            SeriesBlock(
                "plant", equipment, "Vibration Drive End", "m/s2", times, mean, low, high,
                np.full(3, 3200), np.array([1.0, 0.5, np.nan]), 1000,
            )
        ]
    )  # fmt: skip
    historian.close()

    ((labels, at, values),) = exported(server, "points_value")
    assert {k: labels[k] for k in ("site", "equipment", "series")} == {
        "site": "plant",
        "equipment": equipment,
        "series": "Vibration Drive End",
    }
    assert (at, values) == ([START, START + 2000], [1.5, 2.5])
    for name, values in (
        ("points_minimum", [1.0, 1.0]),
        ("points_maximum", [3.0, 3.0]),
        ("points_count", [3200, 3200]),
        ("points_total", [4800.0, 8000.0]),
        ("points_points", [1, 1]),
        ("points_measured_ms", [1000.0]),
    ):
        assert [v for _, _, v in exported(server, name)] == [values], name
