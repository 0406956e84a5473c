"""What a gateway's analytics send is what the processor takes, however clocks and shafts behave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.analytics import AnalyticsTable, CaptureTable, ReportTable, stages
from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.sparkplug.payloads import DeviceCodec
from edge_agent.v1.sparkplug_b_pb2 import Payload
from stream_processor.sparkplug import read_birth, read_block

RATE_HZ = 200.0
START_MS = 1_767_592_800_000
PUMP = Device(
    "P-1",
    "pump",
    "e/s/a/l/c",
    (
        Channel("Vibration", "m/s2", RATE_HZ, "acceleration"),
        Channel("Speed", "1/min", 1.0, "speed"),
        Channel("Level", "m", 0.5, "level"),
    ),
    facts={"Nominal Speed": 10.0, "BPFO Order": 3.5, "Vane Count": 6},
)
# What a driver may hand on of a channel, however little sense it makes.
ODD = st.sampled_from([0.0, -1.0, 1e30, float("nan"), float("inf")])


class Script:
    """A driver that yields what it was given."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.given = blocks

    def devices(self) -> Sequence[Device]:
        return [PUMP]

    async def blocks(self) -> AsyncIterator[Block]:
        for block in self.given:
            yield block

    async def close(self) -> None:
        """Let go of nothing."""


@st.composite
def driven(draw: st.DrawFn) -> list[Block]:
    """Return blocks of a second, on a clock that jitters by up to 2 ms and leaves seconds out."""
    blocks = []
    second = 0
    for number in range(draw(st.integers(1, 12))):
        second += draw(st.sampled_from([1, 1, 1, 2, 60]))
        jitter = draw(st.integers(-2, 2)) if number else 0
        size = draw(st.sampled_from([200, 200, 199, 1, 0]))
        # Numbered, so that each sample can be found again.
        wave = (np.arange(size) + 1000.0 * number).astype(np.float32)
        if size and draw(st.integers(0, 4)) == 0:
            wave[0] = draw(ODD)
        speed = draw(st.sampled_from([600.0, 660.0, 1500.0, 30.0]) | ODD)
        level = draw(st.floats(0.0, 10.0) | ODD)
        samples = {"Vibration": wave, "Speed": np.array([speed]), "Level": np.array([level])}
        kept = draw(st.sets(st.sampled_from(sorted(samples)), min_size=1))
        score = draw(st.none() | st.floats(0.0, 2.0))
        only = {name: values for name, values in samples.items() if name in kept}
        blocks.append(Block("P-1", START_MS + second * 1000 + jitter, only, score=score))
    return blocks


def tables(draw: st.DrawFn) -> tuple[list[Any], list[Any], list[Any]]:
    raw = draw(st.sampled_from(["always", "captured", "never"]))
    window = draw(
        st.sampled_from(
            [{"length_s": 1}, {"length_s": 0.5, "overlap": 0.5}, {"revolutions": 7, "overlap": 0.2}]
        )
    )
    band = [1.0, 90.0]
    analytics = [
        {
            "channel": "Vibration",
            "window": window,
            "outputs": ["rms", "peak", "kurtosis", "velocity_rms", "envelope", "orders"],
            "velocity_band_hz": band,
            "raw": raw,
        },
        {"channel": "Level", "window": {"length_s": 4}, "outputs": ["mean"]},
    ]
    capture = {
        "pre_s": draw(st.sampled_from([0.0, 0.3, 2.0])),
        "post_s": draw(st.sampled_from([0.0, 0.7, 2.0])),
        "score": 1.0,
        "min_interval_s": 0.0,
        "max_per_hour": 100,
    }
    report = {"channel": "*", "deadband": 0.5, "max_interval_s": 5.0}
    return analytics, [capture] if raw != "never" else [], draw(st.sampled_from([[], [report]]))


@settings(max_examples=100, deadline=None)
@given(blocks=driven(), data=st.data())
def test_the_processor_takes_what_analytics_send(blocks: list[Block], data: st.DataObject) -> None:
    given_tables = data.draw(st.composite(tables)())
    kinds = (AnalyticsTable, CaptureTable, ReportTable)
    analytics, captures, reports = (
        [msgspec.convert(table, kind) for table in some]
        for some, kind in zip(given_tables, kinds, strict=True)
    )
    driver, _, _ = stages(Script(blocks), analytics, captures, reports)
    codec = DeviceCodec(*driver.devices(), 0)
    birth = read_birth("s", "n", "P-1", codec.birth(1).SerializeToString())

    async def run() -> list[Any]:
        return [item async for item in driver.blocks()]

    last_ms = 0
    waves: list[tuple[float, float]] = []
    for number, block in enumerate(asyncio.run(run()), 1):
        sent = codec.data(block, 1, 1, number, block.score).SerializeToString()
        payload = Payload.FromString(sent)
        times = [metric.timestamp for metric in payload.metrics]
        assert times == sorted(times)
        read = read_block(birth, payload, {})
        assert read.start_time_ms == block.start_time_ms
        if block.late:
            assert block.capture
        else:
            # An earlier one would be refused.
            assert read.start_time_ms >= last_ms
            last_ms = read.start_time_ms
        if "Vibration" in read.samples:
            first_ms = read.start_time_ms + read.offsets_ms.get("Vibration", 0)
            values = read.samples["Vibration"].tolist()
            waves += [(first_ms + n * 1000 / RATE_HZ, v) for n, v in enumerate(values)]

    # A sample goes out at the time that it was measured at, and at most once.
    measured = {
        value: block.start_time_ms + n * 1000 / RATE_HZ
        for block in blocks
        for n, value in enumerate(block.samples.get("Vibration", np.empty(0)).tolist())
        if 1.0 <= value < 1e6
    }
    told = [value for _, value in waves if 1.0 <= value < 1e6]
    assert len(told) == len(set(told))
    for time_ms, value in waves:
        if 1.0 <= value < 1e6:
            # Times on the wire are whole milliseconds.
            assert abs(time_ms - measured[value]) <= 0.5
    if given_tables[0][0]["raw"] == "always" and not reports:
        assert set(told) == set(measured)
    if given_tables[0][0]["raw"] == "never":
        assert not told
