"""Readings of a driver's points become blocks of its devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from edge_agent.drivers.base import GOOD, Block, Quality
from edge_agent.drivers.opcua.grid import HeldChannel, grid
from edge_agent.drivers.opcua.options import DeviceOptions, PointOptions

log = structlog.get_logger(__name__)

# A gap longer than this is left out rather than filled with what is held.
LONGEST_FILL_MS: Final = 3_600_000
# Waveforms that wait for a reader that does not come; then the oldest go.
MOST_WAVEFORMS: Final = 1000
# A clock that is back by more was set back.
SET_BACK_MS: Final = 5000


@dataclass(slots=True)
class Held:
    """A point of single values."""

    device: str
    point: PointOptions
    channel: HeldChannel
    late: int = 0


@dataclass(slots=True)
class _Burst:
    """Waveforms of a device that begin at the same time."""

    samples: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    quality: dict[str, Quality] = field(default_factory=dict)


class Sampler:
    """Blocks of equal length, in order, out of readings that come as they like.

    `due` yields what is complete up to a time. A waveform begins a block of its own, or joins the
    one that begins with it.
    """

    def __init__(self, devices: Sequence[DeviceOptions], block_s: float) -> None:
        self._length_ms = round(block_s * 1000)
        self._next_ms: int | None = None
        self._held: dict[str, list[Held]] = {device.tag: [] for device in devices}
        self._bursts: dict[tuple[int, str], _Burst] = defaultdict(_Burst)
        for device in devices:
            for point in device.points:
                if not point.waveform:
                    after_ms = point.stale_after_s * 1000 or inf
                    channel = HeldChannel(after_ms)
                    self._held[device.tag].append(Held(device.tag, point, channel))
        self._by_name: Mapping[tuple[str, str], Held] = {
            (held.device, held.point.name): held for all_ in self._held.values() for held in all_
        }

    def put(self, device: str, name: str, time_ms: float, value: float, quality: Quality) -> None:
        """Take a single value."""
        held = self._by_name[device, name]
        if not held.channel.put(time_ms, value, quality):
            held.late += 1
            if held.late == 1:
                log.warning(
                    "values come later than their block waits; raise settle_s",
                    device=device,
                    channel=name,
                )

    def put_waveform(
        self,
        device: str,
        point: PointOptions,
        time_ms: float,
        samples: npt.NDArray[np.float32],
        quality: Quality,
    ) -> None:
        """Take a waveform that begins at `time_ms`."""
        if not len(samples):
            return
        if len(self._bursts) >= MOST_WAVEFORMS:
            del self._bursts[min(self._bursts)]
            log.warning("waveform dropped, blocks are not taken", device=device)
        burst = self._bursts[round(time_ms), device]
        burst.samples[point.name] = samples
        if quality != GOOD:
            burst.quality[point.name] = quality

    def begin(self, now_ms: float) -> None:
        """Begin with the block after `now_ms`; what was held holds no longer."""
        for held in self._by_name.values():
            held.channel.forget()
        self._next_ms = -(-int(now_ms) // self._length_ms) * self._length_ms

    def due(self, now_ms: float, settling_ms: float = 0.0) -> Iterator[Block]:
        """Yield the blocks that ended `settling_ms` before `now_ms`, in the order of their starts.

        When the clock was set, it begins anew.
        """
        if self._next_ms is None:
            return
        ahead_ms = now_ms - self._next_ms
        if not -self._length_ms - SET_BACK_MS < ahead_ms < LONGEST_FILL_MS + settling_ms:
            log.warning("the server's clock was set", by_s=round(ahead_ms / 1000))
            self.begin(now_ms)
        until_ms = now_ms - settling_ms
        while self._next_ms + self._length_ms <= until_ms:
            start_ms, self._next_ms = self._next_ms, self._next_ms + self._length_ms
            yield from self._before(start_ms)
            for device in self._held:
                block = self._block(device, start_ms)
                if block is not None:
                    yield block

    def _before(self, start_ms: int) -> Iterator[Block]:
        for key in sorted(key for key in self._bursts if key[0] < start_ms):
            burst = self._bursts.pop(key)
            yield Block(key[1], key[0], burst.samples, burst.quality)

    def _block(self, device: str, start_ms: int) -> Block | None:
        burst = self._bursts.pop((start_ms, device), None) or _Burst()
        grids: dict[float, npt.NDArray[np.float64]] = {}
        for held in self._held[device]:
            period_ms = 1000 / held.point.sample_rate_hz
            if period_ms not in grids:
                grids[period_ms] = grid(start_ms, self._length_ms, period_ms)
            if not len(grids[period_ms]):
                continue
            samples, quality = held.channel.sample(grids[period_ms])
            burst.samples[held.point.name] = samples
            if quality != GOOD:
                burst.quality[held.point.name] = quality
        return Block(device, start_ms, burst.samples, burst.quality) if burst.samples else None
