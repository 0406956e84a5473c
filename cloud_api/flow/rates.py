"""Rates from what a process said now and a few seconds ago; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream_processor.v1.status_pb2 import PartitionStatus, ProcessorStatus

# Over how many seconds a rate is taken, and how many there must be between two words for one.
OVER_S = 5.0
LEAST_S = 0.5


@dataclass(frozen=True, slots=True)
class Rate:
    """Items a second, and seconds worked a second (0 to 1)."""

    items_per_second: float
    busy_share: float


@dataclass(frozen=True, slots=True)
class Changes:
    """How a process does, by what it said before; no rates when that is not long enough ago."""

    rates: Mapping[tuple[int, str], Rate]
    lag_changes: Mapping[int, int]

    def busy_share(self, partition: int) -> float | None:
        """Return how busy the thread of a partition is, 0 to 1; None when it is not known."""
        shares = [rate.busy_share for (of, _), rate in self.rates.items() if of == partition]
        return min(sum(shares), 1.0) if shares else None


def changes(earlier: Sequence[ProcessorStatus]) -> Changes:
    """Return what changed; `earlier` are words of one process, oldest first, at least one."""
    now = earlier[-1]
    until = now.uptime_seconds - OVER_S
    before = next((s for s in reversed(earlier) if s.uptime_seconds <= until), earlier[0])
    seconds = now.uptime_seconds - before.uptime_seconds
    rates: dict[tuple[int, str], Rate] = {}
    if seconds >= LEAST_S:
        then = {
            (partition.partition, step.name): step
            for partition in before.partitions
            for step in partition.steps
        }
        for partition in now.partitions:
            for step in partition.steps:
                key = partition.partition, step.name
                items, worked = step.items, step.seconds
                if key in then:
                    items, worked = items - then[key].items, worked - then[key].seconds
                rates[key] = Rate(items / seconds, min(worked / seconds, 1.0))
    return Changes(rates, _lag_changes(earlier[0], now))


def _lag_changes(before: ProcessorStatus, now: ProcessorStatus) -> dict[int, int]:
    then: dict[int, PartitionStatus] = {p.partition: p for p in before.partitions if p.held}
    return {
        p.partition: p.lag_messages - then[p.partition].lag_messages
        for p in now.partitions
        if p.held and p.partition in then
    }
