"""A plug-in driver of a live machine that waits for nobody, however far behind the cloud is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device

PERIOD_S = 0.1


class Machine:
    """Blocks of `samples` samples, `PERIOD_S` each, `rate_hz` a second until `enough` exists.

    Block `n` is a thousandth of `n` in every sample, and every `alarm_every`th is above its limit.
    """

    def __init__(
        self, tag: str, enough: str, samples: int, rate_hz: float, alarm_every: int
    ) -> None:
        self.tag, self.enough, self.samples = tag, Path(enough), samples
        self.rate_hz, self.alarm_every = rate_hz, alarm_every
        rate = samples / PERIOD_S
        self.channels = (Channel("Vibration", "m/s2", rate, "acceleration"),)

    def devices(self) -> Sequence[Device]:
        return [Device(self.tag, "pressing", "e/s/a/l/c", self.channels, clock="live")]

    async def blocks(self) -> AsyncIterator[Block]:
        # Hours of them lie before the present, whatever the pace.
        start, due, n = time.time() - 4 * 3600, time.monotonic(), 0
        while not self.enough.exists():
            n += 1
            due += 1 / self.rate_hz
            await asyncio.sleep(due - time.monotonic())
            yield Block(
                self.tag,
                round((start + n * PERIOD_S) * 1000),
                {"Vibration": np.full(self.samples, n / 1000, np.float32)},
                score=2.0 if n % self.alarm_every == 0 else 0.5,
            )

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> Machine:
    return Machine(**options)
