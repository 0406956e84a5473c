"""A driver of machines that speak once a second, and of which some are always hot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device

SAMPLES = 1024
CLASS, PATH = "press", "bench/site/area/line/cell"
CHANNELS = (
    Channel("Vibration", "m/s2", float(SAMPLES), "acceleration"),
    Channel("Temperature", "degC", 1.0, "temperature"),
)
# Seconds between the beginnings of two faults of a machine, how long each lasts, and how hot it is.
PERIOD_S, FAULTY_S, SHIFT = 600, 90, 12.0
NOISES = 64


class Plant:
    """`machines` machines, of each a block of a second every second, spread over the second."""

    def __init__(self, machines: int) -> None:
        self._tags = [f"M-{n:03}" for n in range(machines)]
        noise = np.random.default_rng(1).normal(size=(NOISES, SAMPLES))
        self._vibration = noise.astype(np.float32)

    def devices(self) -> Sequence[Device]:
        """Return the machines."""
        return [Device(tag, CLASS, PATH, CHANNELS, tag, "live") for tag in self._tags]

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield blocks for ever."""
        begin, second = time.time(), 0
        while True:
            for n, tag in enumerate(self._tags):
                due = begin + second + 1 + n / len(self._tags)
                await asyncio.sleep(max(0.0, due - time.time()))
                # Machines take turns.
                hot = (second + n * 37) % PERIOD_S >= PERIOD_S - FAULTY_S
                vibration = self._vibration[(second * 7 + n) % NOISES]
                temperature = 60.0 + SHIFT * hot + 0.3 * float(vibration[0])
                yield Block(
                    tag,
                    round((due - 1) * 1000),
                    {
                        "Vibration": vibration,
                        "Temperature": np.array([temperature], np.float32),
                    },
                )
            second += 1

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> Plant:
    """Make a plant from the options of a gateway file."""
    return Plant(**options)
