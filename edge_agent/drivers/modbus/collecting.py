"""Put readings together to a block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from edge_agent.drivers.base import BAD, Block, Quality, Samples
from edge_agent.drivers.modbus.point import PointReader
from edge_agent.drivers.modbus.registers import F64


class Layout:
    """Which points of a device have their readings side by side: those of one period and width."""

    def __init__(self, points: Sequence[PointReader]) -> None:
        self.points = points
        groups: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for place, point in enumerate(points):
            if not point.options.is_waveform:
                groups[point.period_ms, point.is_narrow].append(place)
        self.groups = dict(groups)
        self.rows = {place: row for own in groups.values() for row, place in enumerate(own)}


class Collected:
    """A block that is being made: `end_ms` is where it ends if nothing happens."""

    def __init__(self, layout: Layout, start_ms: int, end_ms: int) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms
        self._layout = layout
        self._scalars: dict[tuple[int, bool], F64] = {
            key: np.full((len(places), self._count(key[0], end_ms)), np.nan)
            for key, places in layout.groups.items()
            if start_ms % key[0] == 0
        }
        self._waveforms: dict[int, Samples] = {}

    def put(self, place: int, at_ms: int, value: float) -> None:
        """Take the value of a point at its time."""
        point = self._layout.points[place]
        column = (at_ms - self.start_ms) // point.period_ms
        self._scalars[point.period_ms, point.is_narrow][self._layout.rows[place], column] = value

    def put_waveform(self, place: int, samples: Samples) -> None:
        """Take a waveform."""
        self._waveforms[place] = samples

    def block(self, device: str, end_ms: int) -> Block | None:
        """Return the block as far as `end_ms`; None when nothing of it was due."""
        found: dict[int, Samples] = {}
        bad: set[int] = set()
        for key, places in self._layout.groups.items():
            if key not in self._scalars:
                continue
            period_ms, narrow = key
            values = self._scalars[key][:, : self._count(period_ms, end_ms)]
            samples: Samples = values.astype(np.float32) if narrow else values
            found.update(zip(places, samples, strict=True))
            bad.update(places[row] for row in np.flatnonzero(np.isnan(values).any(axis=1)))
        for place, waveform in self._waveforms.items():
            found[place] = waveform
            if np.isnan(waveform).any():
                bad.add(place)
        if not found:
            return None
        names = [point.name for point in self._layout.points]
        quality: dict[str, Quality] = {names[place]: BAD for place in sorted(bad)}
        ordered = {names[place]: found[place] for place in sorted(found)}
        return Block(device, self.start_ms, ordered, quality)

    def _count(self, period_ms: int, end_ms: int) -> int:
        """Return how many readings of a period lie before `end_ms`."""
        return -(-(end_ms - self.start_ms) // period_ms)
