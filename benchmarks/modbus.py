"""500 tags at 1 Hz from one Modbus server: what an agent costs, beside a bare pymodbus loop.

python -m benchmarks.modbus [SECONDS]
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from benchmarks.machine import describe
from edge_agent import drivers
from edge_agent.drivers.base import Block
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from edge_agent.v1.sparkplug_b_pb2 import Payload
from firmware_sim.plant import SITE
from firmware_sim.servers.modbus_gateway import gateway_file
from headrace.broker import Broker

NODE = "gw"
TAGS = 500
REGISTERS = 2 * TAGS
PER_READ = 125
SECONDS = 30.0
WARM_UP_S = 5.0


def options(port: int) -> dict[str, Any]:
    points = [
        {"name": f"Tag {n}", "table": "input", "address": 2 * n, "type": "float32"}
        for n in range(TAGS)
    ]
    return {
        "tcp": {"host": "127.0.0.1", "port": port},
        "devices": [{"tag": "PLC-1", "equipment_class": "line", "points": points}],
    }


async def server() -> None:
    """Serve the tags; every register has a value."""
    values = [(17 * n) % 0x7F00 for n in range(REGISTERS)]
    block = SimData(0, values=values, datatype=DataType.REGISTERS)
    serving = ModbusTcpServer(SimDevice(1, simdata=[block]), address=("127.0.0.1", 0))
    await serving.serve_forever(background=True)
    transport = serving.transport
    assert isinstance(transport, asyncio.Server)
    print(transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def loop(port: int, seconds: float) -> None:
    """Read the same registers once a second with pymodbus alone; print the CPU seconds."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    began, spent = time.monotonic(), time.process_time()
    for turn in range(round(seconds)):
        for address in range(0, REGISTERS, PER_READ):
            answer = await client.read_input_registers(address, count=PER_READ)
            assert len(answer.registers) == PER_READ
        await asyncio.sleep(began + turn + 1 - time.monotonic())
    print(json.dumps({"cpu_s": time.process_time() - spent}), flush=True)
    client.close()


async def driver(port: int, seconds: float) -> None:
    """Poll with the driver alone, which decodes every tag too; print CPU seconds and misses."""
    polling = drivers.open_driver("modbus", options(port))
    blocks = polling.blocks()
    await anext(blocks)
    spent, missing = time.process_time(), 0
    for _ in range(round(seconds)):
        block = await anext(blocks)
        assert isinstance(block, Block)
        missing += (
            TAGS - len(block.samples) + sum(np.isnan(s).sum() for s in block.samples.values())
        )
    print(json.dumps({"cpu_s": time.process_time() - spent, "missing": int(missing)}), flush=True)
    await polling.close()


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.modbus", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def measured(part: str, port: int, seconds: float) -> dict[str, float]:
    with running(part, str(port), str(seconds)) as process:
        assert process.stdout is not None
        result: dict[str, float] = json.loads(process.stdout.readline())
        return result


def cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@asynccontextmanager
async def cloud(broker: Broker) -> AsyncIterator[AsyncIterator[Payload]]:
    """Yield the batches of the device as they come, each acknowledged."""
    async with aiomqtt.Client(
        broker.host, broker.mqtt_port, username=broker.user, password=broker.password
    ) as client:
        await client.subscribe(f"spBv1.0/{SITE}/#", qos=1)

        async def batches() -> AsyncIterator[Payload]:
            async for message in client.messages:
                kind = message.topic.value.split("/")[2]
                if kind not in ("DDATA", "NDATA"):
                    continue
                payload = Payload.FromString(bytes(message.payload))
                numbers = {m.name: m.long_value for m in payload.metrics if m.name}
                said = Acknowledgement(
                    boot_epoch=numbers["Headrace/Boot Epoch"], sequence=numbers["Headrace/Batch"]
                )
                await client.publish(
                    f"headrace/ack/{SITE}/{NODE}", said.SerializeToString(), qos=1, retain=True
                )
                if kind == "DDATA":
                    yield payload

        yield batches()


def readings(payload: Payload) -> int:
    """Return how many readings arrived; a missing one is NaN."""
    return sum(
        int(np.isfinite(np.frombuffer(m.bytes_value, "<f4")).sum())
        for m in payload.metrics
        if m.bytes_value
    )


async def agent(folder: Path, port: int, seconds: float) -> tuple[float, int, int, float]:
    """Run a whole agent; return its CPU seconds, batches, readings that came, and MiB."""
    file = folder / "gateway.toml"
    file.write_text(gateway_file(options(port), NODE))
    broker = Broker(folder / "broker")
    broker.start()
    try:
        async with cloud(broker) as batches:
            with (folder / "agent.log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "edge_agent",
                    str(file),
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **broker.environment, "HEADRACE_DATA_DIR": str(folder)},
                )
            try:
                async with asyncio.timeout(WARM_UP_S + seconds + 60):
                    for _ in range(round(WARM_UP_S)):
                        await anext(batches)
                    spent, came, count = cpu_s(process.pid), 0, 0
                    while count < round(seconds):
                        came += readings(await anext(batches))
                        count += 1
                    memory = resident_mib(process.pid)
                    return cpu_s(process.pid) - spent, count, came, memory
            finally:
                process.terminate()
                await asyncio.wait_for(process.wait(), 30)
    finally:
        broker.stop()


def main(seconds: float) -> None:
    print(describe("pymodbus", "aiomqtt", "protobuf", "numpy"))
    print(f"{TAGS} float32 tags at 1 Hz from one server, {seconds:g} s each")
    with running("server") as serving:
        assert serving.stdout is not None
        port = int(serving.stdout.readline())
        bare = measured("loop", port, seconds)["cpu_s"] / seconds
        print(f"bare pymodbus loop, registers only: {100 * bare:.2f} % of a core")
        alone = measured("driver", port, seconds)
        share = alone["cpu_s"] / seconds
        print(
            f"driver alone, every tag decoded: {100 * share:.2f} % of a core, "
            f"{share / bare:.2f} times the loop, {alone['missing']:.0f} readings missed"
        )
        with tempfile.TemporaryDirectory() as folder:
            spent, count, came, memory = asyncio.run(agent(Path(folder), port, seconds))
    print(
        f"agent, spooled and published: {100 * spent / seconds:.2f} % of a core, "
        f"{spent / seconds / bare:.2f} times the loop, {count * TAGS - came} of {count * TAGS} "
        f"readings missed, {memory:.1f} MiB resident"
    )


def run(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["server"]:
        asyncio.run(server())
    elif arguments[:1] == ["loop"]:
        asyncio.run(loop(int(arguments[1]), float(arguments[2])))
    elif arguments[:1] == ["driver"]:
        asyncio.run(driver(int(arguments[1]), float(arguments[2])))
    else:
        main(float(arguments[0]) if arguments else SECONDS)


if __name__ == "__main__":
    run(sys.argv[1:])
