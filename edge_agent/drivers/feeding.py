"""What devices say when they like becomes blocks in order, and `Lost` when they are away."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import structlog

from edge_agent.drivers.base import GOOD, Block, Lost, Quality, Samples
from edge_agent.drivers.grid import Grid, GridBlock, GridChannel, Observation, history

log = structlog.get_logger(__name__)

# What is told of the past goes out when nothing more of it came for so long, or so much did.
_PAST_PAUSE_S: Final = 1.0
_PAST_MANY: Final = 50_000
# A block waits for the waveforms that began in it, but not for longer than this.
_LONGEST_WAIT_S: Final = 60.0
# Waveforms that wait for their block; beyond, the oldest go out as they are.
_MANY_BURSTS: Final = 100


class DeviceFeed:
    """One device: values on its grid, waveforms as they are, and what it tells of its past.

    Values before the device was last heard of for the first time, and those that say so
    themselves, are of the past: they make blocks that are `late`.
    """

    def __init__(
        self,
        tag: str,
        held: Sequence[GridChannel],
        waveforms: Mapping[str, float],
        block_s: float,
        settle_s: float,
        silent_after_s: float = 0.0,
    ) -> None:
        """Prepare; `waveforms` are the rates of the channels that are, in Hz.

        Raises:
            ValueError: a rate does not fit the block.
        """
        self.tag = tag
        self._held, self._rates, self._block_s = list(held), dict(waveforms), block_s
        self._grid = Grid(held, block_s, settle_s)
        self._settle_ms = settle_s * 1000
        self._silent_after_s = silent_after_s
        self._since_ms: float | None = None
        self._heard = time.monotonic()
        self._reason = ""
        self._to_tell = False
        self._bursts: dict[int, GridBlock] = {}
        self._longest_ms = 0.0
        self._last_ms = -1
        self._was_empty = False
        self._past: list[tuple[str, Observation]] = []
        self._past_bursts: dict[int, GridBlock] = {}
        self._past_at = 0.0
        self._warned_late = False

    @property
    def late(self) -> int:
        """Values that came after their samples went."""
        return self._grid.late

    @property
    def is_away(self) -> bool:
        """Whether the device is known to be away."""
        return bool(self._reason)

    def put(
        self,
        channel: str,
        time_ms: float,
        value: float,
        quality: Quality,
        now_ms: float,
        is_past: bool = False,
    ) -> None:
        """Take a value that came at `now_ms`."""
        observation = (time_ms, value, quality)
        if is_past:
            self._keep_past(channel, observation)
            return
        self._alive(now_ms)
        assert self._since_ms is not None
        if time_ms < self._since_ms:
            self._keep_past(channel, observation)
        is_late = not self._grid.put(channel, time_ms, value, quality)
        if is_late and not self._warned_late:
            self._warned_late = True
            log.warning("values come late; raise settle_s", device=self.tag, channel=channel)

    def put_waveform(
        self,
        channel: str,
        time_ms: float,
        samples: Samples,
        quality: Quality,
        now_ms: float,
        is_past: bool = False,
    ) -> None:
        """Take a waveform whose first sample lies at `time_ms`."""
        if not len(samples):
            return
        if is_past:
            self._past_at = time.monotonic()
        else:
            self._alive(now_ms)
            length_ms = len(samples) / self._rates[channel] * 1000
            self._longest_ms = min(max(self._longest_ms, length_ms), _LONGEST_WAIT_S * 1000)
        bursts = self._past_bursts if is_past else self._bursts
        burst = bursts.setdefault(round(time_ms), GridBlock(round(time_ms)))
        burst.samples[channel] = np.asarray(samples, np.float32)
        if quality != GOOD:
            burst.quality[channel] = quality

    def away(self, reason: str) -> None:
        """Note that the device is away; what was known of it holds no longer."""
        if not self._reason:
            self._to_tell = True
        self._reason = reason
        self._since_ms = None

    def due(self, now_ms: float) -> Iterator[Block | Lost]:
        """Yield what is complete at `now_ms`."""
        if self._silent_after_s and not self._reason:
            silent_s = time.monotonic() - self._heard
            if silent_s > self._silent_after_s:
                self.away(f"nothing heard for {self._silent_after_s:g} s")
        if self._to_tell:
            self._to_tell = False
            yield from self._waiting_bursts(None)
            yield Lost(self.tag, self._reason)
        yield from self._of_the_past()
        if self._since_ms is None:
            return
        done_ms = now_ms - self._longest_ms
        for block in self._grid.due(done_ms):
            yield from self._waiting_bursts(block.start_ms)
            yield from self._joined(block)
        begins_ms = self._grid.begins_ms if self._held else None
        if begins_ms is None:
            begins_ms = round(done_ms - self._settle_ms)
        yield from self._waiting_bursts(begins_ms)
        while len(self._bursts) > _MANY_BURSTS:
            yield self._block(self._bursts.pop(min(self._bursts)))

    def _alive(self, now_ms: float) -> None:
        self._heard = time.monotonic()
        if self._since_ms is None:
            # What settles still is of now.
            self._grid.begin(now_ms - self._settle_ms)
            self._since_ms = self._grid.begins_ms
            self._reason = ""
            self._to_tell = False
            self._was_empty = True

    def _keep_past(self, channel: str, observation: Observation) -> None:
        self._past.append((channel, observation))
        self._past_at = time.monotonic()

    def _of_the_past(self) -> Iterator[Block]:
        count = len(self._past) + len(self._past_bursts)
        if not count:
            return
        if count < _PAST_MANY and time.monotonic() - self._past_at < _PAST_PAUSE_S:
            return
        past, self._past = self._past, []
        bursts, self._past_bursts = self._past_bursts, {}
        blocks = [*history(self._held, self._block_s, past), *bursts.values()]
        for block in sorted(blocks, key=lambda b: b.start_ms):
            yield Block(self.tag, block.start_ms, block.samples, block.quality, late=True)

    def _waiting_bursts(self, before_ms: int | None) -> Iterator[Block]:
        for start_ms in sorted(self._bursts):
            if before_ms is None or start_ms < before_ms:
                yield self._block(self._bursts.pop(start_ms))

    def _joined(self, block: GridBlock) -> Iterator[Block]:
        burst = self._bursts.pop(block.start_ms, None)
        is_empty = not any(np.isfinite(s).any() for s in block.samples.values())
        # That nothing is known any more is told once.
        if not (is_empty and self._was_empty):
            if burst is not None:
                block.samples.update(burst.samples)
                block.quality.update(burst.quality)
            yield self._block(block)
        elif burst is not None:
            yield self._block(burst)
        self._was_empty = is_empty

    def _block(self, block: GridBlock) -> Block:
        is_late = block.start_ms < self._last_ms
        self._last_ms = max(self._last_ms, block.start_ms)
        return Block(self.tag, block.start_ms, block.samples, block.quality, late=is_late)
