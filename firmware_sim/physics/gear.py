"""Gears: the mesh and its side bands."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_sim.physics.vibration import Line


@dataclass(frozen=True, slots=True)
class GearPair:
    """A pinion on the input shaft and the wheel it drives."""

    pinion_teeth: int
    wheel_teeth: int

    @property
    def ratio(self) -> float:
        """Turns of the input shaft for one of the output shaft."""
        return self.wheel_teeth / self.pinion_teeth

    def mesh_lines(self, velocity: tuple[float, ...], side_band: float) -> list[Line]:
        """Return the mesh, its double, and side bands one and two turns of each shaft away.

        Teeth mesh `pinion_teeth` times a turn of the input shaft; eccentricity of either gear
        modulates the mesh at that gear's turns (Randall, "Vibration-based Condition Monitoring",
        2nd ed., 2.2.2).

        Args:
            velocity: of the mesh at each sensor, mm/s RMS.
            side_band: the first side bands over the mesh; the second are half of them.
        """
        mesh = float(self.pinion_teeth)
        rows = [(mesh, 1.0), (2 * mesh, 0.35)]
        for shaft in (1.0, 1.0 / self.ratio):
            for away, size in ((1, side_band), (2, side_band / 2)):
                rows += [(mesh - away * shaft, size), (mesh + away * shaft, size)]
        return [Line(order, tuple(size * v for v in velocity)) for order, size in rows]
