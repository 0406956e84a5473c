"""What goes wrong: onset, growth, and the label that tells the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Growth = Literal["linear", "exponential"]

# Labels are the names of `FailureMode` in proto/stream_processor/v1/alert.proto in lower case.
UNBALANCE = "unbalance"
MISALIGNMENT = "misalignment"
LOOSENESS = "looseness"
BEARING_OUTER_RACE = "bearing_outer_race"
BEARING_INNER_RACE = "bearing_inner_race"
CAVITATION = "cavitation"
BLOCKED_FILTER = "blocked_filter"
OVERHEATING = "overheating"
AIR_LEAK = "air_leak"
GEAR_WEAR = "gear_wear"
SENSOR_STUCK = "sensor_stuck"
SENSOR_DRIFT = "sensor_drift"
SENSOR_DROPOUT = "sensor_dropout"
SENSOR_SPIKE = "sensor_spike"

SENSOR_FAULTS = frozenset({SENSOR_STUCK, SENSOR_DRIFT, SENSOR_DROPOUT, SENSOR_SPIKE})
ROTOR_FAULTS = frozenset(
    {UNBALANCE, MISALIGNMENT, LOOSENESS, BEARING_OUTER_RACE, BEARING_INNER_RACE, OVERHEATING}
)

# How much steeper the end of an exponential growth is than its start, as a natural logarithm.
_EXPONENT = 4.0


@dataclass(frozen=True, slots=True)
class Label:
    """Ground truth: from `onset_ms` on the machine has the fault `label`.

    At `full_ms` the fault has reached its full severity, where it stays. `channel` is the
    one a sensor fault spoils, else empty.
    """

    machine: str
    label: str
    onset_ms: int
    full_ms: int
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one machine that grows from `onset_ms` over `growth_s` seconds to `severity`.

    Times are event times in milliseconds since the epoch; severity is 0 (healthy) to 1 (the machine
    or the sensor has failed). Sensor faults name their `channel`; a stuck sensor sticks at once.
    """

    machine: str
    label: str
    onset_ms: int
    growth_s: float
    growth: Growth = "linear"
    severity: float = 1.0
    channel: str = ""

    def __post_init__(self) -> None:
        if not 0.0 < self.severity <= 1.0:
            raise ValueError(f"severity {self.severity} of {self.label} is not in (0, 1]")
        if self.growth_s < 0.0:
            raise ValueError(f"growth_s {self.growth_s} of {self.label} is negative")
        if self.growth not in ("linear", "exponential"):
            raise ValueError(f"growth {self.growth!r} of {self.label} is not linear or exponential")
        if (self.label in SENSOR_FAULTS) != bool(self.channel):
            raise ValueError(f"{self.label}: sensor faults, and only they, need a channel")

    def severity_at(self, time_s: F64) -> F64:
        """Return the severity at `time_s`, seconds since the epoch."""
        since = time_s - self.onset_ms / 1000.0
        if self.growth_s == 0.0 or self.label == SENSOR_STUCK:
            return np.where(since >= 0.0, self.severity, 0.0)
        grown = np.clip(since / self.growth_s, 0.0, 1.0)
        if self.growth == "exponential":
            grown = np.expm1(_EXPONENT * grown) / np.expm1(_EXPONENT)
        return self.severity * grown

    @property
    def truth(self) -> Label:
        """The ground truth."""
        end = self.onset_ms + round(self.growth_s * 1000)
        return Label(self.machine, self.label, self.onset_ms, end, self.channel)
