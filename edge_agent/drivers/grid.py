"""Values that come as they like, in any order, as samples at equal distances.

Sample `i` of a channel lies at `i / sample_rate_hz` seconds since the epoch, and a block begins at
a multiple of its length, so that both lie alike after a restart. A sample is the newest value of
its time or before (sample and hold).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, inf, isclose
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.base import BAD, GOOD, STALE, Quality

# Values of a channel that wait for their block; beyond, the oldest go.
MAX_WAITING: Final = 100_000
# Blocks that were not asked for over more than this are left out: the clock was set, or we slept.
LONGEST_FILL_S: Final = 600.0

Observation = tuple[float, float, Quality]
_F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GridChannel:
    """A channel's distances; a value older than `stale_after_s` (0: never) holds no longer."""

    name: str
    sample_rate_hz: float
    stale_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GridBlock:
    """Samples of one period; `quality` names channels that are not all good."""

    start_ms: int
    samples: dict[str, _F32] = field(default_factory=dict)
    quality: dict[str, Quality] = field(default_factory=dict)


def fits(sample_rate_hz: float, block_s: float) -> bool:
    """Return True when there is a whole number of samples a block, or of blocks a sample."""
    samples = sample_rate_hz * block_s
    ratio = samples if samples >= 1.0 else 1.0 / samples
    return isclose(ratio, round(ratio), rel_tol=1e-9)


def check_rate(field: str, sample_rate_hz: float, block_s: float) -> None:
    """Let pass a rate that fits blocks; `field` is the table that it stands in.

    Raises:
        ValueError: it does not.
    """
    if not fits(sample_rate_hz, block_s):
        raise ValueError(
            f"{field}.sample_rate_hz: {sample_rate_hz:g} makes neither a whole number of samples "
            f"a block of {block_s:g} s nor of blocks a sample; change block_s"
        )


class Grid:
    """The channels of one device.

    Values may come in any order up to `settle_s` behind the time that `due` is asked with. What
    comes later than its samples went is counted in `late` and holds from the next sample on, as
    long as nothing newer is known. Of two values of the same time the one that came last counts.
    """

    def __init__(
        self, channels: Sequence[GridChannel], block_s: float, settle_s: float = 0.0
    ) -> None:
        """Begin with nothing known.

        Raises:
            ValueError: a rate does not fit the block, which must be of whole milliseconds.
        """
        self._length_ms = _whole_ms(block_s)
        for channel in channels:
            if not fits(channel.sample_rate_hz, block_s):
                raise ValueError(
                    f"sample_rate_hz: {channel.sample_rate_hz:g} of {channel.name!r} makes neither "
                    f"a whole number of samples a block of {block_s:g} s nor of blocks a sample"
                )
        self._settle_ms = settle_s * 1000
        self._channels = {c.name: _Held(c, self._length_ms) for c in channels}
        self._next_ms: int | None = None

    @property
    def late(self) -> int:
        """Values that came after their samples went."""
        return sum(held.late for held in self._channels.values())

    @property
    def dropped(self) -> int:
        """Values that too many others pushed out before their block was asked for."""
        return sum(held.dropped for held in self._channels.values())

    @property
    def begins_ms(self) -> int | None:
        """Where the next block begins; None before `begin`."""
        return self._next_ms

    def begin(self, now_ms: float) -> None:
        """Forget what is known, and make the block that `now_ms` lies in the next one."""
        for held in self._channels.values():
            held.forget()
        self._next_ms = floor(now_ms / self._length_ms) * self._length_ms

    def put(self, channel: str, time_ms: float, value: float, quality: Quality = GOOD) -> bool:
        """Take a value; return False when samples of its time have gone already.

        Raises:
            KeyError: there is no such channel.
        """
        return self._channels[channel].put((time_ms, value, quality))

    def due(self, now_ms: float) -> Iterator[GridBlock]:
        """Yield the blocks that ended `settle_s` before `now_ms`, oldest first.

        Channels without a sample in a block's period are left out of it; what is not known, bad or
        stale is NaN. After a step of the clock it begins anew at `now_ms`.
        """
        if self._next_ms is None:
            self.begin(now_ms)
        assert self._next_ms is not None
        ahead_ms = now_ms - self._next_ms
        slack_ms = self._settle_ms + self._length_ms
        if not -slack_ms - 5000 <= ahead_ms <= LONGEST_FILL_S * 1000 + slack_ms:
            self.begin(now_ms)
            return
        while self._next_ms + self._length_ms <= now_ms - self._settle_ms:
            start_ms, self._next_ms = self._next_ms, self._next_ms + self._length_ms
            block = GridBlock(start_ms)
            for name, held in self._channels.items():
                times = held.times(start_ms)
                if len(times):
                    block.samples[name], quality = held.sample(times)
                    if quality != GOOD:
                        block.quality[name] = quality
            if block.samples:
                yield block


