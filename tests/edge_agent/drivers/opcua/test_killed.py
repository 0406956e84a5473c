"""A server that is killed, and one that never was: what the driver makes of real processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from edge_agent.drivers.base import Block, Lost
from headrace.broker import free_port

SERVER = """
import asyncio, sys
from asyncua import Server, ua

async def main(port, value):
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    # Another start numbers its namespaces another way.
    for uri in ["urn:one", "urn:two"][:: 1 if value == 1 else -1]:
        await server.register_namespace(uri)
    for uri, factor in (("urn:one", 1), ("urn:two", 100)):
        index = await server.get_namespace_index(uri)
        await server.nodes.objects.add_variable(
            ua.NodeId("Flow", index), f"{index}:Flow", float(value * factor))
    await server.start()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""

Start = Callable[[int], Coroutine[Any, Any, asyncio.subprocess.Process]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def start(port: int, tmp_path: Path) -> AsyncIterator[Start]:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    begun: list[asyncio.subprocess.Process] = []

    async def begin(value: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            str(port),
            str(value),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        begun.append(process)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return process

    yield begin
    for process in begun:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.slow
async def test_a_killed_server_is_lost_and_found_again_as_it_came_back(
    start: Start, port: int, taking: Any
) -> None:
    first = await start(1)
    run = taking(
        f"opc.tcp://127.0.0.1:{port}/",
        lost_after_s=0.2,
        devices=[
            {
                "tag": "P",
                "points": [{"name": "Flow", "node": "nsu=urn:two;s=Flow", "sample_rate_hz": 10.0}],
            }
        ],
    )
    await run.until(lambda item: isinstance(item, Block) and 100.0 in item.samples["Flow"])

    first.kill()
    await first.wait()
    lost = await run.until(lambda item: isinstance(item, Lost))
    assert lost.device == "P"
    await start(2)

    block = await run.take()
    assert isinstance(block, Block)
    while block.quality:
        block = await run.take()
        assert isinstance(block, Block)
    # Not 2, which is the node of that index now.
    assert block.samples["Flow"].tolist() == [200.0]
