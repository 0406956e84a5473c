"""The induction motor: slip and current from the torque it must give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class InductionMotor:
    """A three-phase squirrel-cage motor by its plate.

    Between no load and rated load slip is proportional to torque, and the stator current is the
    magnetising current and the torque current at right angles (Chapman, "Electric Machinery
    Fundamentals", ch. 6).
    """

    rated_power_w: float
    rated_current_a: float
    synchronous_hz: float
    rated_slip: float = 0.018
    magnetising_share: float = 0.35

    @property
    def rated_hz(self) -> float:
        """Shaft frequency at rated load."""
        return self.synchronous_hz * (1 - self.rated_slip)

    def speed_hz(self, load: F64, supply: F64 | float = 1.0) -> F64:
        """Return the shaft frequency at `load` (torque over rated torque).

        `supply` is the frequency of the drive over the mains'.
        """
        return self.synchronous_hz * (supply - self.rated_slip * load)

    def current_a(self, load: F64) -> F64:
        """Return the stator current at `load` (torque over rated torque)."""
        idle = self.magnetising_share
        share: F64 = np.sqrt(idle**2 + (1 - idle**2) * load**2)
        return self.rated_current_a * share
