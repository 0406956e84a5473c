"""A plug-in driver whose machines do what is written to them, also lose their connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.drivers.base import STALE, Block, Channel, Device, Lost, WriteError


class ScriptedDriver:
    """`Speed` is what was written last; `Link` false loses the machine until it is true again."""

    def __init__(self, machines: list[str], period_s: float) -> None:
        self.machines, self.period_s = machines, period_s
        self.speed = dict.fromkeys(machines, 1500.0)
        self.linked = dict.fromkeys(machines, True)
        self.told = dict.fromkeys(machines, True)

    def devices(self) -> Sequence[Device]:
        channels = (
            Channel("Vibration", "mm/s", 100.0, "velocity", "drive_end"),
            Channel("Speed", "1/min", 1.0, "speed"),
        )
        facts = {"Nominal Speed": 25.0, "Vane Count": 7}
        return [
            Device(tag, "scripted", "e/s/a/l/c", channels, "Does as told", "live", facts)
            for tag in self.machines
        ]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        while True:
            now = time.time_ns() // 1_000_000
            for tag in self.machines:
                if self.linked[tag]:
                    self.told[tag] = False
                    samples = np.sin(np.arange(4, dtype=np.float32))
                    yield Block(
                        tag,
                        now,
                        {"Vibration": samples, "Speed": np.array([self.speed[tag]])},
                        {"Vibration": STALE},
                    )
                elif not self.told[tag]:
                    self.told[tag] = True
                    yield Lost(tag, "the link is off")
            await asyncio.sleep(self.period_s)

    async def close(self) -> None:
        """Let go of nothing."""

    def writable(self, device: str) -> Mapping[str, str]:
        return {"Speed": "1/min", "Link": "", "Recipe": ""}

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        if name == "Recipe" and value == "spoilt":
            raise WriteError("the machine does not know that recipe")
        if name == "Speed":
            self.speed[device] = float(value)
        elif name == "Link":
            self.linked[device] = bool(value)


def create(options: Mapping[str, Any]) -> ScriptedDriver:
    return ScriptedDriver(list(options["machines"]), float(options["period_s"]))
