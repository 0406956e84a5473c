"""What a driver is to the agent: devices it declares, blocks it yields."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Fact = str | int | float
Clock = Literal["live", "simulated", "recording"]


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
    epoch, UTC; sample `i` of a channel lies `i / sample_rate_hz` seconds later. Missing samples are
    NaN; a
    channel without samples in the period is left out.
    """

    device: str
    start_time_ms: int
    samples: Mapping[str, Samples]


class Driver(Protocol):
    """A source of blocks. Construction never touches the network."""

    def devices(self) -> Sequence[Device]:
        """Return the devices, known before the first block."""
        ...

    def blocks(self) -> AsyncIterator[Block]:
        """Yield blocks in the order of their start times; end when the source has no more.

        The agent asks for the next block only when it has room for it, so a source under a
        simulated clock runs as fast as the flow takes it.
        """
        ...

    async def close(self) -> None:
        """Let go of what the driver holds."""
        ...
