"""Recordings as data: a gateway file, a recording, and the blocks that come of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent import drivers, settings
from edge_agent.checking import check
from edge_agent.drivers.base import Block

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/gateway.toml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_a_recording_gives_its_blocks(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Paths count from the folder that the agent runs in.
    monkeypatch.chdir(case)
    assert check(Path("gateway.toml")) == []
    (table,) = settings.gateway_of(settings.parse(Path("gateway.toml"))).drivers
    driver = drivers.open_driver(*table.chosen)
    (device,) = driver.devices()
    got = {
        "tag": device.tag,
        "rates_hz": {c.name: round(c.sample_rate_hz, 6) for c in device.channels},
        "blocks": [
            {
                "start_ms": block.start_time_ms,
                "samples": {
                    name: [None if x != x else round(float(x), 6) for x in samples]
                    for name, samples in block.samples.items()
                },
            }
            async for block in driver.blocks()
            if isinstance(block, Block)
        ],
    }
    assert got == json.loads((case / "expected.json").read_text())
