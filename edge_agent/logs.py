"""Structured logs: for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import os
import sys

import structlog


def configure(level: int = logging.INFO) -> None:
    """Set structlog up once a process; `HEADRACE_LOG_FORMAT` is `console` or `json`."""
    form = os.environ.get("HEADRACE_LOG_FORMAT") or ("console" if sys.stderr.isatty() else "json")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer()
            if form == "console"
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