def history(
    channels: Sequence[GridChannel],
    block_s: float,
    observations: Iterable[tuple[str, Observation]],
) -> Iterator[GridBlock]:
    """Yield what `(channel, (time_ms, value, quality))` of the past amount to, oldest block first.

    A channel is sampled from its first observation to the first sample not before its last; what
    lies further apart than `LONGEST_FILL_S` is not joined. Blocks without a number are left out.
    """
    length_ms = _whole_ms(block_s)
    held = {c.name: _Held(c, length_ms) for c in channels}
    spans: dict[str, list[tuple[float, float]]] = {}
    starts: set[int] = set()
    by_channel: dict[str, list[Observation]] = {}
    for name, observation in observations:
        by_channel.setdefault(name, []).append(observation)
    for name, all_ in by_channel.items():
        all_.sort(key=_time)
        del all_[:-MAX_WAITING]
        for observation in all_:
            held[name].put(observation)
        spans[name] = list(_spans([t for t, _, _ in all_], held[name].period_ms))
        for first, last in spans[name]:
            begin = floor(first / length_ms) * length_ms
            starts.update(range(begin, int(last) + 1, length_ms))
    for start_ms in sorted(starts):
        block = GridBlock(start_ms)
        for name, of_channel in spans.items():
            times = held[name].times(start_ms)
            inside = np.zeros(len(times), np.bool_)
            for first, last in of_channel:
                inside |= (times >= first) & (times <= last)
            if not inside.any():
                continue
            samples, quality = held[name].sample(times)
            samples[~inside] = np.nan
            block.samples[name] = samples
            if quality != GOOD or not inside.all():
                block.quality[name] = BAD if quality == GOOD else quality
        if any(np.isfinite(samples).any() for samples in block.samples.values()):
            yield block


class _Held:
    """A channel's values that are still to be sampled, and the one that holds."""

    def __init__(self, channel: GridChannel, length_ms: int) -> None:
        self.period_ms = 1000.0 / channel.sample_rate_hz
        self._stale_ms = channel.stale_after_s * 1000 or inf
        samples = length_ms / self.period_ms
        self._samples = max(1, round(samples))
        # Of a channel with less than a sample a block: the distance of the blocks that have one.
        self._every_ms = length_ms if samples >= 1 - 1e-9 else round(self.period_ms)
        self._waiting: list[Observation] = []
        self._is_sorted = True
        self._sampled_ms = -inf
        self.late = self.dropped = 0

    def forget(self) -> None:
        self._waiting.clear()
        self._sampled_ms = -inf

    def put(self, observation: Observation) -> bool:
        if self._waiting and observation[0] < self._waiting[-1][0]:
            self._is_sorted = False
        self._waiting.append(observation)
        if len(self._waiting) > 2 * MAX_WAITING:
            self._order()
            self.dropped += len(self._waiting) - MAX_WAITING
            del self._waiting[:-MAX_WAITING]
        is_late = observation[0] <= self._sampled_ms
        self.late += is_late
        return not is_late

    def times(self, start_ms: int) -> npt.NDArray[np.float64]:
        """Return when the samples of a block lie."""
        if start_ms % self._every_ms:
            return np.empty(0)
        return start_ms + np.arange(self._samples, dtype=np.float64) * self.period_ms

    def sample(self, times: npt.NDArray[np.float64]) -> tuple[_F32, Quality]:
        """Return the samples at ascending times, after the last ones, and their quality."""
        self._order()
        known_ms = np.array([time for time, _, _ in self._waiting])
        # Float arithmetic on milliseconds since the epoch is good to less than a microsecond.
        at = np.searchsorted(known_ms, times + 1e-3, side="right") - 1
        samples = np.full(len(times), np.nan, np.float32)
        worst: set[Quality] = set()
        for place, index in enumerate(at):
            if index < 0:
                worst.add(BAD)
                continue
            time_ms, value, quality = self._waiting[index]
            if quality == BAD or not np.isfinite(value):
                worst.add(BAD)
            elif times[place] - time_ms > self._stale_ms:
                worst.add(STALE)
            else:
                worst.add(quality)
                samples[place] = value
        self._sampled_ms = float(times[-1])
        del self._waiting[: max(0, int(at[-1]))]
        return samples, BAD if BAD in worst else STALE if STALE in worst else GOOD

    def _order(self) -> None:
        if not self._is_sorted:
            # Stable, so that of equal times the last that came stays last.
            self._waiting.sort(key=_time)
            self._is_sorted = True


def _time(observation: Observation) -> float:
    return observation[0]


def _whole_ms(block_s: float) -> int:
    length_ms = round(block_s * 1000)
    if length_ms < 1 or abs(block_s * 1000 - length_ms) > 1e-6:
        raise ValueError(f"block_s: {block_s:g} is not a whole number of milliseconds")
    return length_ms


def _spans(times: Sequence[float], period_ms: float) -> Iterator[tuple[float, float]]:
    """Yield first and last sample time of each run of observations that lie near each other."""
    first = last = times[0]
    for time in [*times[1:], inf]:
        if time - last > LONGEST_FILL_S * 1000:
            yield ceil(first / period_ms) * period_ms, ceil(last / period_ms) * period_ms
            first = time
        last = time
