"""Whether a new model is as good as the old one, from windows that both have scored; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.updates.tally import Tally

# Of the windows that the old model scored, the share that the new one may leave without a score.
UNSCORED: Final = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a trial; `reason` is empty when the new model stays.

    Latencies are medians in milliseconds, of the old model None when there was none.
    """

    reason: str
    windows: int
    shift: float | None
    latency_ms: float
    old_latency_ms: float | None


def shift_of(old: npt.ArrayLike, new: npt.ArrayLike) -> float:
    """Return how far two equally long samples of scores are apart, 0 to 1.

    Wasserstein's distance of order 1, which in one dimension is the mean difference of the sorted
    samples (Vallender 1974), on scores `s` taken as `s / (1 + s)`: 0.5 is the alarm limit, and a
    machine that both find very ill is no difference.

    >>> shift_of([0.5, 1.0], [1.0, 0.5])
    0.0
    >>> round(shift_of([0.5, 0.5], [3.0, 3.0]), 3)
    0.417
    """
    a, b = (np.sort(np.asarray(scores, np.float64)) for scores in (old, new))
    return float(np.mean(np.abs(a / (1 + a) - b / (1 + b))))


class Trial:
    """Collects what a new model and the old one say of the same windows."""

    def __init__(
        self, windows: int, shift: float, latency_factor: float, latency_ms: float
    ) -> None:
        """Decide after so many windows; the rest is what a new model may differ by."""
        self._windows, self._shift = windows, shift
        self._latency_factor, self._latency_ms = latency_factor, latency_ms
        # Of the new model alone, for reports.
        self.tally = Tally()
        self._pairs: list[tuple[float, float]] = []
        self._new_ns: list[int] = []
        self._old_ns: list[int] = []
        self._unscored = self._alone = 0
        self._failure = ""

    @property
    def progress(self) -> tuple[int, int]:
        """Windows seen and wanted."""
        return min(self._seen, self._windows), self._windows

    @property
    def _seen(self) -> int:
        return len(self._pairs) + self._alone + self._unscored

    def fail(self, reason: str) -> None:
        """End the trial: the new model raised."""
        self._failure = reason
        self.tally.errors += 1

    def observe(self, old: float | None, old_ns: int, new: float | None, new_ns: int) -> None:
        """Take the scores of one window, None without one, and what each took in nanoseconds."""
        if old is None and new is None:
            return
        if new is None:
            self._unscored += 1
            return
        if not np.isfinite(new):
            self.fail("a score is no number")
            return
        self.tally.add(new, new_ns)
        self._new_ns.append(new_ns)
        if old is None:
            self._alone += 1
        else:
            self._pairs.append((old, new))
            self._old_ns.append(old_ns)

    def verdict(self) -> Verdict | None:
        """Return the verdict, None while too few windows were seen."""
        if self._seen < self._windows and not self._failure:
            return None
        latency = float(np.median(self._new_ns)) / 1e6 if self._new_ns else 0.0
        old_latency = float(np.median(self._old_ns)) / 1e6 if self._old_ns else None
        shift = shift_of(*zip(*self._pairs, strict=True)) if self._pairs else None
        return Verdict(
            self._reason(latency, old_latency, shift), self._seen, shift, latency, old_latency
        )

    def _reason(self, latency: float, old_latency: float | None, shift: float | None) -> str:
        if self._failure:
            return self._failure
        if self._unscored > UNSCORED * self._windows:
            return f"{self._unscored} of {self._seen} windows were left without a score"
        allowed = max(self._latency_ms, self._latency_factor * (old_latency or 0.0))
        if latency > allowed:
            before = "" if old_latency is None else f", the old model {old_latency:.2f} ms"
            return f"latency: {latency:.2f} ms{before}; at most {allowed:.2f} ms"
        if shift is not None and shift > self._shift:
            return f"scores: shifted by {shift:.3f}, at most {self._shift:g}"
        return ""
