"""The air receiver of a compressor that loads and unloads between two pressures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

ATMOSPHERE_BAR = 1.013


@dataclass(frozen=True, slots=True)
class Receiver:
    """A vessel of `volume_m3` whose compressor loads at `low_bar` and unloads at `high_bar`.

    Isothermal filling: `dp/dt = (delivered - drawn) x atmosphere / volume`, both as free air in
    m3/min.
    """

    volume_m3: float
    low_bar: float
    high_bar: float

    def run(self, delivered: F64, drawn: F64, pressure_bar: float, loaded: bool) -> tuple[F64, F64]:
        """Return pressure in bar and the load (1 loaded, 0 not) at each second.

        Args:
            delivered: free air the compressor gives when it is loaded, m3/min.
            drawn: free air the plant and its leaks take, m3/min.
            pressure_bar: at the second before the first.
            loaded: at the second before the first.
        """
        gain = ATMOSPHERE_BAR / (60.0 * self.volume_m3)
        rising = ((delivered - drawn) * gain).tolist()
        falling = (drawn * gain).tolist()
        pressures, loads = [], []
        for rise, fall in zip(rising, falling, strict=True):
            pressure_bar += rise if loaded else -fall
            if pressure_bar >= self.high_bar:
                loaded = False
            elif pressure_bar <= self.low_bar:
                loaded = True
            pressures.append(pressure_bar)
            loads.append(loaded)
        return np.array(pressures), np.array(loads, dtype=np.float64)
