"""From a simulated plant's Modbus server through an agent's process to the broker."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from firmware_sim.driver import create
from firmware_sim.servers.base import LivePlant
from firmware_sim.servers.modbus import ModbusPlant
from firmware_sim.servers.modbus_gateway import driver_options, gateway_file
from headrace.broker import Broker

TAGS = ("P-101", "CV-402")
SITE, NODE = "riverside", "gw-1"


async def test_machines_are_born_report_die_and_come_back(
    tmp_path: Path, broker: Broker, cloud: Any
) -> None:
    plant = LivePlant(create({"speed": 1.0, "machines": TAGS}))
    server = ModbusPlant(plant)
    port = await server.open("127.0.0.1", 0)
    running = asyncio.create_task(plant.run())
    options = driver_options(plant.devices.values(), "127.0.0.1", port)
    file = tmp_path / "gateway.toml"
    file.write_text(gateway_file({**options, "timeout_s": 0.5, "reconnect_max_s": 1.0}, NODE, SITE))
    cloud.acknowledging = True
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge_agent",
        str(file),
        env={**os.environ, **broker.environment, "HEADRACE_DATA_DIR": str(tmp_path)},
    )

    def of(kind: str, tag: str) -> list[Any]:
        return [message for message in cloud.of(kind) if message.device == tag]

    try:
        await cloud.until(lambda: all(len(of("DDATA", tag)) >= 2 for tag in TAGS))
        for tag in TAGS:
            names = {metric.name: metric.alias for metric in of("DBIRTH", tag)[-1].payload.metrics}
            channels = {channel.name for channel in plant.devices[tag].channels}
            assert channels <= set(names)
            by_alias = {m.alias: m for m in of("DDATA", tag)[-1].payload.metrics if m.alias}
            samples = np.frombuffer(by_alias[names["Vibration Axial"]].bytes_value, "<f4")
            assert samples.shape == (3200,)
            assert np.isfinite(samples).all()
            assert 0.1 < np.std(samples) < 10.0

        await server.close()
        await cloud.until(lambda: all(of("DDEATH", tag) for tag in TAGS))
        births = {tag: len(of("DBIRTH", tag)) for tag in TAGS}
        data = {tag: len(of("DDATA", tag)) for tag in TAGS}
        assert await server.open("127.0.0.1", port) == port
        await cloud.until(
            lambda: all(
                len(of("DBIRTH", tag)) > births[tag] and len(of("DDATA", tag)) > data[tag]
                for tag in TAGS
            )
        )
        agent.terminate()
        assert await asyncio.wait_for(agent.wait(), 30) == 0
    finally:
        if agent.returncode is None:
            agent.kill()
            await agent.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.close()
