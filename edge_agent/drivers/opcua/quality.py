"""What a status code says of a value."""

from __future__ import annotations

from typing import Final

from edge_agent.drivers.base import BAD, GOOD, STALE, Quality

# OPC 10000-4, 7.38: the two highest bits are the severity; 3 is reserved and counts as bad.
_SEVERITY_SHIFT: Final = 30
_GOOD, _UNCERTAIN = 0, 1
# Info type "data value" with the overflow bit: the server's queue lost values before this one.
_INFO_DATA_VALUE: Final = 0x0400
_INFO_OVERFLOW: Final = 0x0080


def quality_of(status: int) -> Quality:
    """Return the quality of a value with this status code.

    Sparkplug knows no "uncertain": such a value is `STALE` and keeps its number.
    """
    severity = (status & 0xFFFFFFFF) >> _SEVERITY_SHIFT
    if severity == _GOOD:
        return GOOD
    return STALE if severity == _UNCERTAIN else BAD


def overflowed(status: int) -> bool:
    """Return True when the server's queue of the item ran over before this value."""
    return status & 0x0C00 == _INFO_DATA_VALUE and bool(status & _INFO_OVERFLOW)


def worse(one: Quality, other: Quality) -> Quality:
    """Return the worse of two qualities: bad, then stale, then good."""
    if BAD in (one, other):
        return BAD
    return STALE if STALE in (one, other) else GOOD
