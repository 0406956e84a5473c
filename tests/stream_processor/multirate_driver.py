"""A plug-in driver of one machine that is sampled from 0.01 Hz to 51.2 kHz."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device

START_MS = 1_767_592_800_000
PERIOD_S = 100
FAST_HZ, SLOW_HZ = 51_200.0, 0.01
# The sine of the fast channel, in m/s2 and Hz.
AMPLITUDE, FREQUENCY_HZ = 10.0, 80.0


class MultirateDriver:
    """Yields every hundred seconds a second of vibration and one level: block `n` has level `n`."""

    def __init__(self, count: int) -> None:
        self.count = count

    def devices(self) -> Sequence[Device]:
        channels = (
            Channel("Vibration", "m/s2", FAST_HZ, "acceleration", "drive_end"),
            Channel("Level", "m", SLOW_HZ, "level"),
        )
        return [Device("M-1", "mixer", "e/s/a/l/c", channels, clock="simulated")]

    async def blocks(self) -> AsyncIterator[Block]:
        time_s = np.arange(round(FAST_HZ)) / FAST_HZ
        wave = (AMPLITUDE * np.sin(2 * np.pi * FREQUENCY_HZ * time_s)).astype(np.float32)
        for n in range(self.count):
            samples = {"Vibration": wave, "Level": np.array([float(n)])}
            yield Block("M-1", START_MS + n * PERIOD_S * 1000, samples)

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> MultirateDriver:
    return MultirateDriver(int(options["count"]))
