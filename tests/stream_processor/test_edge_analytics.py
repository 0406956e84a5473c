"""A gateway's analytics through the whole flow: real agent, real broker, real stages."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pytest

from cloud_api import points as kept
from cloud_api.historian.duckdb import DuckDBHistorian
from edge_agent.drivers.base import Block
from firmware_sim.driver import create
from headrace import gateway
from headrace.broker import Broker
from stream_processor.v1.points_pb2 import Points, PointsBatch

HERE = Path(__file__).parent
SITE, NODE = "riverside", "gw-1"
# A bearing that wears out from the first hour on, a second of vibration every half minute.
WEAR = {
    "scenario": "bearing-wear",
    "seed": 3,
    "machines": ["P-101"],
    "fault_delay_s": 3600,
    "growth_s": 2400,
    "vibration_interval_s": 30,
    "days": 6000 / 86_400,
}
PRE_S = 100
ANALYTICS = f"""
[[analytics]]
channel = "Vibration *"
window = {{ length_s = 1.0 }}
outputs = ["velocity_rms", "zone", "envelope", "orders"]
raw = "captured"
[analytics.zone]
limits_mm_s = [1.4, 2.8, 4.5]
provenance = "this test"

[[capture]]
pre_s = {PRE_S}.0
post_s = 900.0
max_per_hour = 1
[[capture.triggers]]
output = "Vibration Drive End Envelope BPFO"
at_least = 0.2
"""
MULTIRATE = """
[[analytics]]
channel = "Vibration"
window = { length_s = 0.5 }
outputs = ["velocity_rms", "peak", "envelope"]
raw = "captured"

[[analytics]]
channel = "Level"
window = { length_s = 1000.0 }
outputs = ["mean", "minimum", "maximum"]

