"""How fast a shaft turned, from a slow channel or from the device's facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.analytics.spectrum import Array
from edge_agent.drivers.base import Samples

# A measured speed this old says nothing of the present.
STALE_MS = 120_000.0
# In 1/min; a reading above is a fault of its sensor.
FASTEST = 1e6
# Knots between which a turning shaft's angle is taken to grow evenly.
_KNOTS = 1024


@dataclass(frozen=True, slots=True)
class Turning:
    """The angle of a shaft over a window, in turns from its beginning, at times in seconds.

    Both ascend and begin at 0. `slowest` and `fastest` are in Hz; `measured` says whether readings
    are behind all of it.
    """

    times_s: Array
    turns: Array
    slowest: float
    fastest: float
    measured: bool

    @property
    def total(self) -> float:
        """The turns of the window."""
        return float(self.turns[-1])

    @property
    def mean_hz(self) -> float:
        """The mean speed."""
        return self.total / float(self.times_s[-1])


class Speed:
    """The newest speeds of a shaft, in Hz at event times in ms since the epoch.

    Between two readings speed changes evenly; after the last, and before the first, it holds.
    """

    def __init__(self, nominal_hz: float, span_s: float) -> None:
        """Keep `span_s` seconds; without readings the speed is `nominal_hz`, NaN when unknown."""
        self._nominal_hz = nominal_hz
        self._span_ms = 1000.0 * span_s
        self._times = np.empty(0)
        self._values = np.empty(0)

    def add(self, per_minute: Samples, start_ms: float, rate_hz: float) -> None:
        """Take readings in 1/min; those that are no numbers, or no speeds, are left out.

        Earlier ones go that lie more than the span before these.
        """
        # NaN is not at most anything.
        present = np.flatnonzero(np.abs(per_minute) <= FASTEST)
        times = start_ms + present * (1000.0 / rate_hz)
        if times.size and self._times.size and times[0] <= self._times[-1]:
            # A clock that was set back: what it said of later counts no more.
            earlier = self._times < times[0]
            self._times, self._values = self._times[earlier], self._values[earlier]
        # One from before the span stays, to come from.
        first = max(int(np.searchsorted(self._times, start_ms - self._span_ms, "right")) - 1, 0)
        self._times = np.concatenate((self._times[first:], times))
        self._values = np.concatenate((self._values[first:], np.abs(per_minute[present]) / 60.0))

    def at(self, times_ms: Array) -> Array:
        """Return the speed in Hz at times, NaN where nothing is known."""
        if not self._times.size:
            return np.full(times_ms.size, self._nominal_hz)
        found: Array = np.interp(times_ms, self._times, self._values)
        found[~self._knows(times_ms)] = self._nominal_hz
        return found

    def _knows(self, times_ms: Array) -> npt.NDArray[np.bool_]:
        """Return where readings say how fast the shaft turned."""
        if not self._times.size:
            return np.zeros(times_ms.size, np.bool_)
        first, last = self._times[0] - STALE_MS, self._times[-1] + STALE_MS
        return np.asarray((times_ms >= first) & (times_ms <= last))

    def turning(self, start_ms: float, length_s: float) -> Turning | None:
        """Return how the shaft turned over a window, None when it stood or nothing is known."""
        times_s = np.linspace(0.0, length_s, _KNOTS + 1)
        speed = self.at(start_ms + 1000.0 * times_s)
        slowest = float(speed.min())
        if not slowest > 0.0:
            return None
        turns = np.zeros(times_s.size)
        np.cumsum((speed[1:] + speed[:-1]) * (0.5 * length_s / _KNOTS), out=turns[1:])
        ends_ms = np.array([start_ms, start_ms + 1000.0 * length_s])
        measured = bool(self._knows(ends_ms).all())
        return Turning(times_s, turns, slowest, float(speed.max()), measured)
