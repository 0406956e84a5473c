"""Scheduled jobs: each interval once, however many replicas run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from erp_modules.kernel.context import Context


@dataclass(frozen=True)
class Job:
    """Runs every `interval` for each organisation, in a unit of work of its own.

    `name` is `{module}.{what it does}`.
    """

    name: str
    interval: timedelta
    run: Callable[[Context], None]

    @property
    def module(self) -> str:
        """Name of the module it belongs to."""
        return self.name.split(".", 1)[0]
