"""Rolling bearings: defect frequencies and the impulses of a defect.

Randall and Antoni (2011), "Rolling element bearing diagnostics: a tutorial", Mechanical Systems and
Signal Processing 25(2).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# Random slip of the interval between two impulses, over the interval: 1 to 2 % in practice.
SLIP = 0.01


@dataclass(frozen=True, slots=True)
class Bearing:
    """A rolling bearing by its geometry; lengths in mm, the contact angle in degrees."""

    name: str
    elements: int
    element_diameter: float
    pitch_diameter: float
    contact_angle: float = 0.0

    @property
    def _ratio(self) -> float:
        return self.element_diameter / self.pitch_diameter * cos(radians(self.contact_angle))

    @property
    def bpfo(self) -> float:
        """Outer race defect frequency over shaft frequency."""
        return self.elements / 2 * (1 - self._ratio)

    @property
    def bpfi(self) -> float:
        """Inner race defect frequency over shaft frequency."""
        return self.elements / 2 * (1 + self._ratio)

    @property
    def ftf(self) -> float:
        """Cage frequency over shaft frequency."""
        return (1 - self._ratio) / 2

    @property
    def bsf(self) -> float:
        """Spin frequency of an element over shaft frequency."""
        return self.pitch_diameter / (2 * self.element_diameter) * (1 - self._ratio**2)

    def facts(self) -> dict[str, float]:
        """Return the orders as facts of a device's birth."""
        return {
            "BPFO Order": self.bpfo,
            "BPFI Order": self.bpfi,
            "BSF Order": self.bsf,
            "FTF Order": self.ftf,
        }


# Inner geometry as measured on common makes; makers differ by a few per cent.
BEARING_6309 = Bearing("6309", 8, 17.462, 72.5)
BEARING_6206 = Bearing("6206", 9, 9.525, 46.0)


def defect_impulses(
    random: Generator, order: float, cycles: F64, *, turns_with_shaft: bool
) -> tuple[F64, F64]:
    """Return positions (samples, fractional) and relative heights of a defect's impulses.

    Args:
        random: the source of slip and of the spread of heights.
        order: impulses a turn of the shaft, on average.
        cycles: turns of the shaft at each sample, ascending.
        turns_with_shaft: an inner race defect passes through the load zone once a turn, which
            modulates its impulses by the load distribution `(1 - (1 - cos x) / 2e)^1.5` with
            `e = 0.5` (Stribeck; n = 1.5 for balls); an outer race defect stays in the zone.
    """
    first, last = float(cycles[0]), float(cycles[-1])
    count = int((last - first) * order * 1.1) + 4
    steps = (1.0 + SLIP * random.standard_normal(count)) / order
    steps[0] *= random.random()
    turns = first + np.cumsum(steps)
    turns = turns[turns < last]
    heights = 1.0 + 0.15 * random.standard_normal(len(turns))
    if turns_with_shaft:
        heights *= np.maximum(np.cos(2 * np.pi * turns), 0.0) ** 1.5
    positions = np.interp(turns, cycles, np.arange(len(cycles), dtype=np.float64))
    return positions, heights


def train(positions: F64, heights: F64, length: int) -> F64:
    """Return impulses as a signal of `length`; a fractional position shares between neighbours."""
    before = positions.astype(np.int64)
    part = positions - before
    left = np.bincount(before % length, heights * (1 - part), minlength=length)
    right = np.bincount((before + 1) % length, heights * part, minlength=length)
    return np.asarray(left + right, dtype=np.float64)
