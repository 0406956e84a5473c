"""From a driver's blocks to the node: checked, paced, and told of when their device is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from edge_agent.drivers.base import Block, Device, Driver, Lost
from edge_agent.features import is_waveform
from edge_agent.scoring import Scorer
from edge_agent.settings import SettingsError
from edge_agent.sparkplug.payloads import MAX_CHANNELS, DeviceCodec
from edge_agent.sparkplug.topics import check_name

Emit = Callable[["BoundDevice", Block, float | None], None]
# A device that went away with the reason, or is back with none.
Tell = Callable[["BoundDevice", str | None], Awaitable[None]]


class DriverError(RuntimeError):
    """A driver ended abnormally, or yielded what it never declared."""


class BoundDevice:
    """A device with its codec and its model."""

    def __init__(self, device: Device, index: int, scorer: Scorer | None = None) -> None:
        """Bind a device that a topic can name to what scores its blocks.

        Raises:
            TopicNameError: none can.
            SettingsError: it has too many channels, or two of a name.
        """
        check_name("device", device.tag)
        names = [channel.name for channel in device.channels]
        if len(names) > MAX_CHANNELS:
            raise SettingsError(
                f"{device.tag}: {len(names)} channels, {MAX_CHANNELS} at most; split the device"
            )
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise SettingsError(f"{device.tag}: two channels have the name {twice!r}")
        self.device = device
        self._waveforms = {channel.name for channel in device.channels if is_waveform(channel)}
        self.scorer = scorer
        self.codec = DeviceCodec(device, index, scorer.model if scorer else "")

    def has_waveform(self, block: Block) -> bool:
        """Return whether a block of this device has samples of a waveform."""
        return not self._waveforms.isdisjoint(block.samples)

    @property
    def can_wait(self) -> bool:
        """True when the source keeps its blocks until they are asked for."""
        return self.device.clock != "live"


class Pace:
    """At most so many blocks a second, evenly; 0 for no limit."""

    def __init__(self, rate_hz: float) -> None:
        self._period = 1.0 / rate_hz if rate_hz > 0 else 0.0
        self._due = 0.0

    async def wait(self) -> None:
        """Wait for the next place."""
        if not self._period:
            return
        now = time.monotonic()
        self._due = max(self._due + self._period, now - self._period)
        if self._due > now:
            await asyncio.sleep(self._due - now)


async def pump(
    driver: Driver,
    devices: Mapping[str, BoundDevice],
    pace: Pace,
    room: Callable[[], Awaitable[None]],
    emit: Emit,
    tell: Tell,
) -> None:
    """Take every block of a driver and hand it on with its score; wait for room where it can.

    `tell` hears of a device that is lost, and of its return before its next block goes on.

    Raises:
        DriverError: the driver raised, or yielded a device or channel that it never declared.
    """
    blocks = driver.blocks()
    away: set[str] = set()
    try:
        while (block := await _next(blocks)) is not None:
            bound = _declared(block, devices)
            if isinstance(block, Lost):
                if block.device not in away:
                    away.add(block.device)
                    await tell(bound, block.reason)
                continue
            if block.device in away:
                away.discard(block.device)
                await tell(bound, None)
            await pace.wait()
            if bound.can_wait:
                await room()
            emit(bound, block, block.score)
            # A source that never waits must not keep the session from its work.
            await asyncio.sleep(0)
    finally:
        await driver.close()


async def _next(blocks: AsyncIterator[Block | Lost]) -> Block | Lost | None:
    try:
        return await anext(blocks, None)
    except Exception as error:
        raise DriverError(f"{type(error).__name__}: {error}") from error


def _declared(block: Block | Lost, devices: Mapping[str, BoundDevice]) -> BoundDevice:
    bound = devices.get(block.device)
    if bound is None:
        raise DriverError(
            f"a block of {block.device!r} came, but the devices are {', '.join(devices)}"
        )
    samples = block.samples if isinstance(block, Block) else ()
    unknown = set(samples) - {channel.name for channel in bound.device.channels}
    if unknown:
        raise DriverError(f"{block.device}: no channel {min(unknown)!r} was declared")
    return bound
