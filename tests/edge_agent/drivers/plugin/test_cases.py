"""Plug-ins as data: a gateway file, what is wrong with it by line, or what its driver declares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent import settings
from edge_agent.browsing import browse
from edge_agent.checking import check

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/gateway.toml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
async def test_a_plugin_declares_its_channels_or_what_is_wrong_is_said(case: Path) -> None:
    file = case / "gateway.toml"
    expected = json.loads((case / "expected.json").read_text())

    found = check(file)

    assert [[problem.line, problem.field] for problem in found] == expected["problems"]
    (listed,) = await browse(settings.gateway_of(settings.parse(file)).drivers)
    assert bool(listed.error) == bool(expected["problems"])
    assert [[p.address, p.kind, p.unit] for p in listed.points] == expected["points"]
