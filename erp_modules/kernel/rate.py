"""Limits of calls a second, for each principal and RPC."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from erp_modules.kernel.errors import ResourceExhausted

_MAX_BUCKETS = 10_000


class RateLimiter:
    """Token buckets: `rate` calls a second, and as many at once after a second of rest."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, principal: str, method: str, rate: int) -> None:
        """Let one call pass; a `rate` of 0 is no limit.

        Raises:
            ResourceExhausted: the bucket is empty; it says after how many seconds it is not.
        """
        if rate == 0:
            return
        now = self._monotonic()
        with self._lock:
            tokens, since = self._buckets.pop((principal, method), (float(rate), now))
            tokens = min(float(rate), tokens + (now - since) * rate)
            allowed = tokens >= 1.0
            self._buckets[principal, method] = (tokens - 1.0 if allowed else tokens, now)
            if len(self._buckets) > _MAX_BUCKETS:
                self._buckets.popitem(last=False)
        if not allowed:
            raise ResourceExhausted(
                f"more than {rate} calls a second of {method}", retry_after=(1.0 - tokens) / rate
            )
