"""What was heard of each process of the flow last, and for how long that holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud_api.flow.history import SLOT_S, History
from stream_processor.v1.status_pb2 import ProcessorStatus

# A process speaks once a second.
SILENT_S = 5.0
FORGET_S = 60.0
# How far back its earlier words are kept, for rates and changes.
EARLIER_S = 30.0
# More than any plant has; who sends more is no processor.
MAX_PROCESSES = 1024


@dataclass(frozen=True, slots=True)
class Heard:
    """The last status of a process, when it came, and those of the half minute before.

    `earlier` begins with the oldest and ends with `status`.
    """

    status: ProcessorStatus
    time: datetime
    silent: bool
    earlier: tuple[ProcessorStatus, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    at_s: float
    time: datetime
    earlier: tuple[ProcessorStatus, ...]

    @property
    def status(self) -> ProcessorStatus:
        return self.earlier[-1]


class StatusBoard:
    """The processes that are heard of; safe to use from any thread."""

    def __init__(self, monotonic: Callable[[], float], now: Callable[[], datetime]) -> None:
        """Begin with nobody; `monotonic` counts seconds, `now` is aware and in UTC."""
        self._monotonic = monotonic
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._history = History()
        self._lock = threading.Lock()

    def take(self, status: ProcessorStatus) -> None:
        """Keep what a process says; one that ends is forgotten, an older word passed over."""
        at_s = self._monotonic()
        with self._lock:
            before = self._kept.get(status.id)
            if before is not None and before.status.start_time != status.start_time:
                before = None
            if before is not None and status.uptime_seconds <= before.status.uptime_seconds:
                return
            self._count(before, status, at_s)
            if status.ending:
                self._kept.pop(status.id, None)
                return
            if before is None and len(self._kept) >= MAX_PROCESSES:
                return
            since = status.uptime_seconds - EARLIER_S
            earlier = [s for s in before.earlier if s.uptime_seconds >= since] if before else []
            self._kept[status.id] = _Kept(at_s, self._now(), (*earlier, status))

    def _count(self, before: _Kept | None, status: ProcessorStatus, at_s: float) -> None:
        if before is not None:
            self._history.add(before.at_s, at_s, before.status, status)
        elif status.uptime_seconds < SLOT_S:
            # It has just started: all that it did is news.
            self._history.add(at_s - status.uptime_seconds, at_s, ProcessorStatus(), status)

    def heard(self) -> list[Heard]:
        """Return who was heard of within a minute, by number, the newest of a number first.

        One that is silent is forgotten sooner when another took its number after it fell silent.
        """
        at_s = self._monotonic()
        with self._lock:
            for name, kept in list(self._kept.items()):
                if at_s - kept.at_s >= FORGET_S or self._is_replaced(kept, at_s):
                    del self._kept[name]
            if not self._kept:
                self._history.clear()
            found = [
                Heard(k.status, k.time, at_s - k.at_s >= SILENT_S, k.earlier)
                for k in self._kept.values()
            ]
        found.sort(key=lambda h: started(h.status), reverse=True)
        return sorted(found, key=lambda h: h.status.process)

    def _is_replaced(self, kept: _Kept, at_s: float) -> bool:
        return at_s - kept.at_s >= SILENT_S and any(
            other.status.process == kept.status.process and started(other.status) > kept.time
            for other in self._kept.values()
        )

    def rates(self, step: str) -> Sequence[float]:
        """Return the items a second that a step took, one of each five seconds, oldest first."""
        with self._lock:
            return self._history.rates(step, self._monotonic())

    def dead_letters(self, step: str) -> int:
        """Return how many dead letters a step made in the last five minutes."""
        with self._lock:
            return self._history.dead_letters(step, self._monotonic())

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self._now()


def started(status: ProcessorStatus) -> datetime:
    """Return when a process started, aware and in UTC."""
    return status.start_time.ToDatetime(UTC)
