"""How a model does: scores and latencies of the windows it saw, the newest of them by quantile."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

NEWEST: Final = 512


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Over the newest windows; scores in units of the alarm limit, latencies in microseconds."""

    score_p50: float
    score_p95: float
    score_p99: float
    latency_p50_us: float
    latency_p99_us: float


class Tally:
    """Counts windows and errors of one model."""

    def __init__(self) -> None:
        self.windows = self.errors = 0
        self._scores: deque[float] = deque(maxlen=NEWEST)
        self._latencies_ns: deque[int] = deque(maxlen=NEWEST)

    def add(self, score: float, latency_ns: int) -> None:
        """Count a window."""
        self.windows += 1
        self._scores.append(score)
        self._latencies_ns.append(latency_ns)

    def quantiles(self) -> Quantiles | None:
        """Return the quantiles, None before the first window."""
        if not self._scores:
            return None
        scores = np.quantile(self._scores, (0.5, 0.95, 0.99))
        latencies = np.quantile(self._latencies_ns, (0.5, 0.99)) / 1e3
        return Quantiles(*map(float, scores), *map(float, latencies))
