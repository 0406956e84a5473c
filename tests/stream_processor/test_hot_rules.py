"""Rules that come through the log: in force from their place on, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from headrace.cli import app
from headrace.rule_testing import Chain
from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.rules.rule_file import rule_file
from stream_processor.stages.items import Verdict
from stream_processor.v1.alert_pb2 import AdvisoryState
from stream_processor.v1.dead_letter_pb2 import DeadLetter, DeadLetterReason

START_MS = 1_767_571_200_000
TEXT = """equipment_class = "test_rig"
version = {version}
[channels.Heat]
unit = "degC"
[[rules]]
id = "hot"
kind = "threshold"
watch = "Heat"
above = {above}
clears_below = {below}
on_delay_s = 2
off_delay_s = 2
severity = "high"
summary = "it is hot"
"""
STATES = {
    AdvisoryState.ADVISORY_STATE_RAISED: "raise",
    AdvisoryState.ADVISORY_STATE_UPDATED: "update",
    AdvisoryState.ADVISORY_STATE_CLEARED: "clear",
}


def text(version: int, above: float = 80.0, below: float = 70.0) -> str:
    return TEXT.format(version=version, above=above, below=below)


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
        self.births()

    def births(self) -> None:
        first = self.payloads.node_birth(1, self.batch + 1)
        self.agent.send("NBIRTH", first).wait_for_publish(60)
        self.agent.send("DBIRTH", birth(), self.agent.equipment).wait_for_publish(60)

    def send(self, *heats: float) -> None:
        """Send readings a second apart; they are in the log when it returns."""
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
def rig(agent: Any, real_processor: Any, payloads: Any) -> Rig:
    return Rig(agent, payloads)


@pytest.fixture
def headrace(broker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command `headrace rules`, in the processor's surroundings; `text` becomes FILE."""
    for name, value in broker.environment.items():
        monkeypatch.setenv(name, value)

    def run(command: str, content: str = "", *more: str) -> Result:
        path = tmp_path / "given.toml"
        path.write_text(content, encoding="utf-8")
        given = [str(path)] if content else []
        return CliRunner().invoke(app, ["rules", command, *given, *more])

    return run


def brief(maintenance: Any) -> list[tuple[str, str, str]]:
    return [
        (STATES[a.state], a.rule, a.model_version)
        for a in list(maintenance.reported)
        if a.rule.startswith("rule/")
    ]


def publish(broker: Any, subject: str, payload: bytes) -> None:
    async def send() -> None:
        client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        await client.jetstream().publish(subject, payload)
        await client.close()

    asyncio.run(send())


def purge(broker: Any) -> None:
    """Let the log forget all it has, as age and size make it."""

    async def forget() -> None:
        client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        await client.jetstream().purge_stream("TELEMETRY")
        await client.close()

    asyncio.run(forget())


