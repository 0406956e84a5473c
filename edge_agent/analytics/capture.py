"""Keep the newest waveforms of a device, and let go of those around a trigger."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from edge_agent.analytics.options import CaptureTable, TriggerTable
from edge_agent.drivers.base import Channel, Samples

HOUR_MS: Final = 3_600_000.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples of one channel that follow one another, and the event time of the first in ms."""

    channel: str
    start_ms: float
    samples: Samples


class Ring:
    """The newest samples of one channel in one flat array, and which blocks they came in."""

    def __init__(self, channel: Channel, length_s: float) -> None:
        """Hold `length_s` seconds."""
        self._channel = channel.name
        self._period_ms = 1000.0 / channel.sample_rate_hz
        self._samples = np.empty(max(1, round(length_s * channel.sample_rate_hz)), np.float32)
        # Samples ever added, and of each block the event time, first place and size.
        self._total = 0
        self._blocks: deque[tuple[float, int, int]] = deque()

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return self._samples.nbytes

    def add(self, samples: Samples, start_ms: float) -> None:
        """Take a block; the oldest samples go."""
        capacity = self._samples.size
        skipped = max(samples.size - capacity, 0)
        kept = samples[skipped:]
        first = self._total + skipped
        place = first % capacity
        until = min(kept.size, capacity - place)
        self._samples[place : place + until] = kept[:until]
        self._samples[: kept.size - until] = kept[until:]
        self._blocks.append((start_ms + skipped * self._period_ms, first, kept.size))
        self._total = first + kept.size
        while self._blocks and self._blocks[0][1] + self._blocks[0][2] <= self._total - capacity:
            self._blocks.popleft()

    def take(self, from_ms: float) -> Iterator[Piece]:
        """Yield copies of what lies from an event time on, a piece a block; nothing stays."""
        capacity = self._samples.size
        oldest = self._total - capacity
        while self._blocks:
            start_ms, first, size = self._blocks.popleft()
            skipped = max(oldest - first, later(from_ms, start_ms, self._period_ms), 0)
            if skipped >= size:
                continue
            places = np.arange(first + skipped, first + size) % capacity
            yield Piece(self._channel, start_ms + skipped * self._period_ms, self._samples[places])


def later(from_ms: float, start_ms: float, period_ms: float) -> int:
    """Return the place of the first sample that lies at or after a time."""
    return int(np.ceil((from_ms - start_ms) / period_ms - 1e-6))


@dataclass(frozen=True, slots=True)
class Fired:
    """Why a capture begins: what it was, over which event times in ms."""

    reason: str
    start_ms: float
    end_ms: float


class Capture:
    """When a device's waveforms go out under one `[[capture]]` table."""

    def __init__(self, table: CaptureTable, outputs: Mapping[str, Channel]) -> None:
        """Watch a device's outputs, given by name."""
        self.table = table
        self._watched: dict[str, list[TriggerTable]] = {}
        for trigger in table.triggers:
            for name in outputs:
                if fnmatchcase(name, trigger.output):
                    self._watched.setdefault(name, []).append(trigger)
        self._units = {name: channel.unit for name, channel in outputs.items()}
        # Of each watched output the newest value and its event time.
        self._last: dict[str, tuple[float, float]] = {}
        self._begun: deque[float] = deque()
        self.from_ms = self.until_ms = float("-inf")
        # Of the running or last capture: what its blocks say.
        self.label = ""
        self.begun = 0
        self.refused = 0

    def exceeded(self, name: str, value: float, start_ms: float, end_ms: float) -> Fired | None:
        """Take the newest value of an output; return what it triggers, None when nothing."""
        if name not in self._watched:
            return None
        before, self._last[name] = self._last.get(name), (end_ms, value)
        unit = "" if self._units[name] == "1" else f" {self._units[name]}"
        for trigger in self._watched[name]:
            if trigger.at_least is not None and value >= trigger.at_least:
                reason = f"{name} {value:.4g}{unit}, limit {trigger.at_least:g}{unit}"
                return Fired(reason, start_ms, end_ms)
            if trigger.rise_per_s is not None and before is not None and end_ms > before[0]:
                rise = (value - before[1]) / (end_ms - before[0]) * 1000.0
                if rise >= trigger.rise_per_s:
                    reason = f"{name} rises {rise:.4g}{unit}/s, limit {trigger.rise_per_s:g}"
                    return Fired(reason, start_ms, end_ms)
        return None

    def scored(self, score: float | None, start_ms: float, end_ms: float) -> Fired | None:
        """Take the newest score of the model; return what it triggers, None when nothing."""
        limit = self.table.score
        if limit is None or score is None or not score >= limit:
            return None
        return Fired(f"score {score:.4g}, limit {limit:g}", start_ms, end_ms)

    def runs(self, now_ms: float) -> bool:
        """Return whether an event time lies in the running or last capture."""
        return self.from_ms <= now_ms < self.until_ms

    def takes_demand(self, now_ms: float) -> bool:
        """Return whether people may ask for one at an event time."""
        return self.table.on_demand and (self.runs(now_ms) or not self._is_spent(now_ms))

    def _is_spent(self, now_ms: float) -> bool:
        while self._begun and not 0 <= now_ms - self._begun[0] < HOUR_MS:
            self._begun.popleft()
        return len(self._begun) >= self.table.max_per_hour

    def begin(self, cause: Fired, demanded: bool = False) -> bool:
        """Begin a capture, if limits let it; say whether.

        A trigger waits until `min_interval_s` after the one before; a demand does not. Neither goes
        beyond `max_per_hour`, in event time. While one runs, a trigger changes nothing and a demand
        makes it longer.
        """
        now = cause.end_ms
        if self.runs(now):
            if demanded:
                self.until_ms = max(self.until_ms, now + 1000.0 * self.table.post_s)
            return demanded
        spent = self._is_spent(now)
        waits = self._begun and now - self._begun[-1] < 1000.0 * self.table.min_interval_s
        if spent or (waits and not demanded):
            self.refused += 1
            return False
        self._begun.append(now)
        self.from_ms = cause.start_ms - 1000.0 * self.table.pre_s
        self.until_ms = now + 1000.0 * self.table.post_s
        self.label = f"{round(now)} {cause.reason}"
        self.begun += 1
        return True
