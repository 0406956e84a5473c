"""Pumps and fans against what they push through: quadratic curves and where they meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Real = F64 | float

WATER_DENSITY = 998.0
GRAVITY = 9.81
ATMOSPHERE_PA = 101_325.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A pressure (or head) over flow: `at rest + slope x flow^2`."""

    at_rest: Real
    slope: Real

    def at(self, flow: Real) -> Real:
        """Return the pressure at `flow`."""
        return self.at_rest + self.slope * flow**2

    def scaled(self, factor: Real) -> Curve:
        """Return the curve with each pressure times `factor`."""
        return Curve(self.at_rest * factor, self.slope * factor)


def operating_flow(machine: Curve, system: Curve) -> F64:
    """Return the flow at which the machine's falling curve meets the system's rising one.

    0 where the machine cannot lift against the system at rest.
    """
    lift = np.maximum(np.asarray(machine.at_rest - system.at_rest, dtype=np.float64), 0.0)
    flow: F64 = np.sqrt(lift / (system.slope - machine.slope))
    return flow


def efficiency(flow: F64, best_flow: float, best: float) -> F64:
    """Return the efficiency at `flow`: a parabola through 0 and the best efficiency point."""
    ratio = flow / best_flow
    return np.maximum(best * (2 * ratio - ratio**2), 0.05)


def vapour_pressure_pa(temperature_degc: Real) -> Real:
    """Return the vapour pressure of water (Magnus formula, WMO coefficients)."""
    result: Real = 611.2 * np.exp(17.62 * temperature_degc / (243.12 + temperature_degc))
    return result


def npsh_available_m(suction_bar: F64, temperature_degc: Real) -> F64:
    """Return the net positive suction head from gauge suction pressure in bar (ISO 9906, 3.2)."""
    above_vapour = suction_bar * 1e5 + ATMOSPHERE_PA - vapour_pressure_pa(temperature_degc)
    return above_vapour / (WATER_DENSITY * GRAVITY)
