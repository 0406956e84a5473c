"""What the server asks of a historian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Milliseconds = NDArray[np.int64]
Values = NDArray[np.float64]


class HistorianError(RuntimeError):
    """The historian cannot be reached, or refused."""


@dataclass(frozen=True, slots=True)
class SeriesBlock:
    """Some points of one series, arrays of equal length.

    `time_ms` is event time, milliseconds since the epoch. `minimum`, `maximum` and `count` are
    there for the aggregates of a raw channel, whose `series` is the channel's name.
    """

    site: str
    equipment: str
    series: str
    unit: str
    time_ms: Milliseconds
    value: Values
    minimum: Values | None = None
    maximum: Values | None = None
    count: NDArray[np.int64] | None = None

    @property
    def aggregated(self) -> bool:
        """True when minima and maxima are known."""
        return self.minimum is not None

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which points are finite numbers, extremes included."""
        finite = np.isfinite(self.value)
        for extreme in (self.minimum, self.maximum):
            if extreme is not None:
                finite &= np.isfinite(extreme)
        return finite


@dataclass(frozen=True, slots=True)
class SeriesDescription:
    """What is kept of one series; times are event times, milliseconds since the epoch."""

    series: str
    unit: str
    aggregated: bool
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Trend:
    """A series to plot, arrays of equal length, in the order of time."""

    unit: str
    time_ms: Milliseconds
    value: Values
    minimum: Values
    maximum: Values

    @classmethod
    def empty(cls, unit: str = "") -> Trend:
        """Return a trend without points."""
        none = np.empty(0)
        return cls(unit, np.empty(0, np.int64), none, none, none)


@dataclass(frozen=True, slots=True)
class WaveformRecord:
    """Raw samples around an event, float32, equally spaced."""

    waveform_id: str
    site: str
    equipment: str
    channel: str
    unit: str
    start_time_ms: int
    sample_rate_hz: float
    samples: NDArray[np.float32]


class Historian(Protocol):
    """A store of points by (site, equipment, series, event time); safe to call from threads."""

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        """Keep points and waveforms; they are durable on return.

        A point with the key of an earlier one replaces it, so writing twice changes nothing. Points
        that are no finite number are left out.

        Raises:
            HistorianError: nothing, or only some of it, was kept: write it again.
        """

    def sites(self, equipment: str) -> list[str]:
        """Return the sites that have series of the equipment with this tag."""

    def list_series(self, site: str, equipment: str) -> list[SeriesDescription]:
        """Return the series of a piece of equipment, by name."""

    def query(
        self,
        site: str,
        equipment: str,
        series: str,
        start_ms: int,
        end_ms: int,
        max_points: int,
    ) -> Trend:
        """Return the points from `start_ms` up to but not including `end_ms`.

        With more than `max_points` of them the time between the first and the last is cut into at
        most `max_points` equal parts: of each the time of its first point (InfluxDB: its start),
        the mean of the values, the least minimum and the greatest maximum.
        """

    def waveform(self, waveform_id: str) -> WaveformRecord | None:
        """Return a waveform, None when there is none of this id."""

    def close(self) -> None:
        """Let go of the store."""
