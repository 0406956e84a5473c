"""Report by exception: a channel goes out when it has changed, or after a while."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from edge_agent.analytics.options import ReportTable
from edge_agent.drivers.base import GOOD, Block, Driver, Lost, Quality, Samples
from edge_agent.drivers.stage import DriverStage


@dataclass(slots=True)
class _Told:
    """What was last told of a channel: its last sample, its quality, and when."""

    value: float
    quality: Quality
    time_ms: float


@dataclass(frozen=True, slots=True)
class _Rule:
    """When a channel is told of: its deadband, the least and the most ms between two reports."""

    deadband: float
    least_ms: float
    most_ms: float


class ReportedDriver(DriverStage):
    """Leaves channels out of blocks while they stay within a deadband of what was last told.

    A block's samples are told of together, or not at all: when one of them differs from the last
    sample told by more than the deadband, or is missing where that was not, or the other way round;
    when the quality is another; when the most time has gone since; and after the clock went back.
    Before the least time has gone they are not, but for a change of quality. Times are event times.

    The first block of a device, and the first after it was lost or `renew` was called, is whole. So
    is a captured block, and a late one changes nothing. A block of which nothing is left does not
    go out, unless it has a score.
    """

    def __init__(self, inner: Driver, reports: Sequence[ReportTable]) -> None:
        """Bind the tables to the channels of `inner`: the first that fits counts."""
        super().__init__(inner)
        self._rules: dict[str, Mapping[str, _Rule]] = {
            device.tag: {
                channel.name: _Rule(t.limit, 1000.0 * t.min_interval_s, 1000.0 * t.max_interval_s)
                for channel in device.channels
                if (t := _first(reports, device.tag, channel.name)) is not None
            }
            for device in inner.devices()
        }
        self._told: dict[str, dict[str, _Told]] = {tag: {} for tag in self._rules}
        self.samples_suppressed = 0
        self.channels_suppressed = 0
        self.blocks_suppressed = 0

    def renew(self, devices: Iterable[str] | None = None) -> None:
        """Let the next block of devices, or of all, be whole: whoever listens knows nothing yet."""
        for tag in self._told if devices is None else devices:
            if tag in self._told:
                self._told[tag].clear()

    def counts(self) -> dict[str, int]:
        """Return what was left out since the start."""
        return {
            "samples_suppressed": self.samples_suppressed,
            "channels_suppressed": self.channels_suppressed,
            "blocks_suppressed": self.blocks_suppressed,
        }

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield what there is to tell."""
        async for item in self.inner.blocks():
            if isinstance(item, Lost):
                self.renew((item.device,))
                yield item
            elif (block := self._reported(item)) is not None:
                yield block

    def _reported(self, block: Block) -> Block | None:
        rules = self._rules.get(block.device)
        if not rules or block.late:
            return block
        told = self._told[block.device]
        kept: dict[str, Samples] = {}
        for name, samples in block.samples.items():
            rule = rules.get(name)
            if rule is None:
                kept[name] = samples
                continue
            if not samples.size:
                continue
            time_ms = float(block.start_time_ms + block.offsets_ms.get(name, 0))
            quality = block.quality.get(name, GOOD)
            last = told.get(name)
            if last is None or block.capture or _is_news(rule, last, samples, quality, time_ms):
                kept[name] = samples
                told[name] = _Told(float(samples[-1]), quality, time_ms)
            else:
                self.channels_suppressed += 1
                self.samples_suppressed += samples.size
        if len(kept) == len(block.samples):
            return block
        if not kept and block.score is None:
            self.blocks_suppressed += 1
            return None
        return replace(
            block,
            samples=kept,
            quality={n: q for n, q in block.quality.items() if n in kept},
            offsets_ms={n: o for n, o in block.offsets_ms.items() if n in kept},
        )


def _first(reports: Sequence[ReportTable], tag: str, channel: str) -> ReportTable | None:
    return next(
        (t for t in reports if fnmatchcase(tag, t.device) and fnmatchcase(channel, t.channel)),
        None,
    )


def _is_news(rule: _Rule, last: _Told, samples: Samples, quality: Quality, time_ms: float) -> bool:
    """Return whether samples are to be told of after what was told last."""
    if quality != last.quality:
        return True
    since_ms = time_ms - last.time_ms
    if since_ms < 0.0 or since_ms >= rule.most_ms:
        return True
    if since_ms < rule.least_ms:
        return False
    low, high = float(samples.min()), float(samples.max())
    # One that is missing makes both so.
    missing, was_missing = low != low, last.value != last.value
    if missing or was_missing:
        return not was_missing or bool(np.isfinite(samples).any())
    return high - last.value > rule.deadband or last.value - low > rule.deadband
