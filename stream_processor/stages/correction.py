"""What comes late: its time is set right in the historian, and nothing else happens."""

from __future__ import annotations

from typing import Any, Self

from stream_processor.frames import Frame
from stream_processor.schema import Schema
from stream_processor.stages.items import Findings
from stream_processor.stages.manipulation import Manipulation
from stream_processor.stages.publication import late_points

SCHEMA = Schema("late correction")


class Correction:
    """Compute of a late frame what needs no history; learn nothing and judge nothing.

    It has no state: what it returns depends on the frame alone, so that the order in which late
    frames come, and how often, changes nothing.
    """

    def update(self, item: Frame) -> Findings:
        """Return the points of a late frame."""
        return Findings(points=late_points(Manipulation().update(item)))

    def state(self) -> dict[str, Any]:
        """Return the schema alone."""
        return {"schema": SCHEMA.version}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        return cls()
