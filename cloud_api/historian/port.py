"""What the server asks of a historian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cloud_api.historian.windows import Counts, Milliseconds, Values, Windows


class HistorianError(RuntimeError):
    """The historian cannot be reached, or refused."""


@dataclass(frozen=True, slots=True)
class SeriesBlock:
    """Some points of one series, arrays of equal length.

    `time_ms` is event time, milliseconds since the epoch. `minimum`, `maximum` and `count` are
    there for the aggregates of a raw channel, whose `series` is the channel's name. `coverage` is
    the share of `interval_ms` that each point was computed from; without one it is not known.
    """

    site: str
    equipment: str
    series: str
    unit: str
    time_ms: Milliseconds
    value: Values
    minimum: Values | None = None
    maximum: Values | None = None
    count: Counts | None = None
    coverage: Values | None = None
    interval_ms: int = 0

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
    """A series to plot, arrays of equal length, in the order of time.

    `coverage` is the share of each point's time that was measured, NaN where that is not known.
    `bucket_ms` is the width of the buckets, 0 when these are the points that were written.
    """

    unit: str
    time_ms: Milliseconds
    value: Values
    minimum: Values
    maximum: Values
    coverage: Values
    bucket_ms: int = 0

    @classmethod
    def of(cls, unit: str, windows: Windows, bucket_ms: int = 0) -> Self:
        """Return windows as they are plotted."""
        return cls(
            unit, windows.time_ms, windows.value, windows.minimum, windows.maximum,
            windows.coverage, bucket_ms,
        )  # fmt: skip

    @classmethod
    def empty(cls, unit: str = "") -> Self:
        """Return a trend without points."""
        none = np.empty(0)
        return cls(unit, np.empty(0, np.int64), none, none, none, none)


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


@dataclass(frozen=True, slots=True)
class Usage:
    """What is kept now; -1 where the store does not tell.

    `unsettled` points are durable and not yet rolled up. `expired` is how many points were written
    since the start that were older than what is kept of their series, and were left out.
    """

    bytes_used: int = -1
    bytes_free: int = -1
    points: int = -1
    unsettled: int = 0
    minutes: int = -1
    hours: int = -1
    waveforms: int = -1
    waveform_bytes: int = -1
    expired: int = 0


class Historian(Protocol):
    """A store of points by (site, equipment, series, event time); safe to call from threads."""

    def write(
        self, blocks: Sequence[SeriesBlock], waveforms: Sequence[WaveformRecord] = ()
    ) -> None:
        """Keep points and waveforms; they are durable on return.

        A point with the key of an earlier one replaces it, so writing twice changes nothing. Points
        that are no finite number, or older than what is kept of their series, are left out.

        Raises:
            HistorianError: nothing, or only some of it, was kept: write it again.
        """

    def tend(self) -> Usage:
        """Roll up what is due, let go of what is past its age or size, and say what is kept.

        Takes a while, is wanted about once a minute, and can be left out: answers are right
        without it. Interrupted anywhere, it goes on the next time.

        Raises:
            HistorianError: the store refused; try again later.
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

        With more than `max_points` of them the range, less what of it is before the first or after
        the last point of the series, is cut into at most `max_points` buckets. Their edges are
        multiples of their width since the epoch, so that a point is in the same bucket however the
        range is moved. Of each bucket that has points: its start (of one that the range cuts, the
        range's), the mean of the samples, the least minimum, the greatest maximum.
        What is older than points are kept for comes in windows of a minute or an hour at least.
        """

    def waveform(self, waveform_id: str) -> WaveformRecord | None:
        """Return a waveform, None when there is none of this id."""

    def close(self) -> None:
        """Let go of the store."""
