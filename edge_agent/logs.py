"""Structured logs: for people on a terminal, JSON elsewhere; the newest troubles are remembered."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
USUAL: Final = "info"
_NEWEST: Final = 20
_troubles: deque[dict[str, str]] = deque(maxlen=_NEWEST)


def configure(level: int = logging.INFO) -> None:
    """Set structlog up; again with another level. `HEADRACE_LOG_FORMAT` is `console` or `json`."""
    form = os.environ.get("HEADRACE_LOG_FORMAT") or ("console" if sys.stderr.isatty() else "json")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _remember,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer()
            if form == "console"
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def set_level(name: str) -> None:
    """Log from this level on.

    Raises:
        ValueError: there is no such level.
    """
    if name not in LEVELS:
        raise ValueError(f"log level: {name!r} is none of {', '.join(LEVELS)}")
    configure(LEVELS[name])


def troubles() -> list[dict[str, str]]:
    """Return the newest warnings and errors, the newest first."""
    return list(reversed(_troubles))


def _remember(_logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    if name in ("warning", "error", "critical", "exception"):
        _troubles.append(
            {
                "time": str(event.get("timestamp", "")),
                "level": name,
                "event": str(event.get("event", "")),
                "reason": str(event.get("reason", "")),
            }
        )
    return event
