"""The process: it drains on SIGTERM, tells what it counts, and keeps secrets to itself."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from headrace.broker import free_port
from stream_processor.bridge import main

SITE, NODE = "riverside", "gw-1"
DATA = f"spBv1.0/{SITE}/DDATA/{NODE}/P-101"


async def start(environment: dict[str, str], output: Path) -> asyncio.subprocess.Process:
    with output.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stream_processor.bridge",
            stderr=file,
            env={**os.environ, **environment, "HEADRACE_LOG_FORMAT": "json"},
        )


def said(output: Path, event: str) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in output.read_text().splitlines()]
    return [entry for entry in entries if entry["event"] == event]


@pytest.mark.slow
async def test_the_process(log: Any, bridged: Any, tmp_path: Path) -> None:
    output, port = tmp_path / "bridge.log", free_port()
    environment = bridged.environment(user="bridge", password="a secret of the plant")
    process = await start({**environment, "HEADRACE_METRICS_PORT": str(port)}, output)
    try:
        await bridged.eventually(lambda: said(output, "bridging"))
        async with bridged.at_plant() as plant:
            sent = [plant.publish(DATA, b"%d" % n, qos=1) for n in range(500)]
            await asyncio.gather(*sent)
            process.terminate()
            await asyncio.wait_for(process.wait(), 60)
            assert process.returncode == 0
            (stopped,) = said(output, "stopped")
            assert stopped["messages_in_flight"] == 0
            assert (
                stopped["messages_received_total"]
                == stopped["messages_stored_total"]
                == stopped["messages_acknowledged_total"]
                == await log.count()
            )
            # What it had not taken yet is still there.
            process = await start({**environment, "HEADRACE_METRICS_PORT": str(port)}, output)
            found = await log.has(500)
            assert [int(message.data) for message in found] == list(range(500))
            rest = 500 - int(stopped["messages_received_total"])
            # A broker gives again what was confirmed as the connection ended.
            await bridged.eventually(lambda: asyncio.to_thread(_has_acknowledged, port, rest))
        assert "a secret of the plant" not in output.read_text()
        assert log.broker.password not in output.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _has_acknowledged(port: int, least: int) -> bool:
    name = "headrace_bridge_messages_acknowledged_total "
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return False
    return any(float(x.removeprefix(name)) >= least for x in lines if x.startswith(name))


@pytest.mark.slow
async def test_two_processes_of_one_name_are_a_mistake(
    log: Any, bridged: Any, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    older = await start(bridged.environment(lease="3"), first)
    await bridged.eventually(lambda: said(first, "bridging"))
    newer = await start(bridged.environment(), second)
    try:
        assert await asyncio.wait_for(older.wait(), 60) == 1
        assert "HEADRACE_BRIDGE_INSTANCE" in first.read_text()
        await bridged.eventually(lambda: said(second, "bridging"))
    finally:
        newer.terminate()
        assert await asyncio.wait_for(newer.wait(), 60) == 0


def test_bad_settings_end_it_at_once(capsys: Any) -> None:
    assert main.main({"HEADRACE_BRIDGE_PORT": "none"}) == 2
    assert "HEADRACE_BRIDGE_PORT" in capsys.readouterr().err
