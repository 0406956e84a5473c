"""Two promises a ticket makes: when someone starts, and when it is completed.

The clocks start when the ticket is opened, stop early when it is cancelled or rejected, stand still
while it is on hold, and are read against a time that the caller gives. Targets are the house's
defaults by priority, elapsed time around the clock:

| priority | response | resolution |
|---|---|---|
| emergency | 1 h | 8 h |
| high | 4 h | 24 h |
| medium | 24 h | 7 d |
| low | 7 d | 30 d |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from erp_modules.maintenance.priority import Priority


class SlaState(StrEnum):
    """Where a clock stands."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    MET = "MET"
    BREACHED = "BREACHED"


@dataclass(frozen=True, slots=True)
class Targets:
    """How long each promise may take."""

    response: timedelta
    resolution: timedelta


TARGETS: dict[Priority, Targets] = {
    Priority.EMERGENCY: Targets(timedelta(hours=1), timedelta(hours=8)),
    Priority.HIGH: Targets(timedelta(hours=4), timedelta(hours=24)),
    Priority.MEDIUM: Targets(timedelta(hours=24), timedelta(days=7)),
    Priority.LOW: Targets(timedelta(days=7), timedelta(days=30)),
}


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise; every time is UTC.

    `held` is the sum of the holds that ended before the clock stopped, `held_since` the start of
    one that has not, `stop_time` when the promise was kept or given up.
    """

    start_time: datetime
    target: timedelta
    held: timedelta = timedelta(0)
    held_since: datetime | None = None
    stop_time: datetime | None = None

    def due_time(self, now: datetime) -> datetime:
        """Return when the promise falls due; a hold that lasts moves it on with `now`."""
        due = self.start_time + self.target + self.held
        if self.held_since is None or self.stop_time is not None or self.held_since > due:
            return due
        return due + (now - self.held_since)

    def state(self, now: datetime) -> SlaState:
        """Return where the clock stands at `now`.

        >>> from datetime import UTC
        >>> opened = datetime(2026, 1, 1, tzinfo=UTC)
        >>> clock = Clock(opened, timedelta(hours=1))
        >>> clock.state(opened + timedelta(hours=2)).value
        'BREACHED'
        """
        due = self.due_time(now)
        if self.stop_time is not None:
            return SlaState.MET if self.stop_time <= due else SlaState.BREACHED
        if self.held_since is not None and self.held_since <= due:
            return SlaState.PAUSED
        return SlaState.RUNNING if now <= due else SlaState.BREACHED
