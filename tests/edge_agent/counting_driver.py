"""A plug-in driver that counts, for agents that run in a process of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device

START_MS = 1_767_592_800_000


class CountingDriver:
    """Block `n` of each machine is `n` in every sample; `fail_after` blocks it raises."""

    def __init__(self, machines: list[str], count: int, fail_after: int, stray: str) -> None:
        self.machines, self.count = machines, count
        self.fail_after, self.stray = fail_after, stray

    def devices(self) -> Sequence[Device]:
        channels = (
            Channel("Vibration", "m/s2", 8.0, "acceleration", "drive_end"),
            Channel("Temperature", "degC", 1.0, "temperature"),
        )
        facts = {"Nominal Speed": 24.5, "Vane Count": 7}
        return [
            Device(tag, "counter", "e/s/a/l/c", channels, "Counts", "simulated", facts)
            for tag in self.machines
        ]

    async def blocks(self) -> AsyncIterator[Block]:
        for n in range(1, self.count + 1):
            for tag in self.machines:
                yield Block(
                    tag,
                    START_MS + n * 1000,
                    {"Vibration": np.full(8, n, np.float32), "Temperature": np.array([float(n)])},
                )
            if n == self.fail_after:
                raise ConnectionError("the wire was cut")
        if self.stray:
            yield Block(self.stray, START_MS, {})

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> CountingDriver:
    unknown = set(options) - {"machines", "count", "fail_after", "stray"}
    if unknown:
        raise ValueError(f"{min(unknown)}: no such option")
    return CountingDriver(
        list(options.get("machines", ["C-1"])),
        int(options.get("count", 10)),
        int(options.get("fail_after", 0)),
        str(options.get("stray", "")),
    )
