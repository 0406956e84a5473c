"""Count what cannot be read, and say it, but not in a flood."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

log = structlog.get_logger(__name__)

SAY_EVERY_S: Final = 60.0
# Topics are as many as a stranger likes.
_MAX_TOPICS: Final = 1000


@dataclass(slots=True)
class _Topic:
    said_at: float
    since: int = 0


class Complaints:
    """What was wrong, by topic; each is said once a minute at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin; `clock` counts seconds."""
        self._clock = clock
        self._topics: dict[str, _Topic] = {}
        self._silence_until = -float("inf")
        self.count = 0
        self.said = 0

    def add(self, topic: str, reason: str) -> None:
        """Count a complaint about a topic."""
        self.count += 1
        now = self._clock()
        known = self._topics.get(topic)
        if known is None:
            if len(self._topics) >= _MAX_TOPICS:
                self._topics = {
                    name: one
                    for name, one in self._topics.items()
                    if now - one.said_at < SAY_EVERY_S
                }
            if len(self._topics) >= _MAX_TOPICS:
                if now >= self._silence_until:
                    self._silence_until = now + SAY_EVERY_S
                    log.warning("messages on too many topics cannot be read", count=self.count)
                return
            known = self._topics[topic] = _Topic(-float("inf"))
        known.since += 1
        if now - known.said_at >= SAY_EVERY_S:
            known.said_at = now
            self.said += 1
            log.warning(
                "message cannot be read", topic=topic[:200], reason=reason, count=known.since
            )
            known.since = 0
