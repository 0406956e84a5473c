"""Cut blocks of any length into windows by time or by turns of a shaft; a gap begins anew."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.analytics.speed import Speed
from edge_agent.drivers.base import Samples

Held = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Samples that are looked at together, and the event time of the first, in ms.

    They are a view, good until the next window is asked for. `end_ms` is a sample period after the
    last; windows that follow one another without overlap meet there.
    """

    samples: Held
    start_ms: float
    end_ms: float


class TimeWindows:
    """Windows of `size` samples, each `hop` after the one before."""

    def __init__(
        self,
        size: int,
        hop: int,
        rate_hz: float,
        gap_tolerance_ms: float,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """Hold a window at most; `gap_tolerance_ms` as in `joins`."""
        self._size, self._hop = size, hop
        self._period_ms = 1000.0 / rate_hz
        self._tolerance_ms = gap_tolerance_ms
        self._held: Held = np.empty(size, dtype)
        self._count = 0
        self._end_ms = 0.0
        # Times that samples held were let go of, since the next did not follow them.
        self.gaps = 0

    def add(self, samples: Samples, start_ms: float) -> Iterator[Window]:
        """Take a block; yield the windows that it completes, in order."""
        size, period = self._size, self._period_ms
        if self._count and not joins(self._end_ms, start_ms, period, self._tolerance_ms):
            self.gaps += 1
            self._count = 0
        self._end_ms = start_ms + samples.size * period
        taken = 0
        while samples.size - taken >= size - self._count:
            if self._count == 0 and samples.dtype == self._held.dtype:
                # Whole inside the block: looked at where it lies.
                end_ms = start_ms + (taken + size) * period
                yield Window(samples[taken : taken + size], end_ms - size * period, end_ms)
                taken += self._hop
                continue
            part = size - self._count
            self._held[self._count :] = samples[taken : taken + part]
            taken += part
            end_ms = start_ms + taken * period
            yield Window(self._held, end_ms - size * period, end_ms)
            self._count = size - self._hop
            self._held[: self._count] = self._held[self._hop :]
        rest = samples.size - taken
        self._held[self._count : self._count + rest] = samples[taken:]
        self._count += rest


class RevolutionWindows:
    """Windows of so many turns of a shaft, of as many samples as they take."""

    def __init__(
        self,
        revolutions: float,
        overlap: float,
        rate_hz: float,
        speed: Speed,
        max_length_s: float,
        gap_tolerance_ms: float,
        dtype: npt.DTypeLike = np.float32,
        least: int = 1,
    ) -> None:
        """Turn as `speed` says, which must know of a block's speed before the block comes.

        Samples of a shaft that stands, or of unknown speed, are let go of; so are those of turns
        that take longer than `max_length_s`, or fewer than `least` samples. `gap_tolerance_ms` as
        in `joins`.
        """
        self._least = least
        self._revolutions, self._step = revolutions, revolutions * (1.0 - overlap)
        self._rate_hz = rate_hz
        self._period_ms = 1000.0 / rate_hz
        self._speed = speed
        self._most = math.ceil(max_length_s * rate_hz)
        self._tolerance_ms = gap_tolerance_ms
        self._held: Held = np.empty(0, dtype)
        self._count = 0
        self._end_ms = 0.0
        # Times that samples held were let go of.
        self.gaps = 0

    def add(self, samples: Samples, start_ms: float) -> Iterator[Window]:
        """Take a block; yield the windows that it completes, in order."""
        period = self._period_ms
        if self._count and not joins(self._end_ms, start_ms, period, self._tolerance_ms):
            self.gaps += 1
            self._count = 0
        self._end_ms = start_ms + samples.size * period
        self._append(samples)
        first = 0
        while first < self._count:
            begin_ms = self._end_ms - (self._count - first) * period
            turning = self._speed.turning(begin_ms, (self._count - first) / self._rate_hz)
            if turning is None:
                self.gaps += 1
                first = self._count
                break
            if turning.total < self._revolutions:
                break
            size, step = (
                max(1, round(np.interp(turns, turning.turns, turning.times_s) * self._rate_hz))
                for turns in (self._revolutions, self._step)
            )
            if size < self._least:
                self.gaps += 1
                first = self._count
                break
            yield Window(self._held[first : first + size], begin_ms, begin_ms + size * period)
            first += step
        self._count = max(self._count - first, 0)
        if self._count > self._most:
            self.gaps += 1
            self._count = 0
        self._held[: self._count] = self._held[first : first + self._count]

    def _append(self, samples: Samples) -> None:
        count = self._count + samples.size
        if count > self._held.size:
            grown = np.empty(2 * count, self._held.dtype)
            grown[: self._count] = self._held[: self._count]
            self._held = grown
        self._held[self._count : count] = samples
        self._count = count


def joins(end_ms: float, start_ms: float, period_ms: float, tolerance_ms: float) -> bool:
    """Return whether a block that starts then follows one that ended there.

    Half a sample period is always allowed, since times are whole milliseconds.
    """
    return abs(start_ms - end_ms) <= max(tolerance_ms, 0.5 * period_ms)
