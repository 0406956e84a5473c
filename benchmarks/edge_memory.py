"""Peak resident memory of an agent on the simulated plant, beside a process that imports numpy."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import aiomqtt

from benchmarks.machine import describe
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from edge_agent.v1.sparkplug_b_pb2 import Payload
from headrace import gateway
from headrace.broker import Broker

SITE, NODE = "bench", "gw"
BATCHES = 2000
PEER = "import numpy; print(open('/proc/self/status').read())"


def peak_mib(status: str) -> float:
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def acknowledge(broker: Broker) -> None:
    """Acknowledge every tenth batch until `BATCHES` came."""
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
            if number >= BATCHES:
                return


def agent_peak_mib(folder: Path, machines: list[str] | None) -> float:
    """Run an agent for `BATCHES` batches and return its peak."""
    options = {"scenario": "healthy", "speed": "max", "days": 30, "machines": machines}
    file = gateway.write(
        folder / "g.toml", SITE, NODE, "plugin", options, factory="firmware_sim.driver:create"
    )
    broker = Broker(folder / "broker")
    broker.start()
    try:
        with (folder / "agent.log").open("wb") as log:
            agent = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", str(file)],
                stderr=log,
                env={**os.environ, **broker.environment, "HEADRACE_DATA_DIR": str(folder)},
            )
        try:
            # Connected long before the agent has imported what it needs.
            asyncio.run(asyncio.wait_for(acknowledge(broker), 240))
            return peak_mib(Path(f"/proc/{agent.pid}/status").read_text())
        finally:
            agent.terminate()
            agent.wait(30)
    finally:
        broker.stop()


def main() -> None:
    print(describe("numpy", "ai-edge-litert", "aiomqtt", "protobuf"))
    peer = peak_mib(
        subprocess.run(
            [sys.executable, "-c", PEER], check=True, capture_output=True, text=True
        ).stdout
    )
    print(f"python -c 'import numpy': {peer:.1f} MiB peak resident")
    for what, machines in (("one model", ["P-101"]), ("all models", None)):
        with tempfile.TemporaryDirectory() as folder:
            peak = agent_peak_mib(Path(folder), machines)
        print(
            f"agent with the simulated plant in it, {what}, {BATCHES} batches: {peak:.1f} MiB peak "
            f"resident, {peak / peer:.2f} of the peer"
        )


if __name__ == "__main__":
    main()
