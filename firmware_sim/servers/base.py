"""A running plant as a protocol server sees it: what each machine says now, and set-points."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edge_agent.drivers.base import Block, Channel, Device, Samples
from firmware_sim.driver import PlantDriver

RATE_SETPOINT: Final = "Rate Setpoint"


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A value that a machine takes; `minimum` and `maximum` are the limits of its drive.

    `value` is the newest one taken, 0 as long as the machine follows the plant's own plan.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Now:
    """What a machine said last.

    `sequence` counts its blocks from 1; `slow` has the newest value of each slow channel, taken at
    `time_ms` (event time, milliseconds since the epoch, UTC); `waveforms` has a second of each fast
    channel. A sensor that says nothing is NaN. `block` is the whole of it.
    """

    device: Device
    sequence: int
    time_ms: int
    slow: Mapping[str, float]
    waveforms: Mapping[str, Samples]
    block: Block


Listener = Callable[[Now], Awaitable[None]]


def is_slow(channel: Channel) -> bool:
    """Return True for a channel that is a value, not a waveform."""
    return channel.sample_rate_hz <= 1.0


class LivePlant:
    """A plant that is advanced block by block under its driver's clock and speed.

    Servers `listen`, open their doors, then `await run()`; `now` may be asked at any time.
    """

    def __init__(self, driver: PlantDriver) -> None:
        self._driver = driver
        self.devices: Mapping[str, Device] = {device.tag: device for device in driver.devices()}
        self._now: dict[str, Now] = {}
        self._listeners: list[Listener] = []
        self._setpoints = {
            tag: {RATE_SETPOINT: Setpoint(RATE_SETPOINT, "%", 30.0, 110.0)} for tag in self.devices
        }

    def now(self, tag: str) -> Now | None:
        """Return what a machine said last; None before its first block."""
        return self._now.get(tag)

    def listen(self, listener: Listener) -> None:
        """Await `listener` with every new block of every machine, in the order of event time."""
        self._listeners.append(listener)

    def setpoints(self, tag: str) -> Sequence[Setpoint]:
        """Return the set-points of a machine and where they stand."""
        return tuple(self._setpoints[tag].values())

    def write(self, tag: str, name: str, value: float) -> None:
        """Set a set-point; the machine follows from its next block on.

        The rate is the line's over its rated one, in %: drives turn by it, other machines are
        loaded by it. 0 gives the machine back to the plant's plan.

        Raises:
            ValueError: there is no such set-point, or the value is outside its limits.
        """
        setpoint = self._setpoints.get(tag, {}).get(name)
        if setpoint is None:
            raise ValueError(f"{tag} has no set-point {name!r}")
        if value and not setpoint.minimum <= value <= setpoint.maximum:
            raise ValueError(
                f"{tag} {name}: {value:g} is not {setpoint.minimum:g} to {setpoint.maximum:g} "
                f"{setpoint.unit}, nor 0 for the plan's"
            )
        self._driver.order_rate(tag, value / 100.0 if value else None)
        self._setpoints[tag][name] = replace(setpoint, value=value)

    async def run(self) -> None:
        """Advance the plant to its end; a live one goes on until cancelled."""
        async for block in self._driver.blocks():
            now = self._took(block)
            self._now[block.device] = now
            for listener in self._listeners:
                await listener(now)

    def _took(self, block: Block) -> Now:
        device = self.devices[block.device]
        slow: dict[str, float] = {}
        waveforms: dict[str, Samples] = {}
        length = 1
        for channel in device.channels:
            samples = block.samples[channel.name]
            if is_slow(channel):
                slow[channel.name] = float(samples[-1])
                length = len(samples)
            else:
                waveforms[channel.name] = samples
        before = self._now.get(block.device)
        return Now(
            device=device,
            sequence=1 + (before.sequence if before else 0),
            time_ms=block.start_time_ms + (length - 1) * 1000,
            slow=slow,
            waveforms=waveforms,
            block=block,
        )
