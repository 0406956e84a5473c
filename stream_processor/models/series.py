"""What is unusual in one series by itself, seasonal or not, as a tail probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels import counting, cycle, novelty, recurrence
from stream_processor.kernels import series as kernel
from stream_processor.models.layout import Layout
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
SCHEMA = Schema("a series monitor")
MONTH_MS = 30 * 86_400_000
# Measured on rows without a label of series that chose nothing (`python -m benchmarks.series`).
TOGETHER = 4.0
LAYOUT = Layout({
    "now": (kernel.NOW,),
    "lags": (kernel.LAGS,),
    "runs": (3, kernel.RUN),
    "slow": (kernel.SLOW,),
    # The last two are the mean error and how many were seen.
    "weights": (kernel.LAGS + 3,),
    "inverse": (kernel.LAGS + 1, kernel.LAGS + 1),
    "profile": (kernel.HALF_HOURS + kernel.HOURS,),
    "clock": (cycle.CLOCK,),
    "phases": (2, cycle.PHASES),
    "blocks": (cycle.BLOCKS,),
    "known": (2, novelty.KNOWN),
    "count": (novelty.COUNT,),
    "tails": (len(kernel.VIEWS), kernel.TAILS),
    "events": (len(kernel.VIEWS), recurrence.SIZE),
    "found": (kernel.FOUND,),
    # What outlives a series that begins anew.
    "steps": (counting.STEPS,),
    "recent": (kernel.HOLD,),
})  # fmt: skip
FORGOTTEN = LAYOUT.size - counting.STEPS - kernel.HOLD


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

    _now: Array
    _lags: Array
    _runs: Array
    _slow: Array
    _weights: Array
    _inverse: Array
    _profile: Array
    _clock: Array
    _phases: Array
    _blocks: Array
    _known: Array
    _count: Array
    _tails: Array
    _events: Array
    _found: Array
    _steps: Array
    _recent: Array

    def __init__(self) -> None:
        self._take(np.zeros(LAYOUT.size))
        self._place = 0
        self._alarmed = 0
        self._forget()

    def _take(self, memory: Array) -> None:
        """Let the arrays be views of `memory`."""
        self._memory = memory
        self._surprise = np.zeros(len(kernel.VIEWS))
        for name, array in LAYOUT.views(memory):
            setattr(self, f"_{name}", array)

    def _forget(self) -> None:
        self._memory[:FORGOTTEN] = 0.0
        # At first the last value is expected again.
        self._weights[1] = 1.0
        np.fill_diagonal(self._inverse, 1.0)
        # Infinite: not known yet.
        self._profile[:] = np.inf
        self._surprise[:] = 0.0

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
        """Return the memory of all arrays, and where it stands."""
        return {
            "schema": SCHEMA.version,
            "place": self._place,
            "alarmed": self._alarmed,
            "memory": self._memory,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the monitor in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        model = cls.__new__(cls)
        model._take(state["memory"].astype(np.float64))
        model._place, model._alarmed = state["place"], state["alarmed"]
        return model
