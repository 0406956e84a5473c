"""A plug-in driver of machines with slow tags, or one waveform; every sample says its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device

START_MS = 1_767_592_800_000


class Tags:
    """Block `n` of each machine is `n` in every sample, one a second of simulated time.

    With `rate_hz` that many blocks a second are made, else as many as are asked for. With
    `waveform` a block has that many samples of one fast channel instead of `tags` slow ones.
    """

    def __init__(
        self, machines: int, tags: int, count: int, rate_hz: float, waveform: int, clock: Any
    ) -> None:
        self.machines = [f"M-{n:03}" for n in range(1, machines + 1)]
        self.count, self.rate_hz, self.waveform, self.clock = count, rate_hz, waveform, clock
        if waveform:
            self.channels = (Channel("Vibration", "m/s2", float(waveform), "acceleration"),)
        else:
            self.channels = tuple(
                Channel(f"Tag {n}", "degC", 1.0, "temperature") for n in range(tags)
            )

    def devices(self) -> Sequence[Device]:
        return [
            Device(tag, "faults", "e/s/a/l/c", self.channels, clock=self.clock)
            for tag in self.machines
        ]

    async def blocks(self) -> AsyncIterator[Block]:
        due = time.monotonic()
        for n in range(1, self.count + 1):
            for tag in self.machines:
                if self.rate_hz:
                    due += 1 / self.rate_hz
                    await asyncio.sleep(due - time.monotonic())
                size = self.waveform or 1
                yield Block(
                    tag,
                    START_MS + n * 1000,
                    {c.name: np.full(size, n, np.float32) for c in self.channels},
                )

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> Tags:
    given = {"machines": 1, "tags": 1, "count": 10, "rate_hz": 0.0, "waveform": 0}
    return Tags(**{**given, "clock": "simulated", **options})
