"""Times as people give them to commands: a moment, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SPAN = re.compile(r"([+-]?)((?:\d+(?:\.\d+)?(?:ms|[dhms]))+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")


def span_of(text: str) -> timedelta:
    """Return a length of time.

    Raises:
        ValueError: it is none.

    >>> span_of("-1d"), span_of("2h30m").total_seconds()
    (datetime.timedelta(days=-1), 9000.0)
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no length of time such as -1d, 2h30m or 90s")
    sign, parts = found.groups()
    seconds = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(parts))
    return timedelta(seconds=-seconds if sign == "-" else seconds)


def moment_of(text: str, now: datetime) -> str:
    """Return a time in RFC 3339: `text` itself, or as long ago as it says.

    Raises:
        ValueError: it is neither.
    """
    try:
        return (now - span_of(text)).isoformat()
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time such as 2h or 2026-01-31T08:00:00Z") from None
    return (at if at.tzinfo else at.astimezone()).astimezone(UTC).isoformat()
