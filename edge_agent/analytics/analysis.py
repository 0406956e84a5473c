"""One channel of a device under one `[[analytics]]` table: blocks in, values out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_agent.analytics.look import Look, Workspace
from edge_agent.analytics.options import AnalyticsTable
from edge_agent.analytics.outputs import highest_orders, made_of, number
from edge_agent.analytics.spectrum import Array
from edge_agent.analytics.speed import Speed
from edge_agent.analytics.windows import RevolutionWindows, TimeWindows
from edge_agent.drivers.base import Channel, Device, Samples
from edge_agent.features import is_waveform

# Fewer samples have no spectrum.
LEAST_SAMPLES = 16
# Turns of fewer samples are those of a speed that is wrong; there would be very many windows.
LEAST_OF_WAVEFORM = 4


@dataclass(frozen=True, slots=True)
class Result:
    """The outputs of a window, in their order; it lies between two event times in ms."""

    start_ms: float
    end_ms: float
    values: Array


class Analysis:
    """Makes the outputs of a table of one channel."""

    def __init__(
        self,
        device: Device,
        channel: Channel,
        table: AnalyticsTable,
        speed: Speed | None,
        work: Workspace,
    ) -> None:
        """Bind a table to a channel; `speed` is that of the shaft, None when there is none.

        Raises:
            ValueError: it does not fit; the message begins with the field.
        """
        self.channel, self.table = channel, table
        self._speed, self._work = speed, work
        made = tuple(made_of(device, channel, table))
        self._recipes = tuple(m.recipe for m in made)
        self._highest = highest_orders(device, table)
        if speed is None and (
            table.window.revolutions is not None or any(m.by_order for m in made)
        ):
            raise ValueError(
                f"speed_channel: {device.tag} has no channel of quantity `speed` and no fact "
                "`Nominal Speed`, which orders, envelope and windows by turns need"
            )
        self._least = LEAST_SAMPLES if any(m.spectral for m in made) else 1
        self._windows, rate_hz = self._cut(number(device, "Nominal Speed"))
        stem = " ".join(part for part in (channel.name, table.name) if part)
        self.outputs = tuple(
            Channel(f"{stem} {m.label}", m.unit, rate_hz, m.quantity, channel.location)
            for m in made
        )
        self.windows = 0
        # Windows with more missing than allowed, or too short for a spectrum.
        self.unsound = 0

    @property
    def gaps(self) -> int:
        """How often samples were let go of since the next did not follow them."""
        return self._windows.gaps

    def add(self, samples: Samples, start_ms: float) -> Iterator[Result]:
        """Take a block of the channel; yield the outputs of the windows that it completes."""
        for window in self._windows.add(samples, start_ms):
            self.windows += 1
            look = Look(self.channel, self.table, self._highest, self._speed, self._work, window)
            if look.sound and window.samples.size >= self._least:
                values = np.array([recipe(look) for recipe in self._recipes])
            else:
                self.unsound += 1
                values = np.full(len(self._recipes), np.nan)
            yield Result(window.start_ms, window.end_ms, values)

    def _cut(self, nominal_hz: float) -> tuple[TimeWindows | RevolutionWindows, float]:
        """Return the windows and how many there are a second, at nominal speed."""
        window, channel, tolerance = self.table.window, self.channel, self.table.gap_tolerance_ms
        rate_hz = channel.sample_rate_hz
        dtype = np.float32 if is_waveform(channel) else np.float64
        if window.length_s is None:
            assert window.revolutions is not None
            assert self._speed is not None
            step = window.revolutions * (1.0 - window.overlap)
            cut = RevolutionWindows(
                window.revolutions,
                window.overlap,
                rate_hz,
                self._speed,
                window.max_length_s,
                tolerance,
                dtype,
                max(self._least, LEAST_OF_WAVEFORM) if is_waveform(channel) else 1,
            )
            return cut, nominal_hz / step if nominal_hz > 0.0 else 1.0
        size = round(window.length_s * rate_hz)
        if size < self._least:
            raise ValueError(
                f"window.length_s: {window.length_s:g} s have {size} samples of {channel.name!r}; "
                f"{self._least} are needed"
            )
        hop = max(1, round(size * (1.0 - window.overlap)))
        return TimeWindows(size, hop, rate_hz, tolerance, dtype), rate_hz / hop