[[capture]]
pre_s = 0.5
post_s = 0.0
"""


@pytest.fixture
def processor(broker: Broker, maintenance: Any, tmp_path: Path) -> Iterator[Any]:
    """A processor with its own stages."""
    kind = sys.modules[type(maintenance).__module__].Processor
    running = kind(broker, maintenance, tmp_path, ("-m", "stream_processor"))
    running.start()
    yield running
    if running.process.poll() is None:
        running.kill()


def drained(
    broker: Broker, folder: Path, factory: str, options: dict[str, Any], tables: str
) -> dict[str, int]:
    """Run an agent until the processor has everything; return its counts."""
    file = gateway.write(folder / "g.toml", SITE, NODE, "plugin", options, factory=factory)
    file.write_text(file.read_text(encoding="utf-8") + tables, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", str(file), "--until-drained"],
        env={
            **os.environ,
            **broker.environment,
            "HEADRACE_DATA_DIR": str(folder / "edge"),
            "PYTHONPATH": str(HERE),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


def all_points(broker: Broker, equipment: str) -> list[Points]:
    """Return everything that the log has for the historian, of one machine."""

    async def read() -> list[Points]:
        connection = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        try:
            log = connection.jetstream()
            subscription = await log.subscribe(
                f"points.{SITE}", stream="POINTS", ordered_consumer=True
            )
            count = (await log.stream_info("POINTS")).state.messages
            found = [await subscription.next_msg(timeout=10) for _ in range(count)]
        finally:
            await connection.close()
        batches = [PointsBatch.FromString(message.data) for message in found]
        return [p for batch in batches for p in batch.points if p.equipment == equipment]

    return asyncio.run(read())


def measured() -> dict[int, Block]:
    """Return the blocks of the plant itself, by event time."""

    async def run() -> list[Block]:
        return [block async for block in create(WEAR).blocks()]

    return {block.start_time_ms: block for block in asyncio.run(run())}


def test_waveforms_of_before_an_alarm_reach_the_historian_with_their_times(
    broker: Broker,
    processor: Any,
    maintenance: Any,
    tmp_path: Path,
    wait_until: Callable[..., Any],
) -> None:
    sent = drained(broker, tmp_path, "firmware_sim.driver:create", WEAR, ANALYTICS)["sent"]
    wait_until(lambda: maintenance.reported, what=processor.tail)
    counters = processor.counters()
    assert counters["processed"] == sent
    assert (counters["lost"], counters["dead_letters"]) == (0, {})
    points = all_points(broker, "P-101")
    assert counters["points"] == len(points)

    # What the gateway made of the channels is shown with its unit, a value a window.
    units = {a.channel: a.unit for p in points for a in p.aggregates}
    assert units["Vibration Drive End Velocity RMS"] == "mm/s"
    assert units["Vibration Drive End Zone"] == "1"
    assert units["Vibration Axial Envelope BPFO"] == "m/s2"
    blocks = measured()
    zones = {
        t: z for p in points for a in p.aggregates if a.channel == "Vibration Drive End Zone"
        for t, z in zip(a.time_ms, a.mean, strict=True)
    }  # fmt: skip
    assert zones.keys() == {start_ms + 1000 for start_ms in blocks}
    assert set(zones.values()) <= {1.0, 2.0, 3.0, 4.0}

    # Every waveform is as it was measured, at its time; those of before the trigger among them.
    historian = DuckDBHistorian(tmp_path / "historian.duckdb")
    spans: dict[str, set[int]] = defaultdict(set)
    for message in points:
        historian.write([], kept.waveforms(message))
        for waveform in message.waveforms:
            spans[waveform.channel].add(waveform.start_time_ms)
            block = blocks[waveform.start_time_ms]
            own = np.frombuffer(waveform.samples, "<f4")
            assert np.array_equal(own, np.asarray(block.samples[waveform.channel], np.float32))
    assert spans.keys() == {"Vibration Drive End", "Vibration Axial"}
    bpfo = [
        (t, v) for p in points for a in p.aggregates
        if a.channel == "Vibration Drive End Envelope BPFO"
        for t, v in zip(a.time_ms, a.mean, strict=True)
    ]  # fmt: skip
    trigger_ms = min(t for t, v in bpfo if v >= 0.2)
    for times in spans.values():
        assert min(times) < trigger_ms - 1000
        assert min(times) >= trigger_ms - 1000 - PRE_S * 1000
        assert {b - a for a, b in pairwise(sorted(times))} == {30_000}

    # The alarm refers to a waveform that is there.
    references = {a.evidence.waveform_id for a in maintenance.reported} - {""}
    assert references
    for reference in references:
        record = historian.waveform(reference)
        assert record is not None
        assert record.samples.size == 3200
    historian.close()
    assert processor.terminate() == 0


def test_one_gateway_serves_a_hundredth_of_a_hertz_and_51_2_khz(
    broker: Broker, processor: Any, tmp_path: Path
) -> None:
    count = 21
    drained(broker, tmp_path, "multirate_driver:create", {"count": count}, MULTIRATE)
    assert processor.counters()["dead_letters"] == {}
    series: dict[str, dict[int, float]] = defaultdict(dict)
    for message in all_points(broker, "M-1"):
        for a in message.aggregates:
            series[a.channel] |= dict(zip(a.time_ms, a.mean, strict=True))
    start_ms = min(series["Level"])

    def seconds(channel: str) -> list[float]:
        return [(t - start_ms) / 1000 for t in sorted(series[channel])]

    assert list(series["Level"].values()) == list(range(count))
    assert seconds("Level") == [100.0 * n for n in range(count)]
    # Ten levels a window; its time is its end.
    assert seconds("Level Mean") == [1000.0, 2000.0]
    assert list(series["Level Mean"].values()) == [4.5, 14.5]
    assert list(series["Level Maximum"].values()) == [9.0, 19.0]
    # A sine of 10 m/s2 at 80 Hz: a peak of 10, and v = a / (2 pi f) / sqrt(2).
    assert list(series["Vibration Peak"].values()) == pytest.approx([10.0] * count)
    expected = 1e3 * 10.0 / (2 * np.pi * 80.0) / np.sqrt(2)
    velocities = list(series["Vibration Velocity RMS"].values())
    # The window smears a line over its neighbours, which are divided by their own frequency.
    assert velocities == pytest.approx([expected] * count, rel=1e-3)
    assert "Vibration" not in series
    assert processor.terminate() == 0
