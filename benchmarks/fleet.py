"""A fleet of simple machines whose temperatures step up one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device

START_MS = 1_767_250_800_000  # 2026-01-01 07:00 UTC
SAMPLES = 5
WARM_UP_RATE_HZ = 150.0
STEP = 25.0


class Fleet:
    """`machines` temperatures at 1 Hz in blocks of five seconds, 50 degC with a spread of 0.5.

    The first `warm_up` rounds come at `WARM_UP_RATE_HZ` blocks a second, the others at `rate_hz`,
    so that no backlog is measured. From then on one more machine steps up by 25 K every
    `rounds_apart` rounds.
    """

    def __init__(self, machines: int, warm_up: int, rate_hz: float, rounds_apart: int) -> None:
        self.machines, self.warm_up = machines, warm_up
        self.rate_hz, self.rounds_apart = rate_hz, rounds_apart
        self._random = np.random.default_rng(1)

    @property
    def rounds(self) -> int:
        """Rounds in all: the last machine has thirty after its step."""
        return self.warm_up + self.machines * self.rounds_apart + 30

    def devices(self) -> Sequence[Device]:
        """Return the machines."""
        return [
            Device(
                f"T-{n:03}",
                "bench",
                "bench/site/area/line/cell",
                (Channel("Temperature", "degC", 1.0, "temperature"),),
                clock="simulated",
            )
            for n in range(self.machines)
        ]

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield a block of each machine, round by round."""
        due = 0.0
        for round_ in range(self.rounds):
            for n in range(self.machines):
                rate_hz = self.rate_hz if round_ >= self.warm_up else WARM_UP_RATE_HZ
                due = max(due, time.monotonic()) + 1 / rate_hz
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                stepped = round_ >= self.warm_up + n * self.rounds_apart
                samples = self._random.normal(50.0 + STEP * stepped, 0.5, SAMPLES)
                yield Block(
                    f"T-{n:03}",
                    START_MS + round_ * SAMPLES * 1000,
                    {"Temperature": samples.astype(np.float32)},
                )

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> Fleet:
    """Make a fleet from the options of a gateway file."""
    return Fleet(**options)
