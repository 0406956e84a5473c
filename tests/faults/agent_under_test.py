"""The agent as a process of its own, whose wall clock and model a test decides.

`FAULTS_CLOCK` names a file with the seconds that the wall clock is off; `FAULTS_ALARM_EVERY` says
which blocks of a waveform are above the limit.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from edge_agent.drivers.base import Block, Device

_clock = Path(os.environ.get("FAULTS_CLOCK", os.devnull))
_time, _time_ns = time.time, time.time_ns


def _off_s() -> float:
    return float(_clock.read_text() or 0) if _clock.is_file() else 0.0


time.time = lambda: _time() + _off_s()
time.time_ns = lambda: _time_ns() + int(_off_s() * 1e9)


class EveryNth:
    """Scores a block 2.0 when its number, which is in every sample, is a multiple, else 0.5."""

    model = "every-nth-1"

    def __init__(self, every: int) -> None:
        self.every = every

    def score(self, block: Block) -> float | None:
        number = int(next(iter(block.samples.values()))[0])
        return 2.0 if number % self.every == 0 else 0.5


def scorer_for(_: object, device: Device) -> EveryNth | None:
    every = int(os.environ.get("FAULTS_ALARM_EVERY", "0"))
    return EveryNth(every) if every else None


if __name__ == "__main__":
    from edge_agent.inference.model_store import ModelStore
    from edge_agent.main import main

    ModelStore.scorer_for = scorer_for  # type: ignore[assignment,method-assign]
    sys.exit(main())
