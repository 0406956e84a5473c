"""A driver that yields what it was given, and machines for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.analytics.options import AnalyticsTable, CaptureTable, ReportTable
from edge_agent.drivers.base import Block, Channel, Device, Driver, Lost

RATE_HZ = 3200.0
START_MS = 1_767_592_800_000
PUMP = Device(
    "P-1",
    "pump",
    "e/s/a/l/c",
    (
        Channel("Vibration", "m/s2", RATE_HZ, "acceleration", "drive_end"),
        Channel("Axial", "m/s2", RATE_HZ, "acceleration", "axial"),
        Channel("Speed", "1/min", 1.0, "speed"),
        Channel("Level", "m", 1.0, "level"),
    ),
    facts={"Nominal Speed": 25.0, "BPFO Order": 3.5, "Vane Count": 6},
)


class Script:
    """A driver that yields what it was given."""

    def __init__(self, *items: Block | Lost, devices: Sequence[Device] = (PUMP,)) -> None:
        self.items, self.given, self.closed = items, devices, False

    def devices(self) -> Sequence[Device]:
        return self.given

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        for item in self.items:
            yield item

    async def close(self) -> None:
        self.closed = True


class Bench:
    """What the tests of this folder are made with."""

    rate_hz, start_ms, pump, script = RATE_HZ, START_MS, PUMP, Script

    @staticmethod
    def wave(
        amplitude: float, frequency: float, seconds: float = 1.0, from_s: float = 0.0
    ) -> npt.NDArray[np.float32]:
        time = from_s + np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)

    @staticmethod
    def block(second: float, **samples: Any) -> Block:
        arrays = {name: np.asarray(values) for name, values in samples.items()}
        return Block("P-1", START_MS + round(second * 1000), arrays)

    @staticmethod
    def analytics(**given: Any) -> AnalyticsTable:
        table = {"channel": "Vibration", "window": {"length_s": 1}, "outputs": ["rms"], **given}
        return msgspec.convert(table, AnalyticsTable)

    @staticmethod
    def capture(**given: Any) -> CaptureTable:
        return msgspec.convert({"pre_s": 1, "post_s": 1, **given}, CaptureTable)

    @staticmethod
    def report(**given: Any) -> ReportTable:
        return msgspec.convert({"channel": "*", "deadband": 1, **given}, ReportTable)

    @staticmethod
    async def run(driver: Driver) -> list[Any]:
        return [item async for item in driver.blocks()]


@pytest.fixture
def bench() -> Bench:
    """The bench."""
    return Bench()
