"""What a driver is to the agent: devices it declares, blocks it yields."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Fact = str | int | float
Clock = Literal["live", "simulated", "recording"]
# Quality of a channel's samples in a block, as OPC and Sparkplug count it.
Quality = Literal[0, 192, 500]
BAD: Quality = 0
GOOD: Quality = 192
STALE: Quality = 500


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity of a device, sampled at equal distances."""

    name: str
    unit: str
    sample_rate_hz: float
    quantity: str = "other"
    location: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A machine as its births declare it.

    `facts` maps the part of an `Equipment/…` metric (docs/contracts.md) after the slash, such as
    `Nominal Speed`, to its value.
    """

    tag: str
    equipment_class: str
    path: str
    channels: tuple[Channel, ...]
    description: str = ""
    clock: Clock = "live"
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """The samples of one period of one device.

    `start_time_ms` is the event time of the first sample of every channel, milliseconds since the
    epoch, UTC; sample `i` of a channel lies `i / sample_rate_hz` seconds later. Missing and bad
    samples are NaN; a channel without samples in the period is left out. `quality` names channels
    whose samples are not `GOOD`.

    What stages between driver and node add: `offsets_ms`, how much later than `start_time_ms` the
    first sample of a channel lies, where it does; `score`, the model's anomaly score; `capture`,
    when and why the block's waveforms were captured, empty when they were not; `late`, that it lies
    before blocks that went before it, as the waveforms before a trigger do.
    """

    device: str
    start_time_ms: int
    samples: Mapping[str, Samples]
    quality: Mapping[str, Quality] = field(default_factory=dict)
    offsets_ms: Mapping[str, int] = field(default_factory=dict)
    score: float | None = None
    capture: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The driver does not reach a device; its next block says that it does again."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class Point:
    """Something a device offers, as `headrace edge browse` lists it.

    `address` is what the driver's options call it by; `writable` is what the device says.
    """

    address: str
    name: str
    kind: str
    unit: str = ""
    value: str = ""
    writable: bool = False
    description: str = ""


class WriteError(RuntimeError):
    """A device refused a value, or could not be reached."""


class Driver(Protocol):
    """A source of blocks. Construction never touches the network."""

    def devices(self) -> Sequence[Device]:
        """Return the devices, known before the first block."""
        ...

    def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield blocks in the order of their start times; end when the source has no more.

        A driver whose device is away yields `Lost` once, tries again by itself, and never raises
        for it; what it raises ends the agent.

        The agent asks for the next block only when it has room for it, so a source under a
        simulated clock runs as fast as the flow takes it.
        """
        ...

    async def close(self) -> None:
        """Let go of what the driver holds."""
        ...


@runtime_checkable
class Writer(Protocol):
    """A driver that can write to its devices too."""

    def writable(self, device: str) -> Mapping[str, str]:
        """Return the names that a device takes values by, with their units."""
        ...

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        """Write a value, already checked against the gateway's limits.

        Raises:
            WriteError: the device refused it or is away.
        """
        ...
