"""What the embedded historian knows of each series without reading its points."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloud_api.historian.levels import BEGINNING_MS, Floors
from cloud_api.historian.port import SeriesBlock

EVERYTHING = Floors(BEGINNING_MS, BEGINNING_MS)

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """One series; its times are milliseconds since the epoch, None before its first point."""

    number: int
    unit: str
    aggregated: bool
    interval_ms: int
    first_ms: int | None = None
    last_ms: int | None = None
    floors: Floors = EVERYTHING

    def says_as(self, other: Series | None) -> bool:
        """Tell whether the other is described by the same words, whatever its extent."""
        return other is not None and (self.unit, self.aggregated, self.interval_ms) == (
            other.unit, other.aggregated, other.interval_ms,
        )  # fmt: skip

    def widened(self, first_ms: int, last_ms: int) -> Series:
        """Return the series with points at these times."""
        if self.first_ms is None or self.last_ms is None:
            return replace(self, first_ms=first_ms, last_ms=last_ms)
        if self.first_ms <= first_ms and last_ms <= self.last_ms:
            return self
        return replace(
            self, first_ms=min(first_ms, self.first_ms), last_ms=max(last_ms, self.last_ms)
        )

    def without(self, raw_ms: int, minute_ms: int) -> Series:
        """Return the series without points, and minutes, before these times."""
        floors = Floors(max(raw_ms, self.floors.raw_ms), max(minute_ms, self.floors.minute_ms))
        return self if floors == self.floors else replace(self, floors=floors)


def key_of(block: SeriesBlock) -> Key:
    """Return what names the block's series."""
    return block.site, block.equipment, block.series


def described(found: Series | None, block: SeriesBlock, number: int) -> Series:
    """Return the series as the block describes it; `number` is that of a new one."""
    if found is None:
        return Series(number, block.unit, block.aggregated, block.interval_ms)
    # A block that does not know its interval does not make it unknown.
    interval_ms = block.interval_ms or found.interval_ms
    if (found.unit, found.aggregated, found.interval_ms) == (
        block.unit, block.aggregated, interval_ms,
    ):  # fmt: skip
        return found
    return replace(found, unit=block.unit, aggregated=block.aggregated, interval_ms=interval_ms)
