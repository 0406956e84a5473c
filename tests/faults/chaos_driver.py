"""A plug-in driver of machines that fail now and then; what they say is a function of when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device

START_MS = 1_767_592_800_000
# A reading every ten minutes of the machines' time, so that each fault is days after the last.
STEP_S = 600
CHANNELS = (
    Channel("Temperature", "degC", 1 / STEP_S, "temperature"),
    Channel("Pressure", "bar", 1 / STEP_S, "pressure"),
    Channel("Current", "A", 1 / STEP_S, "current"),
)
USUAL = np.array([60.0, 4.0, 25.0])
NOISE = np.array([0.2, 0.02, 0.1])
# A machine fails for so many readings, every so many, and by so much of its noise.
FAULTY, PERIOD, SHIFT = 90, 400, 40.0


class Machines:
    """`machines` machines, of each a block of one reading `rate_hz` times a second.

    Their time goes with the wall clock from `begin` on, so that an agent that was away has missed
    what they said meanwhile, as it would have of real ones. They say nothing any more once the file
    `enough` exists.
    """

    def __init__(
        self, first: int, machines: int, rate_hz: float, begin: float, enough: str
    ) -> None:
        self.machines = {f"C-{n:03}": n for n in range(first, first + machines)}
        self.rate_hz, self.begin, self.enough = rate_hz, begin, Path(enough)

    def devices(self) -> Sequence[Device]:
        return [
            Device(tag, "chaos", "e/s/a/l/c", CHANNELS, clock="simulated") for tag in self.machines
        ]

    async def blocks(self) -> AsyncIterator[Block]:
        reading = int((time.time() - self.begin) * self.rate_hz)
        while not self.enough.exists():
            reading += 1
            await asyncio.sleep(self.begin + reading / self.rate_hz - time.time())
            for tag, number in self.machines.items():
                samples = sample(number, reading)
                yield Block(
                    tag,
                    START_MS + reading * STEP_S * 1000,
                    {
                        c.name: np.array([x], np.float32)
                        for c, x in zip(CHANNELS, samples, strict=True)
                    },
                )

    async def close(self) -> None:
        """Let go of nothing."""


def sample(machine: int, reading: int) -> np.ndarray:  # type: ignore[type-arg]
    """Return what the channels of a machine show."""
    noise = np.random.default_rng((machine, reading)).normal(size=len(CHANNELS))
    # Machines take turns, so that there is always one that fails.
    faulty = (reading + machine * 37) % PERIOD >= PERIOD - FAULTY
    shift = np.array([SHIFT, -SHIFT, 0.0]) * faulty
    return USUAL + NOISE * (noise + shift)


def create(options: Mapping[str, Any]) -> Machines:
    return Machines(**options)
