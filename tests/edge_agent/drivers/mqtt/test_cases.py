"""Messages of real makers' kinds as data: a gateway file, messages, and what they say."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from edge_agent.checking import check
from edge_agent.drivers.mqtt.mapping import MessageMap
from edge_agent.drivers.mqtt.options import Options

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/gateway.toml"))
NOW_MS = 1_767_592_800_000.0


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_messages_say_what_is_expected(case: Path) -> None:
    assert check(case / "gateway.toml") == []
    document = tomllib.loads((case / "gateway.toml").read_text())
    given = msgspec.convert(document["drivers"][0]["options"], Options)
    reader = MessageMap(given)
    said = [
        reader.read(m["topic"], m.get("text", json.dumps(m.get("json"))).encode(), NOW_MS)
        for m in json.loads((case / "messages.json").read_text())
    ]
    got = {
        "readings": [
            {
                "device": r.device,
                "channel": r.channel,
                "age_s": round((NOW_MS - r.time_ms) / 1000, 3),
                "value": None if r.value != r.value else round(r.value, 6),
                "samples": None
                if r.samples is None
                else [None if x != x else round(float(x), 5) for x in r.samples],
                "quality": r.quality,
            }
            for one in said
            for r in one.readings
        ],
        "presences": [[*p.devices, p.is_online] for one in said for p in one.presences],
        "problems": [problem for one in said for problem in one.problems],
    }
    assert got == json.loads((case / "expected.json").read_text())
