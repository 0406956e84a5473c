"""What systemd hears, over a socket like its own."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from edge_agent.fleet.watchdog import Watchdog


@pytest.mark.parametrize("abstract", [False, True])
async def test_it_is_ready_and_then_turns(tmp_path: Path, abstract: bool) -> None:
    address = f"\0headrace-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(10)
        watchdog = Watchdog({"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "30000"})
        task = asyncio.create_task(watchdog.run())

        heard = [await asyncio.to_thread(manager.recv, 100) for _ in range(4)]

        task.cancel()
    assert watchdog.period_s == pytest.approx(0.01)
    assert heard == [b"READY=1"] + [b"WATCHDOG=1"] * 3


async def test_an_agent_tells_its_manager(agent: Any, tmp_path: Path) -> None:
    agent.gateway.write_text(
        'site = "riverside"\nedge_node = "gw-1"\n'
        '[[drivers]]\nkind = "plugin"\nfactory = "firmware_sim.driver:create"\n'
    )
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        agent.environment |= {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"}
        agent.start()

        heard = [await asyncio.to_thread(manager.recv, 100) for _ in range(4)]
        agent.process.terminate()
        code = await agent.ended()
        while (last := await asyncio.to_thread(manager.recv, 100)) == b"WATCHDOG=1":
            pass

    assert heard == [b"READY=1"] + [b"WATCHDOG=1"] * 3
    assert (last, code) == (b"STOPPING=1", 0)


async def test_without_a_manager_nothing_happens() -> None:
    watchdog = Watchdog({})

    await watchdog.run()

    assert watchdog.period_s is None


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    assert Watchdog({"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}).period_s is None


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    Watchdog({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")
