"""The failure modes a finding can name, and what follows from them."""

from __future__ import annotations

from enum import StrEnum


class FailureMode(StrEnum):
    """Probable failure mode (as in ISO 14224), by the names of the processor's contract."""

    UNDETERMINED = "UNDETERMINED"
    UNBALANCE = "UNBALANCE"
    MISALIGNMENT = "MISALIGNMENT"
    LOOSENESS = "LOOSENESS"
    BEARING_OUTER_RACE = "BEARING_OUTER_RACE"
    BEARING_INNER_RACE = "BEARING_INNER_RACE"
    CAVITATION = "CAVITATION"
    BLOCKED_FILTER = "BLOCKED_FILTER"
    OVERHEATING = "OVERHEATING"
    AIR_LEAK = "AIR_LEAK"
    SENSOR_STUCK = "SENSOR_STUCK"
    SENSOR_DRIFT = "SENSOR_DRIFT"
    SENSOR_DROPOUT = "SENSOR_DROPOUT"
    SENSOR_SPIKE = "SENSOR_SPIKE"
    GEAR_WEAR = "GEAR_WEAR"

    @property
    def is_sensor_fault(self) -> bool:
        """True when the instrument is at fault, not the machine."""
        return self in _SENSOR_FAULTS

    @property
    def words(self) -> str:
        """The mode as a person reads it, such as `bearing outer race`."""
        return self.value.lower().replace("_", " ")


_SENSOR_FAULTS = frozenset(
    {
        FailureMode.SENSOR_STUCK,
        FailureMode.SENSOR_DRIFT,
        FailureMode.SENSOR_DROPOUT,
        FailureMode.SENSOR_SPIKE,
    }
)


def same_work(known: FailureMode, found: FailureMode) -> bool:
    """Say whether a finding of mode `found` belongs to an open ticket of mode `known`.

    The same mode does; so does a cause not yet determined on either side, because the same fault
    often shows before it can be named. An instrument's fault is other people's work than a
    machine's, so it never joins an undetermined one.

    >>> same_work(FailureMode.UNDETERMINED, FailureMode.BEARING_OUTER_RACE)
    True
    >>> same_work(FailureMode.UNDETERMINED, FailureMode.SENSOR_STUCK)
    False
    """
    if known is found:
        return True
    if FailureMode.UNDETERMINED not in (known, found):
        return False
    return not (known.is_sensor_fault or found.is_sensor_fault)
