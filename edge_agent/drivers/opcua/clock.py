"""What time it is at the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Final

# A time that is so much behind what was known means a clock that was set back, not a slow answer.
STEP_MS: Final = 5000.0
_WINDOW_S: Final = 60.0


class ServerClock:
    """The server's clock by its answers: each was given at its time or a little later.

    The newest time seen, of this minute and the last, is the closest; between answers our own
    monotonic clock goes on, so that setting the gateway's clock changes nothing. Until the first
    answer it is the gateway's.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic, self._wall = monotonic, wall
        self._offset_ms = self._previous_ms = -inf
        self._window_ends = 0.0

    def saw(self, server_ms: float) -> None:
        """Take a time that the server just gave, milliseconds since the epoch, UTC."""
        now = self._monotonic()
        offset = server_ms - now * 1000
        if offset < max(self._offset_ms, self._previous_ms) - STEP_MS:
            self._offset_ms = self._previous_ms = -inf
        if now >= self._window_ends:
            self._previous_ms, self._offset_ms = self._offset_ms, -inf
            self._window_ends = now + _WINDOW_S
        self._offset_ms = max(self._offset_ms, offset)

    def now_ms(self) -> float:
        """Return the server's time, milliseconds since the epoch, UTC."""
        offset = max(self._offset_ms, self._previous_ms)
        if offset == -inf:
            return self._wall() * 1000
        return self._monotonic() * 1000 + offset

    @property
    def skew_ms(self) -> float:
        """How far the server's clock is ahead of the gateway's."""
        return self.now_ms() - self._wall() * 1000
