"""What is unusual in the channels of a machine, together and each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.kernels import joint as kernel
from stream_processor.kernels import series, tails
from stream_processor.models.layout import Layout
from stream_processor.models.series import SeriesMonitor
from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
SCHEMA = Schema("a joint monitor")

# A row is learnt in full up to this surprise, and beyond it the less the further it is: by the
# ratio to one of two powers. One learner hardly takes over what lasts, the other soon does.
USUAL = 2.0
FIRM, YIELDING = 4.0, 1.0
# What a learner says at most, so that one which is at its end leaves the say to the others.
SAYS = 12.0
# Rows over which the firm learner is surprised, less a share of those over which it is not, until
# it goes on from what the other has learnt: a quarter of those it was learnt from, and no fewer
# than these. So a second mode of operation that comes and goes becomes usual.
LASTING, FORGOTTEN, KNOWN_SHARE = 1000.0, 0.25, 0.25
# What a learner has learnt is worth so many rows, and its statistics so many, when it begins again.
AGAIN_LEARNT, AGAIN_JUDGED = 500.0, 100.0
# The 99th percentile of the evidence of several channels that are independent and normal, and the
# mean by which it is exceeded.
THRESHOLD, EXCESS = 7.0, 1.0
# That of one channel: its views together say four times as much as one of them.
THRESHOLD_OF_ONE = 2.6
# Rows after which the tail is believed.
KNOWN = 1000.0
# What counts of a series monitor beside others: means of errors and of values over many rows are
# what the learners look at.
QUICK = [i for i, view in enumerate(series.VIEWS)
         if view not in ("unrest", "long_unrest", "run", "long_run")]  # fmt: skip
# Of one channel a series monitor does not learn what is so rare.
SERIES_LIMIT = 4.0
# Rows before the first look at channels together: of so many channels more.
FIRST, FIRST_PER_CHANNEL = 40, 1.5
# A matrix is worked out anew after so many rows more, as a share of those there were.
AGAIN = 0.05
RIDGE = 0.02


@dataclass(frozen=True, slots=True)
class JointSurprise:
    """How unusual a row is.

    `evidence` is -log10 of the probability of what the witnesses say together if each said it as
    often as it says, by which rows compare; `value` is that by how often they said as much of late.
    `shares` (d,) is which share of it each channel has, 0 of all when nothing stands out.
    """

    evidence: float
    value: float
    shares: Array


@cache
def layout_of(channels: int) -> Layout:
    """Return where a learner of so many channels has what."""
    d, scales = channels, kernel.SCALES.size
    return Layout({
        "centre": (2, d),
        "moments": (2, d, d),
        "maps": (3, d, d),
        "last": (2, d),
        "averages": (2, scales, d),
        "squares": (2, scales, d),
        "spread": (kernel.SPREADS.size, d),
        "noise": (d,),
        "usual": (2, kernel.VIEWS),
        "counts": (kernel.COUNTS,),
    })  # fmt: skip


NOTHING = JointSurprise(0.0, 0.0, np.zeros(0))


class Learner:
    """What channels usually are together, and how surprising a row of them is.

    Deviations are decorrelated, once as they are and once less what the last row leads one to
    expect (a vector autoregression), averaged over several spans, and every statistic is held
    against its own past. State: 5 numbers a pair of channels.
    """

    centre: Array
    moments: Array
    maps: Array
    last: Array
    averages: Array
    squares: Array
    spread: Array
    noise: Array
    usual: Array
    counts: Array

    def __init__(self, channels: int, power: float) -> None:
        """Begin; beyond what is usual a row counts by `power` of the ratio."""
        d = channels
        self.power = power
        layout = layout_of(d)
        self.memory = np.zeros(layout.size)
        for name, array in layout.views(self.memory):
            setattr(self, name, array)
        for ratio in (self.squares, self.spread, self.noise):
            ratio[:] = 1.0
        self.counts[kernel.NEXT] = max(FIRST, FIRST_PER_CHANNEL * d)
        self._z, self._white = np.zeros((2, d)), np.zeros((2, d))
        self._found, self.views = np.zeros(kernel.VIEWS), np.zeros(kernel.VIEWS)

    def update(self, x: Array, memory: float) -> float:
        """Take a row (d,), learn it as far as it is usual, and return its surprise."""
        counts = self.counts
        if counts[kernel.LEARNT] == 0.0:
            self.centre[0] = np.where(np.isfinite(x), x, 0.0)
        ready = bool(self.maps[0].any())
        surprise = kernel.judge(
            x, self.centre, self.maps, self.last, self.averages, self.squares, self.spread,
            self.noise, self.usual, counts, self._z, self._white, self._found, self.views, ready,
        )  # fmt: skip
        weight = 1.0 if surprise < USUAL else (USUAL / surprise) ** self.power
        kernel.learn(
            x, weight, memory, self.centre, self.moments, self.averages, self.squares, self.spread,
            self.noise, self.usual, counts, self._z, self._white, self._found, ready,
        )  # fmt: skip
        if counts[kernel.LEARNT] >= counts[kernel.NEXT]:
            self._work_out()
            step = AGAIN * min(float(counts[kernel.LEARNT]), memory)
            counts[kernel.NEXT] = counts[kernel.LEARNT] + step + 5.0
        return float(surprise)

    def _work_out(self) -> None:
        """Set the maps from the moments: whitening, prediction, whitening of what it leaves."""
        now, lagged = self.moments
        d = len(now)
        ridge = RIDGE + d / (2.0 * float(self.counts[kernel.LEARNT]))
        identity = np.eye(d)
        held = (now + now.T) / 2.0 + ridge * identity
        ahead = np.linalg.solve(held, lagged.T).T
        crossed = ahead @ lagged.T
        left = held - crossed - crossed.T + ahead @ now @ ahead.T
        self.maps[0] = _whitening(held, 0.0)
        self.maps[1] = ahead
        self.maps[2] = _whitening((left + left.T) / 2.0 - 0.5 * ridge * identity, 1e-3)

    def begin_again(self) -> None:
        """Let what was learnt be worth a few rows, so that what is usual now soon counts."""
        counts = self.counts
        counts[kernel.LEARNT] = min(float(counts[kernel.LEARNT]), AGAIN_LEARNT)
        counts[kernel.JUDGED] = min(float(counts[kernel.JUDGED]), AGAIN_JUDGED)
        counts[kernel.NEXT] = min(float(counts[kernel.NEXT]), AGAIN_LEARNT + 5.0)

    def take_over(self, other: Learner) -> None:
        """Go on from what another has learnt."""
        self.memory[:] = other.memory

    def shares(self) -> Array:
        """Return which share of the last surprise each channel has (d,)."""
        view = int(self.views.argmax())
        if view < 4 * kernel.SCALES.size:
            i, k = divmod(view // 2, kernel.SCALES.size)
            each = self.averages[i, k] ** 2 / self.squares[i, k]
        else:
            k, of = divmod(view - 4 * kernel.SCALES.size, 3)
            each = self.spread[k] / (self.noise + 1e-9)
            if of == 2:
                each = 1.0 / (each + kernel.FROZEN)
        out: Array = each / max(float(each.sum()), 1e-12)
        return out


def _whitening(covariance: Array, least: float) -> Array:
    """Return the symmetric inverse root of a covariance (d, d)."""
    values, vectors = np.linalg.eigh(covariance)
    out: Array = (vectors / np.sqrt(np.maximum(values, max(least, 1e-12)))) @ vectors.T
    return out


class JointMonitor:
    """The channels of a machine: two learners of them together, and a monitor of `each` by itself.

    The surprises are added as of independent witnesses (Fisher 1932), and the sum is held against
    its own tail, so that a value of 6 is said once in a million rows of what is usual.
    """

    def __init__(self, channels: int, each: bool = True) -> None:
        self._channels = channels
        powers = (FIRM, YIELDING) if channels > 1 else ()
        self._learners = [Learner(channels, power) for power in powers]
        self._series = [SeriesMonitor() for _ in range(channels if each else 0)]
        self._said = tails.new(THRESHOLD, EXCESS) if channels > 1 else tails.new(THRESHOLD_OF_ONE)
        self._tail = self._said.copy()
        self._lasted = 0.0

    def update(self, values: Array, time_ms: int, memory: float) -> JointSurprise:
        """Take a row (d,) at a time (UTC, ms) and learn it over a memory in rows.

        What is no number is missing; a row of nothing else leaves no trace.
        """
        d = values.size
        if not np.isfinite(values).any():
            return JointSurprise(0.0, 0.0, np.zeros(d))
        alone = np.zeros(d)
        for j, monitor in enumerate(self._series):
            alone[j] = monitor.follow(float(values[j]), time_ms, SERIES_LIMIT).value
            if d > 1:
                alone[j] = monitor.surprises[QUICK].max()
        together = self._together(values, memory) if d > 1 else []
        single = max(float(alone.max()) - float(np.log10(d)), 0.0)
        total = sum(min(one, SAYS) for one in together) + single
        value = tails.surprise(total, self._tail)
        # What is rarer than once in as many rows as there were is not known well.
        value -= max(float(np.log10(KNOWN / (self._tail[tails.COUNT] + 1.0))), 0.0)
        value = max(value, 0.0)
        evidence = tails.surprise(total, self._said)
        tails.learn(total, self._tail)
        shares = np.zeros(d)
        if value >= USUAL:
            for learner, one in zip(self._learners, together, strict=True):
                if one > 0.0:
                    shares += min(one, SAYS) * learner.shares()
            shares += single * (alone == alone.max())
            shares /= max(float(shares.sum()), 1e-12)
        return JointSurprise(float(evidence), float(value), shares)

    def _together(self, values: Array, memory: float) -> list[float]:
        """Return what the learners say of a row; what has lasted long enough becomes usual."""
        firm, yielding = self._learners
        said = [firm.update(values, memory), yielding.update(values, memory)]
        self._lasted = max(self._lasted + (1.0 if said[0] >= USUAL else -FORGOTTEN), 0.0)
        known = KNOWN_SHARE * float(firm.counts[kernel.LEARNT])
        if self._lasted >= max(min(known, memory), LASTING):
            yielding.begin_again()
            firm.take_over(yielding)
            self._lasted = 0.0
        return said

    def state(self) -> dict[str, Any]:
        """Return the arrays."""
        return {
            "schema": SCHEMA.version,
            "channels": self._channels,
            "lasted": self._lasted,
            "learners": [one.memory for one in self._learners],
            "series": [one.state() for one in self._series],
            "tail": self._tail,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the monitor in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        model = cls(state["channels"], each=False)
        for learner, memory in zip(model._learners, state["learners"], strict=True):
            learner.memory[:] = memory
        model._series = [SeriesMonitor.restore(one) for one in state["series"]]
        model._tail = state["tail"].astype(np.float64)
        model._lasted = state["lasted"]
        return model
