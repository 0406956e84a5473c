"""Time, injected: UTC only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return datetime.now(UTC)


@dataclass
class ManualClock:
    """A clock that stands still until it is moved: for tests and simulations."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time it was last moved to."""
        return self.time

    def advance(self, step: timedelta) -> None:
        """Move on by `step`."""
        self.time += step
