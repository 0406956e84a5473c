"""Slow down whoever guesses passwords."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from erp_modules.kernel.errors import ResourceExhausted

MAX_KEYS = 10_000
FIRST_SECONDS = 30.0
LONGEST_SECONDS = 900.0

# Wrong passwords before waiting begins: by user and address, by address, by user. The last is
# generous, since a stranger could use it to keep a user out.
LIMITS = (5, 20, 100)


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0


class Throttle:
    """Counts wrong passwords; past a limit each one doubles the time nobody may try again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, user: str, address: str) -> None:
        """Let an attempt pass.

        Raises:
            ResourceExhausted: too many were wrong; it says for how many seconds to wait.
        """
        now = self._monotonic()
        with self._lock:
            wait = max(
                (self._failures[key].until - now for key in _keys(user, address)
                 if key in self._failures),
                default=0.0,
            )  # fmt: skip
        if wait > 0:
            raise ResourceExhausted(
                f"too many wrong passwords: try again in {wait:.0f} s", retry_after=wait
            )

    def failed(self, user: str, address: str) -> None:
        """Count a wrong password."""
        now = self._monotonic()
        with self._lock:
            for key, limit in zip(_keys(user, address), LIMITS, strict=True):
                failures = self._failures.pop(key, _Failures())
                failures.count += 1
                if failures.count >= limit:
                    doublings = min(failures.count - limit, 10)
                    failures.until = now + min(FIRST_SECONDS * 2**doublings, LONGEST_SECONDS)
                self._failures[key] = failures
            while len(self._failures) > MAX_KEYS:
                self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """Forget the wrong passwords of this user from this address."""
        with self._lock:
            self._failures.pop(_keys(user, address)[0], None)


def _keys(user: str, address: str) -> tuple[tuple[str, str], ...]:
    return (user, address), ("", address), (user, "")
