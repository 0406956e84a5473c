"""What is unusual in one series by itself, seasonal or not, as a tail probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels import counting, cycle, novelty, recurrence
from stream_processor.kernels import series as kernel
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
SCHEMA = Schema("a series monitor")
MONTH_MS = 30 * 86_400_000
# Measured on rows without a label of series that chose nothing (`python -m benchmarks.series`).
TOGETHER = 4.0
ARRAYS = (
    "now",
    "lags",
    "runs",
    "slow",
    "weights",
    "inverse",
    "profile",
    "clock",
    "phases",
    "blocks",
    "known",
    "count",
    "steps",
    "tails",
    "events",
    "found",
    "recent",
)


@dataclass(frozen=True, slots=True)
class Surprise:
    """How unusual an observation is.

    `value` is -log10 of the probability of something so far out, 0 of what is usual, at most 12;
    `news` is that if none of the last `kernel.HOLD` observations was as far out, else 0: an alarm
    is an event and not its every row. What comes again and again is no news: there it is bounded by
    how often it does (`kernels.recurrence`). `view` is which of `kernel.VIEWS` says so.
    """

    value: float
    news: float
    view: str


def limit_for(alarms_a_month: float, interval_ms: float) -> float:
    """Return the surprise that news of a healthy series reaches so many times a month of 30 days.

    `interval_ms` is from row to row. The views together raise about `TOGETHER` times the alarms of
    one whose rows were independent, so the limit needs no labels.

    Raises:
        ValueError: one of them is not positive.

    >>> round(limit_for(1.0, 60_000.0), 2)
    5.24
    """
    if not (alarms_a_month > 0.0 and interval_ms > 0.0):
        raise ValueError(
            f"{alarms_a_month} alarms a month at {interval_ms} ms a row: both have to be positive"
        )
    rows = MONTH_MS / interval_ms
    return max(float(np.log10(TOGETHER * rows / alarms_a_month)), 0.0)


class SeriesMonitor:
    """Thirteen views of one series, each on the scale of its own past, and the largest of them.

    Each view is a distance (`kernel.VIEWS`), and what exceeds its 99th percentile has a generalised
    Pareto tail, so that views and series share one scale and one limit. Nothing is said before 200
    observations were learnt. Of a counter, which never falls in its first 200 steps and rises in
    most of them, the increments are followed, and it begins anew. State: about 14 KB.
    """

    def __init__(self) -> None:
        self._steps = np.zeros(counting.STEPS)
        self._recent = np.zeros(kernel.HOLD)
        self._place = 0
        self._alarmed = 0
        self._forget()

    def _forget(self) -> None:
        size = kernel.LAGS + 1
        self._now = np.zeros(kernel.NOW)
        self._lags = np.zeros(kernel.LAGS)
        self._runs = np.zeros((3, kernel.RUN))
        self._slow = np.zeros(kernel.SLOW)
        # The last two are the mean error and how many were seen; at first the last value is
        # expected again.
        self._weights = np.zeros(size + 2)
        self._weights[1] = 1.0
        self._inverse = np.eye(size)
        # Infinite: not known yet.
        self._profile = np.full(kernel.HALF_HOURS + kernel.HOURS, np.inf)
        self._clock = np.zeros(cycle.CLOCK)
        self._phases = np.zeros((2, cycle.PHASES))
        self._blocks = np.zeros(cycle.BLOCKS)
        self._known = np.zeros((2, novelty.KNOWN))
        self._count = np.zeros(novelty.COUNT)
        self._tails = np.zeros((len(kernel.VIEWS), kernel.TAILS))
        self._events = np.zeros((len(kernel.VIEWS), recurrence.SIZE))
        self._found = np.zeros(kernel.FOUND)
        self._surprise = np.zeros(len(kernel.VIEWS))

    @property
    def ready(self) -> bool:
        """Whether enough was learnt for a surprise to mean something."""
        return bool(self._tails[0, kernel.COUNT] >= kernel.WARM)

    @property
    def surprises(self) -> Array:
        """The surprise of each of `kernel.VIEWS` at the last observation (13,)."""
        return self._surprise.copy()

    def update(self, value: float, time_ms: int) -> Surprise:
        """Take a value at a time (UTC, ms) and return its surprise; `learn` takes it as usual.

        The time says which hour of the day and of the week it is, and how many rows are missing
        since the last one. A value that is no number has no surprise and leaves no trace.
        """
        kernel.update(
            value,
            time_ms,
            self._now,
            self._lags,
            self._runs,
            self._slow,
            self._weights,
            self._profile,
            self._clock,
            self._phases,
            self._known,
            self._count,
            self._steps,
            self._tails,
            self._events,
            self._found,
            self._surprise,
        )
        view = int(self._surprise.argmax())
        highest = float(self._surprise[view])
        if self._now[kernel.PENDING] == 0.0:
            return Surprise(0.0, 0.0, kernel.VIEWS[view])
        news = kernel.news(self._now[kernel.STANDS], self._recent, self._place)
        self._place = (self._place + 1) % kernel.HOLD
        return Surprise(highest, news, kernel.VIEWS[view])

    def learn(self, usual: bool = True) -> None:
        """Learn the observation that was taken last; a second time teaches nothing.

        One that is not `usual` teaches only how often there are such distances, each no more than
        eight times the mean excess: without them the tails would be those of a truncated sample,
        and what is rare seem impossible. It teaches besides that there is such a value, and the
        period of the series. What is expected of it stays as it is.
        """
        kernel.learn(
            self._now,
            self._slow,
            self._weights,
            self._inverse,
            self._profile,
            self._clock,
            self._phases,
            self._blocks,
            self._known,
            self._count,
            self._tails,
            self._events,
            self._found,
            usual,
        )
        if counting.decide(self._steps):
            self._forget()

    def follow(self, value: float, time_ms: int, limit: float) -> Surprise:
        """Take a value and learn it, as usual unless its surprise reaches `limit`.

        What has lasted becomes usual: after `kernel.HOLD` observations over the limit, less those
        under it since, what comes is learnt as usual whatever it is, so that a lasting change ends.
        """
        surprise = self.update(value, time_ms)
        if self._now[kernel.PENDING] == 0.0:
            return surprise
        if surprise.value >= limit:
            self._alarmed = min(self._alarmed + 1, kernel.HOLD)
        elif self._alarmed:
            self._alarmed -= 1
        self.learn(usual=surprise.value < limit or self._alarmed == kernel.HOLD)
        return surprise

    def state(self) -> dict[str, Any]:
        """Return the arrays."""
        arrays = {name: getattr(self, f"_{name}") for name in ARRAYS}
        return {
            "schema": SCHEMA.version,
            "place": self._place,
            "alarmed": self._alarmed,
            **arrays,
            "recent": self._recent.astype(np.float32),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the monitor in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        model = cls()
        for name in ARRAYS:
            setattr(model, f"_{name}", state[name].astype(np.float64))
        model._place, model._alarmed = state["place"], state["alarmed"]
        return model
