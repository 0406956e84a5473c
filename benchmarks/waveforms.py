"""A driver of synthetic samples: machines as the shipped models know them, and accelerometers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.features import VIBRATION
from edge_agent.inference import MODELS
from edge_agent.inference.card import ModelCard

BLOCKS = 16
# What orders and envelopes are taken by.
SHAFT = {"Nominal Speed": 24.5, "Vane Count": 6, "BPFO Order": 3.59, "BPFI Order": 5.41}


def modelled(equipment_class: str) -> Device:
    """Return a device with the channels that the class's model was trained on, 3.2 kHz and 1 Hz."""
    card = ModelCard.read(MODELS / f"{equipment_class}.json")
    channels: dict[str, Channel] = {}
    for name in card.features:
        channel, _, feature = name.rpartition("/")
        rate = 3200.0 if feature in VIBRATION else 1.0
        channels.setdefault(channel, Channel(channel, "1", rate))
    return Device(equipment_class, equipment_class, "bench", tuple(channels.values()))


def accelerometers(count: int, rate_hz: float) -> Device:
    """Return a device with `count` channels and no model."""
    channels = tuple(
        Channel(f"Vibration {n}", "m/s2", rate_hz, "acceleration") for n in range(count)
    )
    return Device("A-1", "accelerometers", "bench", channels, facts=SHAFT)


def blocks_of(device: Device, seconds: int) -> list[dict[str, Any]]:
    """Return `BLOCKS` different blocks of `seconds` seconds: float32 chirps for each channel.

    Chirps, since numpy's random numbers would count as memory of the agent.
    """
    return [
        {
            c.name: np.sin(
                1e-3 * (n + 1) * np.arange(max(1, round(seconds * c.sample_rate_hz))) ** 1.5
            ).astype(np.float32)
            for c in device.channels
        }
        for n in range(BLOCKS)
    ]


class Waveforms:
    """Yields one block a device and second, at real time or as fast as they are taken."""

    def __init__(self, devices: Sequence[Device], live: bool) -> None:
        self._devices, self._live = devices, live
        self._samples = {d.tag: blocks_of(d, 1) for d in devices}

    def devices(self) -> Sequence[Device]:
        """Return the machines."""
        return self._devices

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield for ever."""
        start = time.time()
        second = 0
        while True:
            if self._live:
                await asyncio.sleep(max(0.0, start + second + 1 - time.time()))
            for device in self._devices:
                samples = self._samples[device.tag][second % BLOCKS]
                yield Block(device.tag, round((start + second) * 1000), samples)
            await asyncio.sleep(0)
            second += 1

    async def close(self) -> None:
        """Let go of nothing."""


def create(options: Mapping[str, Any]) -> Waveforms:
    """Make the driver: `classes`, `accelerometers`, `rate_hz`, `live`."""
    devices = [modelled(name) for name in options.get("classes", ())]
    if count := options.get("accelerometers", 0):
        devices.append(accelerometers(count, float(options["rate_hz"])))
    return Waveforms(devices, bool(options.get("live", False)))
