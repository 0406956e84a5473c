"""One hour of slow physics at one sample a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

F64 = npt.NDArray[np.float64]

SECONDS = 3600


@lru_cache(maxsize=64)
def _powers(time_constant_s: float) -> tuple[F64, F64]:
    steps = np.arange(SECONDS) / time_constant_s
    return np.exp(-steps), np.exp(steps)


@dataclass
class Hour:
    """The drivers of an hour and the state that is carried through it.

    `rate` is the line's over its rated one, as the drives are told; `load` is what comes of it.

    `state` holds each lag and total at the hour's start and, when the machine has run, at its end:
    so hours follow each other without a seam, and an hour can be run again from its start state.
    Arrays have 3,600 samples.
    """

    time_s: F64
    rate: F64
    load: F64
    ambient: F64
    random: Generator
    severities: Mapping[str, F64]
    state: dict[str, float] = field(default_factory=dict)

    def severity(self, label: str) -> F64:
        """Return the severity, 0 to 1, of a fault; zeros when the machine does not have it."""
        found = self.severities.get(label)
        return np.zeros(SECONDS) if found is None else found

    def lag(self, name: str, target: F64, time_constant_s: float) -> F64:
        """Follow `target` as a first-order mass with a time constant of 10 s or more.

        `y[i] = a y[i-1] + (1 - a) u[i]` with `a = exp(-1 s / time constant)`, in closed form. The
        first hour begins at rest, that is at `target[0]`.
        """
        decay, growth = _powers(time_constant_s)
        a = float(np.exp(-1.0 / time_constant_s))
        before = self.state.get(name, float(target[0]))
        out = decay * (a * before + (1.0 - a) * np.cumsum(target * growth))
        self.state[name] = float(out[-1])
        return out

    def wander(self, name: str, deviation: float, time_constant_s: float) -> F64:
        """Return a mean-zero first-order random walk of standard deviation `deviation`."""
        a = float(np.exp(-1.0 / time_constant_s))
        # The stationary variance of the lag of unit white noise is (1 - a) / (1 + a).
        scale = deviation * np.sqrt((1.0 + a) / (1.0 - a))
        self.state.setdefault(name, deviation * float(self.random.standard_normal()))
        return self.lag(name, scale * self.random.standard_normal(SECONDS), time_constant_s)

    def total(self, name: str, rate: F64) -> F64:
        """Return the sum of `rate` (per second) up to the start of each second."""
        before = self.state.get(name, 0.0)
        sums = before + np.cumsum(rate)
        self.state[name] = float(sums[-1])
        return np.concatenate(([before], sums[:-1]))
