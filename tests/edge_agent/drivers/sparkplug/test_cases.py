"""Sessions of edge nodes as data: a gateway file, messages, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict

from edge_agent import settings
from edge_agent.checking import check
from edge_agent.drivers.sparkplug import layout
from edge_agent.drivers.sparkplug.nodes import Away, Born, EdgeNodes, Event
from edge_agent.drivers.sparkplug.options import Options, SparkplugDevice
from edge_agent.v1.sparkplug_b_pb2 import Payload

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").glob("*/gateway.toml"))
NOW_MS = 1_767_592_800_000


def shown(event: Event) -> list[Any]:
    """Return an event for JSON; a value as name, number, age in seconds, quality, of the past."""
    if isinstance(event, Born):
        return ["born", event.source, sorted(event.metrics)]
    if isinstance(event, Away):
        return ["away", event.source, event.reason]
    values = [
        [
            v.name,
            v.value.tolist() if isinstance(v.value, np.ndarray) else v.value,
            (NOW_MS - v.time_ms) / 1000,
            v.quality,
            v.is_past,
        ]
        for v in event.values
    ]
    return ["values", event.source, values]


def channels(device: SparkplugDevice) -> dict[str, Any]:
    return {
        p.name: [p.unit, p.quantity, p.sample_rate_hz, p.waveform, p.writable]
        for p in device.points
    }


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_session_is_heard_as_expected(
    case: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path))
    assert check(case / "gateway.toml") == []
    (table,) = settings.gateway_of(settings.parse(case / "gateway.toml")).drivers
    options = msgspec.convert(table.options, Options)
    nodes = EdgeNodes(options.reorder_s)
    events: list[Event] = []
    wanted: list[list[str]] = []
    for message in json.loads((case / "messages.json").read_text()):
        _, group, kind, node, *device = message["topic"].split("/")
        assert group == options.group
        content = ParseDict(message["payload"], Payload()).SerializeToString()
        events += nodes.take(kind, node, "".join(device), content, float(NOW_MS), 0.0)
        wanted.append(sorted(nodes.wanting))
        nodes.wanting.clear()
    found = [
        device
        for event in events
        if isinstance(event, Born)
        and (device := layout.device_of(options, event.source, event.metrics)) is not None
    ]
    got = {
        "events": [shown(event) for event in events],
        "births_wanted_after_message": [i for i, names in enumerate(wanted) if names],
        "duplicates": nodes.duplicates,
        "whole_devices": {device.tag: channels(device) for device in found},
    }
    assert got == json.loads((case / "expected.json").read_text())
