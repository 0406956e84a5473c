"""An agent with analytics as the broker and the cloud see it."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload

TABLES = """
[[analytics]]
channel = "Vibration Drive End"
window = { length_s = 1.0 }
outputs = ["velocity_rms", "zone", "envelope"]
raw = "captured"
[analytics.zone]
limits_mm_s = [2.5, 4.0, 6.6]
provenance = "sheet 7"

[[capture]]
pre_s = 2.0
post_s = 1.0

[[report]]
channel = "Speed"
deadband = 1e6
max_interval_s = 1e6
"""
PLANT = {
    "factory": "firmware_sim.driver:create",
    "scenario": "healthy",
    "machines": ["P-101"],
    "vibration_interval_s": 1,
    "days": 1.0,
}
DRIVE_END, SPEED = "Vibration Drive End", "Speed"
DEMAND = "a noise, says K. Lin"


def names_of(birth: Any) -> dict[int, str]:
    return {m.alias: m.name for m in birth.payload.metrics if m.HasField("alias")}


def samples_of(message: Any, names: dict[int, str]) -> dict[str, tuple[int, int]]:
    """Return the event time of the first sample and the number of samples, by channel."""
    return {
        names[m.alias]: (m.timestamp, len(m.bytes_value) // 4)
        for m in message.payload.metrics
        if m.WhichOneof("value") == "bytes_value"
    }


def newest(cloud: Any, names: dict[int, str]) -> dict[str, tuple[int, int]]:
    return samples_of(cloud.data()[-1], names)


def properties(metric: Metric) -> dict[str, str | float]:
    found = zip(metric.properties.keys, metric.properties.values, strict=True)
    return {key: getattr(value, value.WhichOneof("value")) for key, value in found}


async def test_outputs_are_channels_and_scores_are_metrics(cloud: Any, agents: Any) -> None:
    agents.start(pace_hz=20.0, tables=TABLES, **PLANT)
    await cloud.until(lambda: len(cloud.data()) >= 3)

    (birth,) = cloud.of("DBIRTH")
    velocity = birth.metric(f"{DRIVE_END} Velocity RMS")
    assert velocity.datatype == DataType.DATA_TYPE_FLOAT_ARRAY
    assert properties(velocity) == {
        "engUnit": "mm/s",
        "sampleRate": 1.0,
        "quantity": "velocity",
        "location": "drive_end",
    }
    assert properties(birth.metric(f"{DRIVE_END} Envelope BPFO"))["engUnit"] == "m/s2"
    assert birth.metric(f"Equipment/{DRIVE_END} Zone Limits").string_value == "2.5, 4, 6.6 mm/s"
    assert birth.metric(f"Equipment/{DRIVE_END} Zone Provenance").string_value == "sheet 7"
    assert birth.metric("Edge/Score").datatype == DataType.DATA_TYPE_DOUBLE
    assert birth.metric("Edge/Model").string_value
    assert birth.metric("Capture").datatype == DataType.DATA_TYPE_STRING

    names = names_of(birth)
    for message in cloud.data()[:3]:
        times = [m.timestamp for m in message.payload.metrics]
        assert times == sorted(times)
        (score,) = (m for m in message.payload.metrics if names.get(m.alias) == "Edge/Score")
        assert 0.0 < score.double_value < 1.0
        found = samples_of(message, names)
        # The model saw the waveform, which stays.
        assert DRIVE_END not in found
        # The value of a window has the time of its end.
        assert found[f"{DRIVE_END} Velocity RMS"] == (times[0] + 1000, 1)
    health = cloud.of("NBIRTH")[0].payload.metrics
    assert {m.name for m in health} >= {
        "Edge/Analytics/Windows",
        "Edge/Analytics/Captures",
        "Edge/Analytics/Ring Bytes",
        "Edge/Analytics/Samples Suppressed",
    }


async def test_a_command_captures_what_lies_before_it(cloud: Any, agents: Any) -> None:
    agents.start(pace_hz=10.0, tables=TABLES, **PLANT)
    await cloud.until(lambda: len(cloud.data()) >= 5)
    names = names_of(cloud.of("DBIRTH")[0])

    command = Payload(timestamp=int(time.time() * 1000))
    for name, text in (("Headrace/Command Id", "c-1"), ("Capture", DEMAND)):
        command.metrics.add(name=name, datatype=DataType.DATA_TYPE_STRING, string_value=text)
    await cloud.say("spBv1.0/riverside/DCMD/gw-1/P-101", command.SerializeToString())

    def waveforms() -> list[Any]:
        return [h for h in cloud.data() if DRIVE_END in samples_of(h, names)]

    await cloud.until(lambda: len(waveforms()) == 3 and DRIVE_END not in newest(cloud, names))
    captured = waveforms()
    labels = {
        m.string_value
        for h in captured
        for m in h.payload.metrics
        if names.get(m.alias) == "Edge/Capture"
    }
    (label,) = labels
    trigger_ms = int(label.removesuffix(f" {DEMAND}"))
    # Two seconds before the end of the block that heard of it, and one after, each sample once.
    spans = [samples_of(h, names)[DRIVE_END] for h in captured]
    assert sum(size for _, size in spans) == 3 * 3200
    assert spans[0][0] == trigger_ms - 2000
    assert all(a + size / 3.2 == b for (a, size), (b, _) in pairwise(spans))
    assert [h.historical for h in captured] == [True, False, False]
    before = next(h for h in cloud.data() if h.key[1] == captured[0].key[1] - 1)
    assert spans[0][0] <= before.payload.metrics[0].timestamp


async def test_the_first_block_after_a_birth_is_whole(cloud: Any, agents: Any) -> None:
    agents.start(pace_hz=10.0, tables=TABLES, **PLANT)
    await cloud.until(lambda: len(cloud.data()) >= 10)
    names = names_of(cloud.of("DBIRTH")[0])

    def told() -> list[Any]:
        return [h for h in cloud.data() if SPEED in samples_of(h, names)]

    # The first block, and the first after the births unless it was that.
    before = len(told())
    assert before in (1, 2)
    await cloud.rebirth()
    await cloud.until(lambda: len(told()) > before)
    await cloud.until(lambda: newest(cloud, names).keys().isdisjoint([SPEED]))

    assert len(told()) == before + 1
    assert len(cloud.of("DBIRTH")) == 2
    assert cloud.heard.index(told()[-1]) > cloud.heard.index(cloud.of("DBIRTH")[1])
