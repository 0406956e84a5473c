"""What a gateway's analytics cost, and what report by exception saves.

python -m benchmarks.analytics
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.edge import CHANNELS, acknowledge, agent, best_s, peak_mib, share
from benchmarks.machine import describe
from benchmarks.waveforms import BLOCKS, accelerometers, blocks_of
from edge_agent.analytics import AnalysedDriver, AnalyticsTable, ReportedDriver, ReportTable
from edge_agent.drivers.base import Block, Device, Driver
from edge_agent.sparkplug.payloads import DeviceCodec
from firmware_sim.driver import create

RATES = (3200.0, 25_600.0)
OUTPUTS = ["velocity_rms", "envelope", "orders"]
BANDS = [
    {"name": name, "low_hz": low, "high_hz": high}
    for name, low, high in (("A", 10.0, 200.0), ("B", 200.0, 800.0), ("C", 800.0, 1500.0))
]
BATCHES = 300
PRE_S = 5.0
TABLES = f"""
[[analytics]]
channel = "Vibration *"
window = {{ length_s = 1.0 }}
outputs = {OUTPUTS}
bands = [{
    ", ".join(
        f'{{ name = "{b["name"]}", low_hz = {b["low_hz"]}, high_hz = {b["high_hz"]} }}'
        for b in BANDS
    )
}]
raw = "captured"
"""
CAPTURE = f"""
[[capture]]
pre_s = {PRE_S}
post_s = 1.0
"""
MINUTES = 20
DEADBANDS_PERCENT = (0.2, 1.0, 5.0)


class Script:
    """A driver that yields what it was given."""

    def __init__(self, devices: Sequence[Device], blocks: Sequence[Block]) -> None:
        self._devices, self._blocks = devices, blocks

    def devices(self) -> Sequence[Device]:
        """Return the machines."""
        return self._devices

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield them once."""
        for block in self._blocks:
            yield block

    async def close(self) -> None:
        """Let go of nothing."""


async def _taken(driver: Driver) -> list[Block]:
    return [item async for item in driver.blocks() if isinstance(item, Block)]


async def _passed(driver: Driver) -> None:
    # Without a result: `asyncio.run` prints it to a text when it puts the signal handler back.
    async for _ in driver.blocks():
        pass


def windows() -> None:
    """Print the share of a core of the stage alone, beside one Fourier transform a window."""
    given = {"channel": "*", "window": {"length_s": 1}, "outputs": OUTPUTS, "bands": BANDS}
    table = msgspec.convert(given, AnalyticsTable)
    for rate in RATES:
        device = accelerometers(CHANNELS, rate)
        samples = blocks_of(device, 1)
        blocks = [Block(device.tag, 1000 * n, values) for n, values in enumerate(samples)]
        waves = [np.asarray(wave, float) for values in samples for wave in values.values()]

        def transforms(n: int, waves: Any = waves) -> None:
            for channel in range(CHANNELS):
                np.fft.rfft(waves[(CHANNELS * n + channel) % len(waves)])

        def analysed(_: int, device: Any = device, blocks: Any = blocks) -> None:
            asyncio.run(_passed(AnalysedDriver(Script([device], blocks), [table])))

        count = round(40 * 3200 / rate) + 5
        alone, whole = best_s(transforms, count), best_s(analysed, 2) / len(blocks)
        print(
            f"{CHANNELS} channels at {rate:g} Hz, windows of 1 s, {', '.join(OUTPUTS)} and "
            f"{len(BANDS)} bands: {100 * whole:.2f} % of a core, "
            f"{whole / alone:.1f} times one numpy.fft.rfft a window"
        )


def live() -> None:
    """Print the share of a core of a whole agent with and without analytics, at real time."""
    for rate in RATES:
        used = []
        for tables in ("", TABLES):
            with (
                tempfile.TemporaryDirectory() as folder,
                agent(Path(folder), tables, accelerometers=CHANNELS, rate_hz=rate, live=True) as (
                    broker,
                    process,
                ),
            ):
                used.append(asyncio.run(share(broker, process.pid)))
        print(
            f"agent, {CHANNELS} channels at {rate:g} Hz: {100 * used[1]:.1f} % of a core with "
            f"waveforms kept at the gateway, {100 * used[0]:.1f} % with all of them sent"
        )


def memory() -> None:
    """Print the agent's peak resident memory with and without what lies before a trigger."""
    rate = RATES[-1]
    peaks = []
    for tables in (TABLES, TABLES + CAPTURE):
        with (
            tempfile.TemporaryDirectory() as folder,
            agent(Path(folder), tables, accelerometers=CHANNELS, rate_hz=rate) as (broker, process),
        ):
            asyncio.run(asyncio.wait_for(acknowledge(broker, BATCHES), 240))
            peaks.append(peak_mib(Path(f"/proc/{process.pid}/status").read_text()))
    own = BLOCKS * CHANNELS * rate * 4 / 2**20
    held = CHANNELS * (PRE_S + 1.0) * rate * 4 / 2**20
    print(
        f"agent, {CHANNELS} channels at {rate:g} Hz, {PRE_S:g} s before a trigger: {peaks[1]:.1f} "
        f"MiB peak resident, {peaks[0]:.1f} without; the samples held are {held:.1f} MiB, those "
        f"that the benchmark itself sends {own:.1f} MiB"
    )


def exceptions() -> None:
    """Print the bytes that report by exception saves on the simulated plant's slow channels."""
    options = {"days": MINUTES / 1440, "vibration_interval_s": 1}
    plant = create(options)
    devices = list(plant.devices())
    slow = {d.tag: {c.name for c in d.channels if c.sample_rate_hz <= 1.0} for d in devices}
    blocks = []
    for block in asyncio.run(_taken(plant)):
        samples = {n: v.copy() for n, v in block.samples.items() if n in slow[block.device]}
        blocks.append(Block(block.device, block.start_time_ms, samples))
    largest: dict[tuple[str, str], float] = {}
    for block in blocks:
        for name, values in block.samples.items():
            key = (block.device, name)
            largest[key] = max(largest.get(key, 0.0), float(np.abs(values).max()))
    codecs = {device.tag: DeviceCodec(device, n) for n, device in enumerate(devices)}

    def size(found: Sequence[Block]) -> int:
        return sum(codecs[b.device].data(b, 0, 1, 1, None).ByteSize() for b in found)

    whole = size(blocks)
    channels = sum(len(names) for names in slow.values())
    print(
        f"simulated plant, {len(devices)} machines with {channels} slow channels, {MINUTES} min: "
        f"{len(blocks)} messages of {whole / 1e6:.2f} MB"
    )
    for percent in DEADBANDS_PERCENT:
        reports = [
            msgspec.convert(
                {"device": tag, "channel": name, "deadband": percent / 100 * most}, ReportTable
            )
            for (tag, name), most in largest.items()
        ]
        told = asyncio.run(_taken(ReportedDriver(Script(devices, blocks), reports)))
        left = size(told)
        print(
            f"deadbands of {percent:g} % of the largest value: {len(told)} messages of "
            f"{left / 1e6:.2f} MB, {100 * (1 - left / whole):.0f} % saved"
        )


if __name__ == "__main__":
    print(describe("numpy", "aiomqtt", "protobuf"))
    windows()
    memory()
    exceptions()
    live()
