"""Servers as data: a gateway file, what is said and when, and the blocks that come of it."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from asyncua import ua

from edge_agent.drivers.base import Block
from edge_agent.drivers.opcua import Options

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/gateway.toml"))
# Values are told ahead of their time, so that a slow machine changes nothing.
AHEAD_S = 0.6


def status(name: str) -> int:
    code: int = getattr(ua.StatusCodes, name)
    return code


def listed(samples: np.ndarray) -> list[float | None]:  # type: ignore[type-arg]
    return [None if np.isnan(v) else round(float(v), 4) for v in samples]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_what_a_server_says_becomes_blocks(case: Path, house: Any, taking: Any) -> None:
    server = json.loads((case / "server.json").read_text())
    expected = json.loads((case / "expected.json").read_text())
    (driver,) = tomllib.loads((case / "gateway.toml").read_text())["drivers"]
    uri = server["namespace"]
    for name, given in server["variables"].items():
        kind = ua.VariantType[given.pop("type", "Double")]
        await house.do(house.add(uri, name, given.pop("value", 0), kind, **given))
    run = taking(house.url, **{k: v for k, v in driver["options"].items() if k != "endpoint"})
    # On a slow machine a loss may be told before the first block.
    await run.until(lambda item: isinstance(item, Block))

    # Half seconds, so that slower channels lie alike in every run.
    start_ms = -(-int((time.time() + AHEAD_S) * 1000) // 500) * 500
    for said in server["said"]:
        await house.do(
            house.say(
                uri,
                said["variable"],
                said.get("value"),
                start_ms + said["at_s"] * 1000 if "at_s" in said else None,
                status(said.get("status", "Good")),
                start_ms + said["server_at_s"] * 1000 if "server_at_s" in said else None,
            )
        )
    blocks: list[Block] = []
    end_ms = start_ms + expected["blocks"][-1]["at_s"] * 1000
    while not blocks or blocks[-1].start_time_ms < end_ms:
        item = await run.take()
        if isinstance(item, Block) and item.start_time_ms >= start_ms:
            blocks.append(item)

    assert [
        {
            "at_s": (block.start_time_ms - start_ms) / 1000,
            "samples": {name: listed(samples) for name, samples in block.samples.items()},
            "quality": dict(block.quality),
        }
        for block in blocks
    ] == expected["blocks"]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_gateway_file_of_a_case_is_right(case: Path) -> None:
    document = tomllib.loads((case / "gateway.toml").read_text())

    assert {driver["kind"] for driver in document["drivers"]} == {"opcua"}
    assert msgspec.convert(document["drivers"][0]["options"], Options).devices
