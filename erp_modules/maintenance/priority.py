"""What to do first: priority from criticality and severity.

A consequence and likelihood matrix in the sense of IEC 31010: the consequence is the equipment's
criticality, and the severity of the finding stands for how near the failure is. The cells are the
house's defaults:

| criticality \\ severity | low | medium | high | critical |
|---|---|---|---|---|
| low (spare or redundant) | low | low | medium | high |
| medium (slows production) | low | medium | medium | high |
| high (stops a line) | low | medium | high | emergency |
| safety (stops the site, endangers people) | medium | high | emergency | emergency |

An instrument's fault ranks one step lower: the machine still runs, but unwatched.
"""

from __future__ import annotations

from enum import IntEnum


class Criticality(IntEnum):
    """What a failure of the equipment costs; numbered as in the contract."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    SAFETY = 4


class Severity(IntEnum):
    """How bad a finding is; numbered as in the contract."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Priority(IntEnum):
    """What to do first; numbered as in the contract."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    EMERGENCY = 4


_P = Priority
_MATRIX: dict[Criticality, tuple[Priority, Priority, Priority, Priority]] = {
    Criticality.LOW: (_P.LOW, _P.LOW, _P.MEDIUM, _P.HIGH),
    Criticality.MEDIUM: (_P.LOW, _P.MEDIUM, _P.MEDIUM, _P.HIGH),
    Criticality.HIGH: (_P.LOW, _P.MEDIUM, _P.HIGH, _P.EMERGENCY),
    Criticality.SAFETY: (_P.MEDIUM, _P.HIGH, _P.EMERGENCY, _P.EMERGENCY),
}


def priority_of(
    criticality: Criticality, severity: Severity, *, sensor_fault: bool = False
) -> Priority:
    """Return the priority of work on equipment of `criticality` with a finding of `severity`.

    >>> priority_of(Criticality.HIGH, Severity.CRITICAL).name
    'EMERGENCY'
    >>> priority_of(Criticality.HIGH, Severity.CRITICAL, sensor_fault=True).name
    'HIGH'
    """
    priority = _MATRIX[criticality][severity - 1]
    return Priority(max(priority - 1, Priority.LOW)) if sensor_fault else priority
