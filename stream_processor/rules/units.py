"""Units of measure as channels declare them, what they measure, and how one becomes another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ONE = "1"


@dataclass(frozen=True, slots=True)
class Scale:
    """How a unit measures its dimension: base = factor · value + offset."""

    dimension: str
    factor: float
    offset: float = 0.0


def _scales() -> Mapping[str, Scale]:
    table: dict[str, dict[str, float]] = {
        "acceleration": {"m/s2": 1.0, "mm/s2": 1e-3, "g": 9.80665},
        "velocity": {"m/s": 1.0, "mm/s": 1e-3, "in/s": 0.0254},
        "length": {"m": 1.0, "mm": 1e-3, "um": 1e-6},
        "pressure": {"bar": 1e5, "mbar": 1e2, "Pa": 1.0, "kPa": 1e3, "MPa": 1e6, "psi": 6894.757},
        "flow": {"m3/s": 1.0, "m3/h": 1 / 3600, "l/s": 1e-3, "l/min": 1e-3 / 60},
        "current": {"A": 1.0, "mA": 1e-3},
        "frequency": {"Hz": 1.0, "1/min": 1 / 60, "rpm": 1 / 60},
        "power": {"W": 1.0, "kW": 1e3, "MW": 1e6},
        "time": {"s": 1.0, "min": 60.0, "h": 3600.0},
        "ratio": {ONE: 1.0, "%": 0.01},
    }
    found = {
        unit: Scale(dimension, factor)
        for dimension, units in table.items()
        for unit, factor in units.items()
    }
    found["degC"] = Scale("temperature", 1.0, 273.15)
    found["K"] = Scale("temperature", 1.0)
    found["degF"] = Scale("temperature", 5 / 9, 459.67 * 5 / 9)
    return MappingProxyType(found)


SCALES = _scales()
# What a quantity of docs/contracts.md is measured in when nothing else is said, and its dimension;
# quantities that are not here are measured in whatever their channel says.
QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "acceleration": "m/s2",
        "velocity": "mm/s",
        "temperature": "degC",
        "pressure": "bar",
        "differential_pressure": "bar",
        "flow": "m3/h",
        "current": "A",
        "speed": "1/min",
        "power": "kW",
    }
)
UNMEASURED = ("level", "count", "other")


def dimension(unit: str) -> str:
    """Return what a unit measures; a unit that is not known measures only itself."""
    scale = SCALES.get(unit)
    return scale.dimension if scale else f"unit {unit}"


def alike(unit: str) -> list[str]:
    """Return the units into which `unit` can be converted, itself among them."""
    own = dimension(unit)
    return [u for u, scale in SCALES.items() if scale.dimension == own] or [unit]


def conversion(given: str, wanted: str) -> tuple[float, float] | None:
    """Return factor and offset from one unit to another, None when they measure different things.

    >>> conversion("degF", "degC") == (5 / 9, (459.67 * 5 / 9 - 273.15))
    True
    >>> conversion("bar", "degC") is None
    True
    """
    if given == wanted:
        return 1.0, 0.0
    source, target = SCALES.get(given), SCALES.get(wanted)
    if source is None or target is None or source.dimension != target.dimension:
        return None
    return source.factor / target.factor, (source.offset - target.offset) / target.factor


Powers = tuple[tuple[str, int], ...]
"""A unit made of units, each with its power, in the order of their names; empty is the number 1."""


def powers(unit: str) -> Powers:
    """Return a single unit as a product of one."""
    return () if unit == ONE else ((unit, 1),)


def product(left: Powers, right: Powers, sign: int = 1) -> Powers:
    """Return the unit of a product, with `sign` -1 of a quotient."""
    found = dict(left)
    for unit, power in right:
        found[unit] = found.get(unit, 0) + sign * power
    return tuple(sorted((u, p) for u, p in found.items() if p))


def written(unit: Powers) -> str:
    """Return a unit as it is read.

    >>> written((("A", 1), ("s", -1))), written(())
    ('A/s', '1')
    """
    above = [u if p == 1 else f"{u}^{p}" for u, p in unit if p > 0]
    below = [u if p == -1 else f"{u}^{-p}" for u, p in unit if p < 0]
    return "/".join(["·".join(above) or ONE, *below])