def letters(broker: Any) -> list[DeadLetter]:
    async def read() -> list[DeadLetter]:
        client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        jetstream = client.jetstream()
        count = (await jetstream.stream_info("DEADLETTER")).state.messages
        found = [await jetstream.get_msg("DEADLETTER", i + 1) for i in range(count)]
        await client.close()
        return [DeadLetter.FromString(message.data or b"") for message in found]

    return asyncio.run(read())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rules_are_applied_changed_shown_and_refused_while_it_runs(
    rig: Rig, real_processor: Any, maintenance: Any, headrace: Any, wait_until: Any, broker: Any
) -> None:
    counters, tail = real_processor.counters, real_processor.tail
    rig.send(20, 90, 90, 90, 90)
    applied = headrace("apply", text(1))
    assert applied.exit_code == 0, applied.output
    assert "version 1 of test_rig is in force from message" in applied.output
    assert "in force already" in headrace("apply", text(1)).output
    rig.send(90, 90, 90)
    wait_until(lambda: len(brief(maintenance)) == 1, 180, tail)
    assert brief(maintenance) == [("raise", "rule/hot", "rules/test_rig/1")]
    (raised,) = [a for a in maintenance.reported if a.rule == "rule/hot"]
    # What came before the rules was not judged by them.
    assert raised.window_start_time.ToMilliseconds() == START_MS + 6000
    assert raised.evidence.features[0].limit == 80.0

    # Another limit under the same version is refused; under the next it ends what stands by it.
    refused = headrace("apply", text(1, above=99.0))
    assert refused.exit_code == 2
    assert "give the file version 2" in refused.output
    assert headrace("diff", text(2, above=99.0, below=95.0)).exit_code == 1
    assert headrace("apply", text(2, above=99.0, below=95.0)).exit_code == 0
    rig.send(90, 90, 90)
    wait_until(lambda: len(brief(maintenance)) == 2, 180, tail)
    assert brief(maintenance)[-1] == ("clear", "rule/hot", "rules/test_rig/2")

    # What the log brings with errors is one dead letter, and changes nothing.
    publish(broker, "rules.test_rig", b'equipment_class = "test_rig"\nversion = "x"\n')
    one = {"INVALID_RULES": 1}
    wait_until(lambda: counters().get("dead_letters") == one, 180, tail)
    wait_until(lambda: letters(broker), 180, tail)
    (letter,) = letters(broker)
    assert letter.reason == DeadLetterReason.DEAD_LETTER_REASON_INVALID_RULES
    assert "line 2: version: a whole number is due" in letter.detail

    # In shadow it is counted and raises nothing.
    shadow = headrace("apply", text(3, above=85.0), "--shadow")
    assert "0 rules active, 1 in shadow" in shadow.output
    rig.send(90, 90, 90)
    wait_until(lambda: counters().get("shadow_advisories") == 1, 180, tail)
    wait_until(lambda: rig.agent.acknowledged() == (1, rig.batch), 180, tail)
    assert len(brief(maintenance)) == 2

    listed = headrace("list", "", "--json")
    rows = {row["rule"]: row for row in json.loads(listed.stdout)}
    assert (rows["hot"]["version"], rows["hot"]["mode"]) == (3, "shadow")
    assert rows["hot"]["log_sequence"] > 0
    assert rows["filter-due"]["since"] is None
    assert headrace("diff", text(3, above=85.0)).exit_code == 1
    assert headrace("apply", text(3, above=85.0)).exit_code == 0
    rig.send(90)
    wait_until(lambda: len(brief(maintenance)) == 3, 180, tail)
    assert brief(maintenance)[-1] == ("raise", "rule/hot", "rules/test_rig/3")

    # A processor that has lost its snapshots begins with what was in force before the oldest
    # message that is left.
    real_processor.terminate()
    purge(broker)
    shutil.rmtree(real_processor.directory / "recovery")
    real_processor.start()
    rig.births()
    rig.send(90, 90, 90)
    wait_until(lambda: len(brief(maintenance)) == 4, 180, tail)
    assert brief(maintenance)[-1] == ("raise", "rule/hot", "rules/test_rig/3")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_in_the_middle_give_the_same_advisories(
    rig: Rig, real_processor: Any, maintenance: Any, headrace: Any, wait_until: Any
) -> None:
    counters, tail = real_processor.counters, real_processor.tail
    random = np.random.default_rng(5)
    heats = (75 + 12 * np.sin(np.arange(240) / 6) + random.normal(0, 2, 240)).round(2).tolist()
    changes = {0: text(1), 80: text(2, above=84.0, below=60.0), 160: text(3, above=78.0)}
    chain, wanted = Chain(models=False), []
    info = EquipmentInfo(
        rig.agent.site, rig.agent.edge_node, rig.agent.equipment, "test_rig", "a/b", "simulated",
        {"Heat": ChannelInfo("Heat", "degC", 1.0, "temperature")},
    )  # fmt: skip
    for at, heat in enumerate(heats):
        if at in changes:
            applied = headrace("apply", changes[at])
            assert applied.exit_code == 0, applied.output
            file = rule_file(changes[at])
        if at in (70, 170):
            # It is killed wherever it is by now, and comes back behind it.
            real_processor.kill()
            real_processor.start()
        rig.send(heat)
        time = START_MS + (at + 1) * 1000
        frame = Frame(info, time, time, {"Heat": np.array([heat])}, rules=file)
        wanted += [_told(verdict) for verdict in chain.feed(frame).verdicts]

    wait_until(lambda: rig.agent.acknowledged() == (1, len(heats)), 300, tail)
    found = {
        (a.advisory_id, a.revision, STATES[a.state], a.model_version)
        for a in maintenance.reported
        if a.rule == "rule/hot"
    }
    assert found == set(wanted)
    assert len(wanted) == len(set(wanted)) > 8
    wait_until(lambda: counters().get("dead_letters") == {}, 60, tail)


def _told(verdict: Verdict) -> tuple[str, int, str, str]:
    return verdict.advisory_id, verdict.revision, verdict.transition, verdict.version
