"""Accelerations of one second: lines that follow the shaft, noise, impulses that ring a mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

SAMPLE_RATE_HZ = 3200
MAINS_HZ = 50.0
_TIME = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
_BENDS = np.sin(np.pi * np.arange(1, 4)[:, None] * _TIME)
_TURN = np.float32(2 * np.pi)


@dataclass(frozen=True, slots=True)
class Line:
    """A spectral line: its order of the shaft (or the mains) and its velocity at each sensor.

    Velocities are in mm/s RMS, the unit of ISO 20816; one a sensor.
    """

    order: float
    velocity: tuple[float, ...]
    follows: Literal["shaft", "mains"] = "shaft"


@dataclass(frozen=True, slots=True)
class Mode:
    """A structural resonance that impulses excite: frequency in Hz and damping ratio."""

    frequency_hz: float
    damping: float

    def spectrum(self) -> npt.NDArray[np.complex64]:
        """Return the transfer from a unit impulse to a decaying oscillation of unit peak."""
        angular = 2 * np.pi * self.frequency_hz
        damped = angular * np.sqrt(1 - self.damping**2)
        response = np.exp(-self.damping * angular * _TIME) * np.sin(damped * _TIME)
        return np.fft.rfft(response / np.abs(response).max()).astype(np.complex64)


def shaft_cycles(random: Generator, start: float, speed_hz: float) -> F64:
    """Return the turns of a shaft at the samples of one second, the part of `start` at its start.

    Slow phase noise of some milliturns, zero at both ends, makes lines as unsteady as real ones
    without breaking the phase between seconds.
    """
    turns = start % 1.0 + speed_hz * _TIME
    turns += (0.003 * random.standard_normal(3)) @ _BENDS
    return turns


class VibrationModel:
    """What the accelerometers of a machine measure.

    Amplitude of a line in m/s2: `sqrt(2) 2 pi f v / 1000` of its velocity `v` in mm/s RMS.
    """

    def __init__(
        self,
        random: Generator,
        lines: Sequence[Line],
        fault_lines: Mapping[str, Sequence[Line]],
        noise: Sequence[float],
        mode: Mode,
    ) -> None:
        """Compile the lines.

        Args:
            random: of the fixed phases.
            lines: those of the healthy machine.
            fault_lines: by fault label, those at severity 1.
            noise: broad-band acceleration at each sensor, m/s2 RMS.
            mode: the resonance of the housing.
        """
        every = list(lines)
        self._slices: dict[str, slice] = {}
        for label, added in fault_lines.items():
            self._slices[label] = slice(len(every), len(every) + len(added))
            every += added
        self._healthy = len(lines)
        self._orders = np.array([line.order for line in every])
        self._on_mains = np.array([line.follows == "mains" for line in every])
        self._velocity = np.array([line.velocity for line in every]).T
        phases = 2 * np.pi * random.random(self._velocity.shape)
        # A fault makes worse what is there: it adds to a line of the same order, in phase.
        for later, line in enumerate(every):
            same = [e for e in range(later) if every[e].order == line.order]
            same = [e for e in same if every[e].follows == line.follows]
            if same:
                phases[:, later] = phases[:, same[0]]
        self._in_phase, self._quadrature = np.cos(phases), np.sin(phases)
        self._noise = np.array(noise)
        self._mode = mode.spectrum()
        # Noise reaches the sensor through the same structure: flat, with a hump at the mode.
        hump = np.abs(self._mode) / np.abs(self._mode).max()
        shape = np.sqrt(1 + 8 * hump**2)
        shape /= np.sqrt(np.mean(shape**2))
        self._shape = (shape * np.sqrt(SAMPLE_RATE_HZ / 2)).astype(np.float32)

    @property
    def sensors(self) -> int:
        """How many accelerometers there are."""
        return len(self._noise)

    def second(
        self,
        random: Generator,
        cycles: F64,
        start: float,
        speed_hz: float,
        gain: float,
        severities: Mapping[str, float],
        impulses: F64 | None,
    ) -> F32:
        """Return accelerations in m/s2, shape (sensors, 3200).

        Args:
            random: of this second.
            cycles: turns of the shaft, from `shaft_cycles`.
            start: whole and part turns at the second's start, so that orders that are not whole
                numbers keep their phase too.
            speed_hz: mean shaft frequency.
            gain: of all healthy lines and the noise.
            severities: of the faults that have lines.
            impulses: a signal in m/s2 for each sensor, shape (sensors, 3200), that rings the mode.
        """
        jitter = 1 + 0.03 * random.standard_normal(len(self._orders))
        noise = random.standard_normal((self.sensors, SAMPLE_RATE_HZ + 2), dtype=np.float32)
        level = jitter.copy()
        level[: self._healthy] *= gain
        level[self._healthy :] = 0.0
        for label, part in self._slices.items():
            level[part] = severities.get(label, 0.0) * jitter[part]
        used = np.flatnonzero(level)
        orders, on_mains = self._orders[used], self._on_mains[used]
        frequency = orders * np.where(on_mains, MAINS_HZ, speed_hz)
        audible = frequency < SAMPLE_RATE_HZ / 2
        used, orders, on_mains = used[audible], orders[audible], on_mains[audible]
        frequency = frequency[audible]

        whole = np.floor(start)
        # The mains make 50 whole turns a second, so they start every second at the same phase.
        offsets = np.where(on_mains, 0.0, orders * whole) % 1.0
        local = np.where(on_mains[:, None], MAINS_HZ * _TIME, cycles)
        turns = offsets[:, None] + orders[:, None] * local
        angle = (turns - np.floor(turns)).astype(np.float32) * _TURN
        amplitude = np.sqrt(2) * 2e-3 * np.pi * self._velocity[:, used] * frequency * level[used]
        in_phase = (amplitude * self._in_phase[:, used]).astype(np.float32)
        quadrature = (amplitude * self._quadrature[:, used]).astype(np.float32)
        out: F32 = in_phase @ np.sin(angle) + quadrature @ np.cos(angle)

        scale = (self._noise * gain).astype(np.float32)[:, None]
        spectrum = noise.view(np.complex64) * (self._shape * scale)
        if impulses is not None:
            spectrum += np.fft.rfft(impulses.astype(np.float32), axis=1) * self._mode
        out += np.fft.irfft(spectrum, SAMPLE_RATE_HZ, axis=1)
        return out
