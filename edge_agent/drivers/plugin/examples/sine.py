"""A converter that is not there: a shaft of 49 Hz, for trying the sampler out."""

from __future__ import annotations

import time
from math import tau
from typing import Final

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ: Final = 3200.0
SHAFT_HZ: Final = 49.0


class Sine:
    """Gives samples at its rate, as a converter does."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._given = 0

    def read(self, n: int) -> npt.NDArray[np.float32]:
        """Wait until `n` more samples are there; return them in volts, shape (n, 1)."""
        first, self._given = self._given, self._given + n
        due = self._began + self._given / SAMPLE_RATE_HZ
        time.sleep(max(0.0, due - time.monotonic()))
        at = np.arange(first, first + n) / SAMPLE_RATE_HZ
        return (0.01 * np.sin(tau * SHAFT_HZ * at)).astype(np.float32)[:, np.newaxis]


read = Sine().read
