"""Times as recordings write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_FORMATS: Final = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
)
# Seconds or milliseconds since the epoch, from 1990 on; anything else is a measurement.
SECONDS: Final = (6.3e8, 1e10)
MILLISECONDS: Final = (6.3e11, 1e13)


def time_ms(cell: str) -> int | None:
    """Return a cell's time in milliseconds since the epoch, UTC; None when it is no time."""
    cell = cell.strip()
    try:
        number = float(cell)
    except ValueError:
        moment = _moment(cell)
        return None if moment is None else round(moment.timestamp() * 1000)
    if SECONDS[0] <= number < SECONDS[1]:
        return round(number * 1000)
    if MILLISECONDS[0] <= number < MILLISECONDS[1]:
        return round(number)
    return None


def _moment(cell: str) -> datetime | None:
    """Return a written time, UTC when it has no offset."""
    moment: datetime | None = None
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        for form in _FORMATS:
            try:
                moment = datetime.strptime(cell, form)
                break
            except ValueError:
                continue
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment
