"""What a model sees at once: the newest waveform, and the last minute of every slow channel.

Drivers send blocks of any length: a second of a live machine, minutes of a slow one. Mean, spread
and slope of a slow channel mean something else over each length, so a model needs the one that it
was trained with.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_agent.drivers.base import Block, Device, Samples
from edge_agent.features import is_waveform

# Of slow channels; the models were trained on blocks of this length.
WINDOW_S: Final = 60.0


class Window:
    """The last `WINDOW_S` seconds of one device's slow channels, in the order of event time."""

    def __init__(self, device: Device) -> None:
        """Begin empty."""
        self._slow = {
            channel.name: _Tail(channel.sample_rate_hz)
            for channel in device.channels
            if not is_waveform(channel)
        }

    def add(self, block: Block) -> Block:
        """Return `block` with the last minute of each of its slow channels; waveforms stay.

        A channel of which less than half a minute is known is left out, so that it counts as
        missing instead of as unusually steady.
        """
        samples: dict[str, Samples] = {}
        for name, values in block.samples.items():
            tail = self._slow.get(name)
            if tail is None:
                samples[name] = values
            elif (minute := tail.extend(values, block.start_time_ms)) is not None:
                samples[name] = minute
        return Block(block.device, block.start_time_ms, samples)


class _Tail:
    """The newest samples of one channel on its even grid; what lacks between two blocks is NaN."""

    def __init__(self, rate_hz: float) -> None:
        self._period_ms = 1000.0 / rate_hz
        self._length = max(1, round(WINDOW_S * rate_hz))
        self._samples: Samples = np.empty(0)
        self._end_ms = 0.0

    def extend(self, values: Samples, start_ms: int) -> Samples | None:
        """Append `values`; return the last minute, None when less than half of it is there."""
        missing = round((start_ms - self._end_ms) / self._period_ms)
        if 0 <= missing < self._length:
            gap = np.full(missing, np.nan, values.dtype)
            joined = np.concatenate([self._samples, gap, values])
        else:
            # First samples, a gap as long as the window, or a step back in time.
            joined = values
        # A copy, so that a long block is not kept alive by its last minute.
        self._samples = joined[-self._length :].copy()
        self._end_ms = start_ms + len(values) * self._period_ms
        present = np.count_nonzero(np.isfinite(self._samples))
        return self._samples if 2 * present >= self._length else None
