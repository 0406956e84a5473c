"""The command that serves the plant."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from firmware_sim.servers.__main__ import PROTOCOLS, main, parser, plant_of


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["modbus", "--scenario", "meltdown"], "scenario"),
        (["modbus", "--machines", "P-999"], "machines"),
        (["modbus", "--speed", "0"], "speed"),
        (["modbus", "--option", "colour=red"], "colour"),
        (["modbus", "--port", "0", "--option", "word_order=middle"], "word_order"),
        (["modbus", "--port", "0", "--option", "certificate=/none.pem"], "No such file"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_faster_plant_still_moves_once_a_second() -> None:
    plant = plant_of(parser().parse_args(["modbus", "--speed", "30", "--machines", "P-101,F-201"]))
    assert list(plant.devices) == ["P-101", "F-201"]
    assert {device.clock for device in plant.devices.values()} == {"simulated"}
    assert set(PROTOCOLS) == {"modbus", "opcua", "mqtt", "sparkplug"}


async def test_it_serves_modbus_until_it_is_told_to_end(tmp_path: Path) -> None:
    arguments = ["modbus", "--port", "0", "--speed", "10", "--machines", "P-101"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "firmware_sim.servers",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while not (found := re.search(rb"127\.0\.0\.1:(\d+)", await process.stdout.readline())):
                assert process.returncode is None
            client = AsyncModbusTcpClient("127.0.0.1", port=int(found[1]), timeout=5)
            assert await client.connect()
            while not (await client.read_input_registers(0)).registers[0]:
                assert process.returncode is None
            client.close()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
