"""What travels between the stages: equipment, frames of samples, and the stage interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from stream_processor.rules.rule_file import RuleFile

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel as the device's birth declared it (docs/contracts.md)."""

    name: str
    unit: str
    sample_rate_hz: float
    quantity: str = "other"
    location: str = ""


@dataclass(frozen=True, slots=True)
class EquipmentInfo:
    """A machine as its birth declared it; `facts` maps `Nominal Speed`, … to values."""

    site: str
    edge_node: str
    equipment: str
    equipment_class: str
    path: str
    clock: str
    channels: Mapping[str, ChannelInfo]
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    edge_model: str = ""

    @property
    def key(self) -> str:
        """Name of the equipment's state, `{site}/{equipment}`."""
        return f"{self.site}/{self.equipment}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded, validated batch of a machine, its samples as float64; missing ones are NaN.

    `start_time_ms` is the event time of the first sample of every channel but for those that begin
    `offsets_ms` later, `sent_time_ms` the wall clock at which the agent made the batch; both
    milliseconds since the epoch, UTC. `capture` says why waveforms were captured, empty when they
    were not; `late`, that they lie before what the stages have taken, so that they are for the
    historian alone. `rules` are those of the machine's class that are in force at its place in the
    log, None when they are as they were at the frame before.
    """

    info: EquipmentInfo
    start_time_ms: int
    sent_time_ms: int
    samples: Mapping[str, Array]
    edge_score: float | None = None
    boot_epoch: int = 0
    batch: int = 0
    log_sequence: int = 0
    is_historical: bool = False
    trace_id: str = ""
    capture: str = ""
    late: bool = False
    offsets_ms: Mapping[str, int] = field(default_factory=dict)
    rules: RuleFile | None = None

    @property
    def span_ms(self) -> float:
        """How long its samples last, from the first to one sampling interval after the last.

        A channel with a single sample may be due less often than frames come: it counts only when
        no channel has more, and then the one that is due most often.
        """
        several: list[float] = [0.0]
        single: list[float] = []
        for name, part in self.samples.items():
            if part.size and name in self.info.channels:
                interval_ms = 1000.0 / self.info.channels[name].sample_rate_hz
                span_ms = self.offsets_ms.get(name, 0) + part.size * interval_ms
                (several if part.size > 1 else single).append(span_ms)
        return max(several) or min(single, default=0.0)


In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class Stage(Protocol[In, Out]):
    """One of the six steps of ISO 13374 for one piece of equipment.

    A stage knows no clock, no I/O and no engine: what it returns depends on what it was given and
    on its state alone, so a replay after a crash returns the same.
    """

    def update(self, item: In) -> Out:
        """Take the next item in event-time order and return what the next stage needs."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the state: `schema` (int), parameters and arrays of our own; small, picklable."""
        ...

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return a stage in `state`, of this schema or of an older one that is still read.

        Raises:
            StateError: it is of newer code, or too old (`stream_processor.schema`).
        """
        ...
