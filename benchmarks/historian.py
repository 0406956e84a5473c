"""The historian beside InfluxDB 1.6 and VictoriaMetrics: writing, and the charts of a day and more.

Same points, same machine, same run, each store on a scratch folder. A point is mean, minimum,
maximum and count of a second of one channel. The peers get them as the line protocol over HTTP,
encoded beforehand; ours gets arrays, as the server hands them over. _Ours and InfluxDB have a batch
on disk (fsync) before the next, VictoriaMetrics has not; ours makes its roll-ups in that time too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import numpy as np

from benchmarks.machine import describe
from cloud_api.historian import Retention, SeriesBlock
from cloud_api.historian.duckdb import DuckDBHistorian
from cloud_api.historian.levels import bucket_width
from cloud_api.historian.line_protocol import point_lines

START_MS = 1_767_225_600_000
DAY_S = 86_400
MACHINES = 20
BATCH_POINTS = 20_000
CHANNEL = "Vibration Drive End"
POINTS = 2000
REPEATS = 9
PATIENCE_S = 60.0
KEEP_ALL = Retention(raw_days=0, minute_days=0, hour_days=0, total_bytes=0)


def batches(machines: Sequence[str], start_s: int, end_s: int) -> Iterator[list[SeriesBlock]]:
    """Yield batches of `BATCH_POINTS`, as long of each machine, in the order of time."""
    length = BATCH_POINTS // len(machines)
    random = np.random.default_rng(start_s)
    for second in range(start_s, end_s, length):
        size = min(length, end_s - second)
        times = START_MS + 1000 * np.arange(second, second + size, dtype=np.int64)
        blocks = []
        for machine in machines:
            # As many digits as a sensor has.
            mean = np.round(random.normal(2.0, 0.5, size), 4)
            spread = np.round(random.exponential(0.5, size), 4)
            ones = np.ones(size)
            blocks.append(
                SeriesBlock(
                    "plant", machine, CHANNEL, "m/s2", times, mean, mean - spread, mean + spread,
                    np.full(size, 3200), ones, 1000,
                )
            )  # fmt: skip
        yield blocks


class Store(Protocol):
    """A store under test."""

    name: str

    def take(self, blocks: Sequence[SeriesBlock]) -> Callable[[], None]:
        """Prepare a batch and return what writes it."""

    def finish(self) -> None:
        """Make everything written readable."""

    def chart(self, machine: str, start_ms: int, end_ms: int, width_ms: int) -> int:
        """Read mean, minimum and maximum by windows; return how many there were."""

    def worked(self) -> float:
        """Return the processor's seconds it has taken, of any core."""

    def close(self) -> None:
        """Stop it."""


class _Ours:
    """The embedded historian."""

    def __init__(self, folder: Path) -> None:
        self.name = "Headrace on DuckDB"
        self._historian = DuckDBHistorian(
            folder / "historian.duckdb", KEEP_ALL, clock=lambda: time.monotonic() * 1e6
        )

    def take(self, blocks: Sequence[SeriesBlock]) -> Callable[[], None]:
        return lambda: self._historian.write(blocks)

    def finish(self) -> None:
        self._historian.tend()

    def chart(self, machine: str, start_ms: int, end_ms: int, width_ms: int) -> int:
        found = self._historian.query("plant", machine, CHANNEL, start_ms, end_ms, POINTS)
        return int(found.time_ms.size)

    def worked(self) -> float:
        return time.process_time()

    def close(self) -> None:
        self._historian.close()


