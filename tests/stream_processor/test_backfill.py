"""A backfill beside the flow that runs: the same results, and nothing of the flow changed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from headrace.cli import app
from stream_processor.v1.alert_pb2 import AdvisoryState

START_MS = 1_767_571_200_000
TEXT = """equipment_class = "test_rig"
version = {version}
[channels.Heat]
unit = "degC"
[modes.on]
watch = "Heat"
above = 1
for_s = 5
[[rules]]
id = "hot"
kind = "threshold"
watch = "Heat"
above = {above}
clears_below = {below}
on_delay_s = 2
off_delay_s = 2
when = ["on"]
severity = "high"
summary = "it is hot"
[[rules]]
id = "rising"
kind = "expression"
inputs = {{ heat = "Heat" }}
expression = "heat - mean(heat, 30)"
above = {rise}
severity = "medium"
summary = "it rises"
"""


def text(version: int, above: float = 80.0, below: float = 70.0, rise: float = 8.0) -> str:
    return TEXT.format(version=version, above=above, below=below, rise=rise)


def birth() -> bytes:
    payload = Payload(timestamp=START_MS)
    heat = payload.metrics.add(name="Heat", alias=1, datatype=DataType.DATA_TYPE_DOUBLE_ARRAY)
    for key, value in (("engUnit", "degC"), ("quantity", "temperature")):
        heat.properties.keys.append(key)
        heat.properties.values.add(type=12, string_value=value)
    heat.properties.keys.append("sampleRate")
    heat.properties.values.add(type=10, double_value=1.0)
    for name, said in (("Class", "test_rig"), ("Path", "a/b"), ("Clock", "simulated")):
        payload.metrics.add(name=f"Equipment/{name}", datatype=12, string_value=said)
    return payload.SerializeToString()


class Rig:
    """A machine with one thermometer; its blocks are one reading each."""

    def __init__(self, agent: Any, payloads: Any) -> None:
        self.agent, self.payloads, self.batch = agent, payloads, 0
        agent.send("NBIRTH", payloads.node_birth(1, 1)).wait_for_publish(60)
        agent.send("DBIRTH", birth(), agent.equipment).wait_for_publish(60)

    def send(self, heats: list[float]) -> None:
        """Send readings a second apart; the broker has them when it returns."""
        for heat in heats:
            self.batch += 1
            sent = START_MS + self.batch * 1000
            payload = Payload(timestamp=sent)
            payload.metrics.add(
                alias=1,
                timestamp=sent,
                datatype=DataType.DATA_TYPE_DOUBLE_ARRAY,
                bytes_value=np.array([heat], "<f8").tobytes(),
            )
            self.payloads.number(payload, 1, self.batch)
            last = self.agent.send("DDATA", payload.SerializeToString(), self.agent.equipment)
        last.wait_for_publish(60)


@pytest.fixture
def headrace(broker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command `headrace`, in the processor's surroundings."""
    for name, value in broker.environment.items():
        monkeypatch.setenv(name, value)

    def run(*given: str, content: str = "") -> Result:
        path = tmp_path / "given.toml"
        path.write_text(content, encoding="utf-8")
        return CliRunner().invoke(app, [a.replace("FILE", str(path)) for a in given])

    return run


def logs(broker: Any) -> dict[str, tuple[int, int]]:
    """Return of each stream of ours its first and last message."""

    async def ask() -> dict[str, tuple[int, int]]:
        client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        streams = await client.jetstream().streams_info()
        await client.close()
        return {
            str(s.config.name): (s.state.first_seq, s.state.last_seq)
            for s in streams
            if not str(s.config.name).startswith("$")
        }

    return asyncio.run(ask())


def episodes(maintenance: Any, version: int) -> list[tuple[str, int, int | None]]:
    """Return what the live flow alarmed: rule, event time raised and cleared."""
    found: dict[str, tuple[str, int, int | None]] = {}
    for a in list(maintenance.reported):
        if a.model_version != f"rules/test_rig/{version}":
            continue
        time_ms = a.window_end_time.ToMilliseconds()
        if a.state == AdvisoryState.ADVISORY_STATE_RAISED:
            found.setdefault(a.advisory_id, (a.rule, time_ms, None))
        elif a.state == AdvisoryState.ADVISORY_STATE_CLEARED:
            found[a.advisory_id] = (*found[a.advisory_id][:2], time_ms)
    return sorted(found.values())


def told(document: dict[str, Any], side: str) -> list[tuple[str, int, int | None]]:
    """Return the same of what a backfill says."""

    def time_ms(said: str | None) -> int | None:
        return None if said is None else round(np.datetime64(said[:-6], "ms").astype(int))

    return sorted(
        (f"rule/{a['rule']}", time_ms(a["raised"]) or 0, time_ms(a["cleared"]))
        for match in document["alarms"]
        for a in match[side]
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backfill_says_what_the_live_flow_said_and_leaves_it_alone(
    agent: Any,
    payloads: Any,
    real_processor: Any,
    maintenance: Any,
    headrace: Any,
    wait_until: Any,
    broker: Any,
) -> None:
    tail = real_processor.tail
    random = np.random.default_rng(7)
    heats = (75 + 12 * np.sin(np.arange(400) / 9) + random.normal(0, 2, 400)).round(2).tolist()
    assert headrace("rules", "apply", "FILE", content=text(1)).exit_code == 0
    rig = Rig(agent, payloads)
    rig.send(heats[:200])
    agent.send("DDATA", b"\xff\xff", agent.equipment).wait_for_publish(60)
    # What the broker has confirmed over MQTT may be in the log a moment later.
    wait_until(lambda: logs(broker)["DEADLETTER"][1] == 1, 300, tail)

    def backfill(content: str, *options: str) -> dict[str, Any]:
        rules = ("--rules", "FILE") if content else ("--rules-as-applied",)
        found = headrace(
            "stream", "backfill", "--since", "1d", "--json", *rules, *options, content=content
        )
        assert found.exit_code == 0, found.output
        return dict(json.loads(found.stdout))

    # While it is read, the flow goes on.
    sender = threading.Thread(target=rig.send, args=(heats[200:],))
    sender.start()
    beside = backfill(text(2, above=70.0))
    sender.join(300)
    assert beside["dead_letters"] == {"UNDECODABLE": 1}
    assert beside["same"] > 0
    wait_until(lambda: agent.acknowledged() == (1, len(heats)), 300, tail)
    live = episodes(maintenance, 1)
    assert len(live) > 12

    before = logs(broker), len(maintenance.reported), set(agent.heard), real_processor.counters()
    applied = backfill("")
    assert told(applied, "now") == live
    assert (applied["blocks"], applied["lost"], applied["late_blocks"]) == (len(heats), 0, 0)
    same = backfill(text(2))
    assert told(same, "then") == told(same, "now") == live
    assert (same["added"], same["gone"]) == (0, 0)
    tight = backfill(text(2, rise=4.0), "--rule", "rising")
    assert tight["added"] > 0
    assert tight["gone"] == 0
    loose = backfill(text(2, above=99.0))
    assert told(loose, "then") == live
    assert loose["gone"] == sum(rule == "rule/hot" for rule, _, _ in live)
    assert {m["then"][0]["rule"] for m in loose["alarms"] if m["what"] == "gone"} == {"hot"}

    counters = real_processor.counters()
    assert (logs(broker), len(maintenance.reported), set(agent.heard), counters) == before
    assert counters["dead_letters"] == {"UNDECODABLE": 1}
    assert counters["lost"] == counters["duplicated"] == 0
    assert real_processor.terminate() == 0
