"""Register maps as data: a gateway file, what the device holds, and what comes of it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.drivers.base import BAD

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/gateway.toml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_a_register_map_gives_its_values(
    case: Path, serve: Callable[..., Awaitable[Any]], run: Callable[..., Any]
) -> None:
    expected = json.loads((case / "expected.json").read_text())
    registers = json.loads((case / "registers.json").read_text())
    server = await serve(
        {table: {int(at): v for at, v in values.items()} for table, values in registers.items()}
    )
    document = tomllib.loads((case / "gateway.toml").read_text())
    options = document["drivers"][0]["options"]
    options["tcp"]["port"] = server.port

    taking = run(options)
    block = await taking.block()

    (device,) = taking.driver.devices()
    assert block.device == device.tag == "D-1"
    assert block.start_time_ms % 100 == 0
    assert {channel.name for channel in device.channels} == set(expected["samples"])
    assert set(block.samples) == set(expected["samples"])
    for name, values in expected["samples"].items():
        wanted = np.array([np.nan if value is None else value for value in values])
        np.testing.assert_allclose(block.samples[name], wanted, rtol=1e-6, err_msg=name)
    assert block.quality == dict.fromkeys(expected["bad"], BAD)
    # Joined as the limits allow.
    assert len(set(server.requests)) == expected["distinct_reads"]
