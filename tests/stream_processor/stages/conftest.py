from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from firmware_sim.driver import DEFAULT_START_MS
from firmware_sim.plant import Plant
from firmware_sim.scenarios import SCENARIOS
from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.stages import STAGES
from stream_processor.v1.alert_pb2 import Advisory, AdvisoryState, FailureMode
from stream_processor.v1.points_pb2 import Points


@dataclass
class Chain:
    stages: list[Any] = field(default_factory=lambda: [stage() for _, stage in STAGES])
    said: list[Advisory] = field(default_factory=list)
    last_points: Points = field(default_factory=Points)

    def feed(self, frame: Frame) -> list[Advisory]:
        item: Any = frame
        for stage in self.stages:
            item = stage.update(item)
        self.said += item.advisories
        self.last_points = item.points
        return item.advisories

    def raised(self) -> list[str]:
        return [
            FailureMode.Name(a.failure_mode).removeprefix("FAILURE_MODE_").lower()
            for a in self.said
            if a.state == AdvisoryState.ADVISORY_STATE_RAISED
        ]


@pytest.fixture
def new_chain() -> Callable[[], Chain]:
    return Chain


@pytest.fixture
def scenario_frames() -> Callable[..., Iterator[Frame]]:
    """Frames of the machine a scenario is about."""

    def frames(name: str, seed: int = 1, minutes: int | None = None) -> Iterator[Frame]:
        scenario = SCENARIOS[name]
        faults = scenario.faults(DEFAULT_START_MS + scenario.warm_up_s * 1000)
        tag = scenario.machine or "P-101"
        plant = Plant(seed, DEFAULT_START_MS, faults, [tag])
        (device,) = plant.devices()
        info = EquipmentInfo(
            "site",
            "node",
            device.tag,
            device.equipment_class,
            device.path,
            "simulated",
            {
                c.name: ChannelInfo(c.name, c.unit, c.sample_rate_hz, c.quantity, c.location)
                for c in device.channels
            },
            dict(device.facts),
        )
        seconds = minutes * 60 if minutes else scenario.duration_s
        for block in plant.blocks(0, seconds, scenario.vibration_interval_s):
            samples = {n: part.astype(np.float64) for n, part in block.samples.items()}
            at = block.start_time_ms
            yield Frame(info, at, at + 7, samples, trace_id=f"t{at}")

    return frames


@pytest.fixture
def recording_frames() -> Callable[..., Iterator[Frame]]:
    """Frames of a recording: channels by name, `rows` samples a frame, one every five minutes."""

    def frames(columns: dict[str, np.ndarray], rows: int = 12) -> Iterator[Frame]:
        rate = 1 / 300
        info = EquipmentInfo(
            "site", "node", "rec", "recording", "", "recording",
            {n: ChannelInfo(n, "1", rate) for n in columns},
        )  # fmt: skip
        size = len(next(iter(columns.values())))
        for first in range(0, size, rows):
            at = 1_700_000_000_000 + first * 300_000
            part = {n: v[first : first + rows] for n, v in columns.items()}
            yield Frame(info, at, at, part)

    return frames