@dataclass
class _Server:
    """A server of a peer, gone after the run."""

    process: subprocess.Popen[bytes]
    http: httpx.Client

    def wait(self, path: str) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self.http.get(path).status_code < 300:
                    return
            except httpx.TransportError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
            time.sleep(0.05)

    def worked(self) -> float:
        """Return the processor's seconds it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(PATIENCE_S)


def _started(command: Sequence[str], port: int, ready: str, **environment: str) -> _Server:
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600, trust_env=False)
    server = _Server(process, client)
    try:
        server.wait(ready)
    except BaseException:
        server.close()
        raise
    return server


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _lines(blocks: Sequence[SeriesBlock]) -> bytes:
    chosen = np.ones(blocks[0].time_ms.size, bool)
    lines = (line for block in blocks for line in point_lines(block, chosen))
    # What our InfluxDB historian adds for its roll-ups is left out: the peers do not need it.
    return "\n".join(_plain(line) for line in lines).encode()


def _plain(line: str) -> str:
    head, _, time_ms = line.rpartition(" ")
    kept, _, rest = head.partition(",total=")
    return f"{kept},{rest.split(',')[1]} {time_ms}"


class _InfluxDB:
    """InfluxDB 1."""

    def __init__(self, folder: Path, program: str) -> None:
        port, backup = _free_port(), _free_port()
        configuration = folder / "influxdb.conf"
        configuration.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{backup}"\n'
            f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\n'
            f'wal-dir = "{folder}/wal"\nquery-log-enabled = false\n'
            f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
        )
        version = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
        self.name = " ".join(version.stdout.split()[:2])
        self._server = _started([program, "-config", str(configuration)], port, "/ping")
        self._server.http.post("/query", params={"q": "create database b"}).raise_for_status()

    def take(self, blocks: Sequence[SeriesBlock]) -> Callable[[], None]:
        body = _lines(blocks)
        parameters = {"db": "b", "precision": "ms"}
        http = self._server.http
        return lambda: http.post("/write", params=parameters, content=body).raise_for_status()  # type: ignore[return-value]

    def finish(self) -> None:
        """Written is readable."""

    def chart(self, machine: str, start_ms: int, end_ms: int, width_ms: int) -> int:
        question = (
            "select mean(value), min(minimum), max(maximum) from points "
            f"where equipment = '{machine}' and \"series\" = '{CHANNEL}' and time >= {start_ms}ms "
            f"and time < {end_ms}ms group by time({width_ms}ms) fill(none)"
        )
        answer = self._server.http.get("/query", params={"db": "b", "q": question, "epoch": "ms"})
        return len(answer.raise_for_status().json()["results"][0]["series"][0]["values"])

    def worked(self) -> float:
        return self._server.worked()

    def close(self) -> None:
        self._server.close()


class _VictoriaMetrics:
    """VictoriaMetrics, which keeps each field as a series of its own."""

    def __init__(self, folder: Path, program: str) -> None:
        port = _free_port()
        self._server = _started(
            [
                program, f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{port}",
                "-retentionPeriod=100y", "-search.maxPointsPerTimeseries=100000",
            ],
            port,
            "/health",
        )  # fmt: skip
        said = re.search(
            r'vm_app_version\{version="([^"]*)"', self._server.http.get("/metrics").text
        )
        self.name = f"VictoriaMetrics {said[1].split('-')[-1] if said and said[1] else ''}".strip()

    def take(self, blocks: Sequence[SeriesBlock]) -> Callable[[], None]:
        body = _lines(blocks)
        http = self._server.http
        parameters = {"precision": "ms"}
        return lambda: http.post("/write", params=parameters, content=body).raise_for_status()  # type: ignore[return-value]

    def finish(self) -> None:
        self._server.http.get("/internal/force_flush").raise_for_status()

    def chart(self, machine: str, start_ms: int, end_ms: int, width_ms: int) -> int:
        found = 0
        for function, field in (("avg", "value"), ("min", "minimum"), ("max", "maximum")):
            chosen = f'points_{field}{{equipment="{machine}",series="{CHANNEL}"}}'
            parameters: dict[str, str | int | float] = {
                "query": f"{function}_over_time({chosen}[{width_ms}ms])",
                "start": (start_ms + width_ms) / 1000,
                "end": end_ms / 1000,
                "step": f"{width_ms}ms",
                "nocache": 1,
            }
            answer = self._server.http.get("/api/v1/query_range", params=parameters)
            found = len(answer.raise_for_status().json()["data"]["result"][0]["values"])
        return found

    def worked(self) -> float:
        return self._server.worked()

    def close(self) -> None:
        self._server.close()


def written(stores: Sequence[Store], machines: Sequence[str], start_s: int, end_s: int) -> None:
    """Write the same to all in turns, batch by batch, and print the rates.

    By the clock, and by the processor's time: that of the peers' sending, which is ours, is not in
    theirs, and what a peer does after it has answered is.
    """
    spent = dict.fromkeys((store.name for store in stores), 0.0)
    before = {store.name: store.worked() for store in stores[1:]}
    worked = 0.0
    points = 0

    def timed(store: Store, step: Callable[[], object]) -> None:
        nonlocal worked
        begin, cpu = time.perf_counter(), time.process_time()
        step()
        spent[store.name] += time.perf_counter() - begin
        if store is stores[0]:
            worked += time.process_time() - cpu

    for blocks in batches(machines, start_s, end_s):
        points += sum(block.time_ms.size for block in blocks)
        for store in stores:
            timed(store, store.take(blocks))
    for store in stores:
        timed(store, store.finish)
    print(f"\n{points:,} points of {len(machines)} channels, {BATCH_POINTS:,} a batch")
    cpu = {stores[0].name: worked}
    cpu |= {store.name: store.worked() - before[store.name] for store in stores[1:]}
    ours = stores[0].name
    for name, seconds in spent.items():
        ratio = f"   ours is {seconds / spent[ours]:.2f} times as fast" if name != ours else ""
        rate = f"{points / seconds:10,.0f} points/s, {points / cpu[name]:10,.0f} a second of a core"
        print(f"  {name:24} {rate}{ratio}")


def drawn(stores: Sequence[Store], title: str, machine: str, start_s: int, end_s: int) -> None:
    """Read one chart from all in turns, and print the middle of the times."""
    spent: dict[str, list[float]] = {store.name: [] for store in stores}
    sizes: dict[str, int] = {}
    width = bucket_width((end_s - start_s) * 1000, POINTS)
    for repeat in range(REPEATS):
        # A window further each time, so that no answer is one that was given before.
        start, end = (START_MS + s * 1000 + repeat * width for s in (start_s, end_s))
        for store in stores:
            begin = time.perf_counter()
            sizes[store.name] = store.chart(machine, start, end, width)
            spent[store.name].append(time.perf_counter() - begin)
    print(f"\n{title}: windows of {width / 1000:,.0f} s")
    ours = statistics.median(spent[stores[0].name])
    for name, times in spent.items():
        middle = statistics.median(times)
        ratio = "" if name == stores[0].name else f"   ours is {middle / ours:.2f} times as fast"
        print(f"  {name:24} {middle * 1e3:9.1f} ms, {sizes[name]:5} points{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="of the one channel that has so many")
    days = parser.parse_args().days
    print(describe("duckdb", "numpy"))
    folder = Path(tempfile.mkdtemp(prefix="historian-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stores: list[Store] = [_Ours(folder / "ours")]
        stack.callback(stores[0].close)
        peers: tuple[tuple[str, Callable[[Path, str], Store]], ...] = (
            ("influxd", _InfluxDB),
            ("victoria-metrics", _VictoriaMetrics),
        )
        for program, peer in peers:
            found = shutil.which(program)
            if found is None:
                print(f"{program} is not installed here (Debian has it): not measured")
                continue
            (folder / program).mkdir()
            stores.append(peer(folder / program, found))
            stack.callback(stores[-1].close)
        written(stores, [f"P-{n:03}" for n in range(MACHINES)], 0, DAY_S + 3600)
        drawn(stores, "A day's chart", "P-007", 0, DAY_S)
        written(stores, ["P-long"], 0, days * DAY_S + 86_400)
        drawn(stores, "A day's chart of the long one", "P-long", 0, DAY_S)
        drawn(stores, f"A chart of {days} days", "P-long", 0, days * DAY_S)


if __name__ == "__main__":
    main()
