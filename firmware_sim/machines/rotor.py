"""How the faults of a rotor look in its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from firmware_sim.faults import LOOSENESS, MISALIGNMENT, UNBALANCE
from firmware_sim.physics.vibration import Line

Direction = Literal["radial", "axial"]


def _lines(
    rows: Sequence[tuple[float, float, float]], directions: Sequence[Direction]
) -> list[Line]:
    return [
        Line(order, tuple(axial if d == "axial" else radial for d in directions))
        for order, radial, axial in rows
    ]


def rotor_faults(directions: Sequence[Direction]) -> dict[str, list[Line]]:
    """Return the lines that unbalance, misalignment and looseness add at severity 1.

    Orders and directions as in ISO 13373-3:2015 annexes and the usual diagnostic charts: unbalance
    is radial at 1x; misalignment is 2x, and 1x and 2x axially; looseness is many harmonics with
    halves between them. Sizes take a machine of zone A well into zone D of ISO 20816-3 (group 2,
    rigid foundation: 1.4, 2.8 and 4.5 mm/s RMS).

    Args:
        directions: what each accelerometer measures.
    """
    # order, velocity in mm/s RMS radially, and axially
    return {
        UNBALANCE: _lines([(1.0, 6.0, 0.6)], directions),
        MISALIGNMENT: _lines([(1.0, 1.2, 3.2), (2.0, 4.2, 4.0), (3.0, 0.9, 1.2)], directions),
        LOOSENESS: _lines(
            [
                (0.5, 1.3, 0.4),
                (1.0, 1.6, 0.4),
                (1.5, 1.2, 0.3),
                (2.0, 2.2, 0.6),
                (2.5, 0.9, 0.3),
                (3.0, 1.9, 0.5),
                (3.5, 0.6, 0.2),
                (4.0, 1.4, 0.4),
                (5.0, 1.0, 0.3),
                (6.0, 0.7, 0.2),
                (7.0, 0.5, 0.2),
                (8.0, 0.4, 0.1),
            ],
            directions,
        ),
    }
