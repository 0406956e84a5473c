"""What an agent costs: windows a second on one core, share of a core, resident memory.

python -m benchmarks.edge
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np

from benchmarks.machine import describe
from benchmarks.waveforms import accelerometers, blocks_of, modelled
from edge_agent.drivers.base import Block
from edge_agent.features import feature_vector, vibration_features
from edge_agent.inference import MODELS, scorer_for
from edge_agent.inference.runtime import Int8Model
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from edge_agent.v1.sparkplug_b_pb2 import Payload
from headrace import gateway
from headrace.broker import Broker

SITE, NODE = "bench", "gw"
CLASS = "centrifugal_pump"
CHANNELS = 8
PEER = "import numpy; print(open('/proc/self/status').read())"
ROUNDS = 5
LIVE_S = 30.0
BATCHES = 2000


def best_s(work: Callable[[int], Any], count: int) -> float:
    """Return the seconds a call in the best of `ROUNDS` rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for n in range(count):
            work(n)
        best = min(best, (time.perf_counter() - began) / count)
    return best


def windows() -> None:
    """Print how many windows of 8 channels a core takes through features and the int8 model."""
    model = Int8Model(MODELS / f"{CLASS}.tflite")
    row = np.zeros(model.width, np.float32)
    inference = best_s(lambda _: model(row), 2000)
    print(f"int8 inference alone, {model.width} features: {inference * 1e6:.1f} µs")
    for rate in (3200.0, 25_600.0):
        device = accelerometers(CHANNELS, rate)
        blocks = [Block(device.tag, 0, samples) for samples in blocks_of(device, 1)]
        arrays = [[np.asarray(v, float) for v in b.samples.values()] for b in blocks]

        def bare(n: int, arrays: Any = arrays, rate: float = rate) -> None:
            for values in arrays[n % len(arrays)]:
                vibration_features(values, rate)
            model(row)

        def whole(n: int, blocks: Any = blocks, device: Any = device) -> None:
            feature_vector(device, blocks[n % len(blocks)])
            model(row)

        count = round(40 * 3200 / rate) + 10
        alone, all_ = best_s(bare, count), best_s(whole, count)
        print(
            f"{CHANNELS} channels at {rate:g} Hz: {1 / all_:.0f} windows of 1 s a second and core, "
            f"{all_ / inference:.0f} times the interpreter alone, "
            f"{all_ / alone:.2f} of its parts called bare"
        )
    device = modelled(CLASS)
    scorer = scorer_for(device)
    if scorer is None:
        raise SystemExit(f"no model of {CLASS}")
    blocks = [Block(device.tag, 0, samples) for samples in blocks_of(device, 60)]
    score = best_s(lambda n: scorer.score(blocks[n % len(blocks)]), 20)
    print(f"{CLASS}, a minute of 2 channels at 3200 Hz and 7 at 1 Hz: {1 / score:.0f} a second")


def compiled() -> dict[str, str]:
    """Return an environment whose second process finds its modules compiled, as an installed one.

    Compiling in the process itself adds megabytes to its peak.
    """
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**env, "PYTHONPYCACHEPREFIX": str(Path("build/pycache").resolve())}


@contextmanager
def agent(
    folder: Path, tables: str = "", **options: Any
) -> Iterator[tuple[Broker, subprocess.Popen[bytes]]]:
    """Run an agent on synthetic samples against a broker of its own; `tables` end its file."""
    file = gateway.write(
        folder / "g.toml", SITE, NODE, "plugin", options, factory="benchmarks.waveforms:create"
    )
    with file.open("a", encoding="utf-8") as out:
        out.write(tables)
    broker = Broker(folder / "broker")
    broker.start()
    try:
        with (folder / "agent.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", str(file)],
                stderr=log,
                env={**compiled(), **broker.environment, "HEADRACE_DATA_DIR": str(folder)},
            )
        try:
            yield broker, process
        finally:
            process.terminate()
            process.wait(30)
    finally:
        broker.stop()


async def acknowledge(broker: Broker, batches: int) -> None:
    """Acknowledge every tenth batch until `batches` came."""
    async with aiomqtt.Client(
        broker.host, broker.mqtt_port, username=broker.user, password=broker.password
    ) as client:
        await client.subscribe(f"spBv1.0/{SITE}/DDATA/#", qos=1)
        async for message in client.messages:
            payload = Payload.FromString(bytes(message.payload))
            numbers = {m.name: m.long_value for m in payload.metrics if m.name}
            number = numbers["Headrace/Batch"]
            if number % 10 == 0:
                said = Acknowledgement(
                    boot_epoch=numbers["Headrace/Boot Epoch"], sequence=number
                ).SerializeToString()
                await client.publish(f"headrace/ack/{SITE}/{NODE}", said, qos=1, retain=True)
            if number >= batches:
                return


def peak_mib(status: str) -> float:
    """Return the peak resident size in a text of /proc/…/status."""
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def share(broker: Broker, pid: int) -> float:
    """Return the share of a core over `LIVE_S` seconds, after the first ten batches."""
    await acknowledge(broker, 10)
    began, used = time.perf_counter(), cpu_s(pid)
    task = asyncio.create_task(acknowledge(broker, 10**9))
    await asyncio.sleep(LIVE_S)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return (cpu_s(pid) - used) / (time.perf_counter() - began)


def live() -> None:
    """Print share of a core and memory of an agent with 8 channels at 3.2 kHz and a model."""
    with tempfile.TemporaryDirectory() as folder:
        with agent(Path(folder), classes=[CLASS], accelerometers=6, rate_hz=3200.0, live=True) as (
            broker,
            process,
        ):
            used = asyncio.run(share(broker, process.pid))
            peak = peak_mib(Path(f"/proc/{process.pid}/status").read_text())
        print(
            f"8 channels at 3.2 kHz, a model, a block a second: {100 * used:.1f} % of a core, "
            f"{peak:.1f} MiB peak resident"
        )


def memory() -> None:
    """Print the agent's peak resident memory with one model and with all."""
    for _ in range(2):
        out = subprocess.run(
            [sys.executable, "-c", PEER], check=True, capture_output=True, text=True, env=compiled()
        )
    peer = peak_mib(out.stdout)
    print(f"python -c 'import numpy': {peer:.1f} MiB peak resident")
    everything = sorted(p.stem for p in MODELS.glob("*.tflite"))
    with tempfile.TemporaryDirectory() as folder, agent(Path(folder), classes=[CLASS]) as (it, _):
        asyncio.run(asyncio.wait_for(acknowledge(it, 10), 240))
    for label, classes in (("one model", [CLASS]), (f"{len(everything)} models", everything)):
        with (
            tempfile.TemporaryDirectory() as folder,
            agent(Path(folder), classes=classes) as (
                broker,
                process,
            ),
        ):
            asyncio.run(asyncio.wait_for(acknowledge(broker, BATCHES), 240))
            peak = peak_mib(Path(f"/proc/{process.pid}/status").read_text())
        print(
            f"agent with {label}, {BATCHES} batches at once: {peak:.1f} MiB peak resident, "
            f"{peak / peer:.2f} of the peer"
        )


if __name__ == "__main__":
    print(describe("numpy", "ai-edge-litert", "aiomqtt", "protobuf"))
    windows()
    live()
    memory()
