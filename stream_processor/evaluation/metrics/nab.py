"""The Numenta Anomaly Benchmark's score (Lavin and Ahmad, ICMLA 2015; NAB 1.1).

The first rows of a series, 15 % and 750 at most, are not scored. Of each window the earliest alarm
counts, the more the earlier it is; a false alarm costs the more the farther it lies behind a
window; a window without one costs the profile's weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.recording import Window

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a window found is worth, what a false alarm costs at most, and a window missed."""

    found: float
    false: float
    missed: float


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "standard": Profile(1.0, 0.11, 1.0),
        "low FP": Profile(1.0, 0.22, 1.0),
        "low FN": Profile(1.0, 0.11, 2.0),
    }
)


@dataclass(frozen=True, slots=True)
class Scored:
    """A series: its scores, shape (n,), and its labelled windows."""

    scores: Array
    windows: tuple[Window, ...]


def probation(rows: int) -> int:
    """Return how many rows at the start of a series are not scored."""
    return min(int(0.15 * rows), 750)


def _sigmoid(x: Array) -> Array:
    return 2.0 / (1.0 + np.exp(np.clip(5.0 * x, -700.0, 700.0))) - 1.0


def _weights(rows: int, windows: tuple[Window, ...]) -> tuple[npt.NDArray[np.int64], Array]:
    """Return of each row its window, -1 of none, and what an alarm there is worth."""
    window = np.full(rows, -1)
    worth = np.full(rows, -1.0)
    for k, w in enumerate(windows):
        at = np.arange(w.first, w.last + 1)
        width = w.last - w.first + 1
        window[at] = k
        worth[at] = _sigmoid(-(w.last - at + 1) / width) / _sigmoid(np.array(-1.0))
        end = windows[k + 1].first if k + 1 < len(windows) else rows
        behind = np.arange(w.last + 1, end)
        far = (behind - w.last) / max(width - 1, 1)
        worth[behind] = np.where(far > 3.0, -1.0, _sigmoid(far))
    return window, worth


class Corpus:
    """Series that share one threshold: what each threshold is worth under a profile."""

    def __init__(self, series: Sequence[Scored], profile: Profile) -> None:
        self._count = sum(len(s.windows) for s in series)
        self._null = -profile.missed * self._count
        levels, gains = [np.empty(0)], [np.empty(0)]
        for one in series:
            window, worth = _weights(len(one.scores), one.windows)
            counted = np.arange(len(one.scores)) >= probation(len(one.scores))
            outside = (window < 0) & counted
            levels.append(one.scores[outside])
            gains.append(profile.false * worth[outside])
            for k in range(len(one.windows)):
                at = np.flatnonzero((window == k) & counted)
                if not at.size:
                    continue
                order = at[np.argsort(-one.scores[at], kind="stable")]
                best = np.maximum.accumulate(profile.found * worth[order])
                gain = np.diff(best, prepend=0.0)
                gain[0] += profile.missed
                levels.append(one.scores[order])
                gains.append(gain)
        level, gain = np.concatenate(levels), np.concatenate(gains)
        order = np.argsort(-level, kind="stable")
        level, total = level[order], np.cumsum(gain[order]) + self._null
        last = np.append(level[1:] != level[:-1], True) if level.size else np.zeros(0, bool)
        self._levels, self._totals = level[last], total[last]
        self._found = profile.found

    @property
    def windows(self) -> int:
        """How many there are."""
        return self._count

    def raw(self, threshold: float) -> float:
        """Return the sum of all that alarms at or above a threshold are worth."""
        at = int(np.searchsorted(-self._levels, -threshold, side="right")) - 1
        return float(self._totals[at]) if at >= 0 else self._null

    def best(self) -> float:
        """Return the threshold that is worth most: it is tuned on the labels."""
        at = int(np.argmax(self._totals))
        return float(self._levels[at]) if self._totals[at] > self._null else float("inf")

    def normalised(self, raw: float) -> float:
        """Return a sum with 0 for no alarm at all and 100 for the earliest one of each window."""
        return 100.0 * (raw - self._null) / (self._found * self._count - self._null)

    def score(self, threshold: float) -> float:
        """Return the normalised score of a threshold."""
        return self.normalised(self.raw(threshold))


def optimised(series: Sequence[Scored], profile: Profile) -> float:
    """Return the benchmark's own figure: one threshold, the best for the labels that score it."""
    corpus = Corpus(series, profile)
    return corpus.score(corpus.best())


def held_out(series: Sequence[Scored], profile: Profile) -> float:
    """Return the score when each half of the series has the threshold best for the other half.

    Halves are every other series in the order given.
    """
    whole = Corpus(series, profile)
    first, second = Corpus(series[::2], profile), Corpus(series[1::2], profile)
    return whole.normalised(first.raw(second.best()) + second.raw(first.best()))
