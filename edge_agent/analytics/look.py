"""What is known of one window: each part is worked out once, when an output first asks for it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.analytics.envelope import DEFAULT_BAND, defect_amplitude, envelope
from edge_agent.analytics.levels import Moments, band_rms, moments, velocity_rms
from edge_agent.analytics.options import AnalyticsTable, BandTable
from edge_agent.analytics.orders import KEPT, order_spectrum
from edge_agent.analytics.spectrum import Array, Lines, Spectrum, line_amplitude
from edge_agent.analytics.speed import Speed, Turning
from edge_agent.analytics.windows import Window
from edge_agent.drivers.base import Channel

_NAN = float("nan")


class Workspace:
    """Arrays that one window after the other is worked on in."""

    def __init__(self) -> None:
        self._arrays = {name: np.empty(0) for name in ("centred", "square")}
        self._lines = np.empty(0, np.complex128)

    def double(self, name: str, size: int) -> Array:
        """Return `size` float64 to write to, `centred` or `square`."""
        if self._arrays[name].size < size:
            self._arrays[name] = np.empty(size)
        return self._arrays[name][:size]

    def lines(self, size: int) -> Lines:
        """Return `size` lines of a spectrum to write to."""
        if self._lines.size < size:
            self._lines = np.empty(size, np.complex128)
        return self._lines[:size]


class Look:
    """One window of a channel, good until the workspace is used for the next."""

    def __init__(
        self,
        channel: Channel,
        table: AnalyticsTable,
        highest: tuple[float, float],
        speed: Speed | None,
        work: Workspace,
        window: Window,
    ) -> None:
        """Look at a window; `highest` orders are asked for of the channel and of its envelope."""
        self._channel, self._table, self._highest = channel, table, highest
        self._speed, self._work, self._window = speed, work, window
        samples = window.samples
        self._centred = work.double("centred", samples.size)
        with np.errstate(invalid="ignore"):
            self._mean = float(samples.mean(dtype=np.float64))
        # Only when something is missing: a sum of numbers is one.
        self._present: npt.NDArray[np.bool_] | None = None
        # Whether enough is there to say anything.
        self.sound = True
        if np.isfinite(self._mean):
            np.subtract(samples, self._mean, out=self._centred, dtype=np.float64)
        else:
            self._fill(samples)

    def _fill(self, samples: npt.NDArray[np.floating[Any]]) -> None:
        """Put the mean where samples are missing; it has no part in the moments."""
        present = np.isfinite(samples)
        known = int(np.count_nonzero(present))
        self.sound = known > 0 and known >= (1 - self._table.max_missing_percent / 100) * (
            samples.size
        )
        if self.sound:
            self._present = present
            self._mean = float(samples[present].mean(dtype=np.float64))
            np.subtract(samples, self._mean, out=self._centred, dtype=np.float64)
            self._centred[~present] = 0.0

    @cached_property
    def moments(self) -> Moments:
        """The moments, of the samples that are there."""
        centred = self._centred if self._present is None else self._centred[self._present]
        return moments(centred, self._mean, self._work.double("square", centred.size))

    @cached_property
    def spectrum(self) -> Spectrum:
        """The spectrum over time, in Hz."""
        lines = self._work.lines(self._centred.size // 2 + 1)
        return Spectrum.of(self._centred, self._channel.sample_rate_hz, lines)

    def velocity_rms(self) -> float:
        """Return the velocity RMS in mm/s."""
        return velocity_rms(self.spectrum, self._channel.unit, self._table.velocity_band_hz)

    def band_rms(self, band: BandTable) -> float:
        """Return the RMS of a band, NaN when it is by order and the shaft stands."""
        low, high = band.edges
        if band.by_order:
            if self._turning is None:
                return _NAN
            low, high = low * self._turning.mean_hz, high * self._turning.mean_hz
        return band_rms(self.spectrum, low, min(high, self._channel.sample_rate_hz / 2))

    def order_amplitude(self, order: float) -> float:
        """Return the peak amplitude at an order of the shaft, NaN when it cannot be told.

        A shaft that is only known to turn at about its nominal speed has its lines looked for.
        """
        turning, spectrum = self._turning, self._orders
        if turning is None or spectrum is None:
            return _NAN
        if order * turning.fastest > self._channel.sample_rate_hz / 2:
            return _NAN
        slip = 0.0 if turning.measured else self._table.slip_percent / 100
        return line_amplitude(spectrum, order, slip)

    def envelope_rms(self) -> float:
        """Return the RMS of the band that the envelope is of."""
        return float(np.sqrt(np.mean(np.square(self._envelope[0])) / 2.0))

    def defect_amplitude(self, order: float) -> float:
        """Return how strongly the envelope pulses at a bearing's order, NaN when unknown."""
        spectrum = self._envelope_orders
        if spectrum is None:
            return _NAN
        table = self._table
        return defect_amplitude(spectrum, order, table.harmonics, table.slip_percent / 100)

    @cached_property
    def _turning(self) -> Turning | None:
        if self._speed is None:
            return None
        length_s = self._window.samples.size / self._channel.sample_rate_hz
        return self._speed.turning(self._window.start_ms, length_s)

    @cached_property
    def _orders(self) -> Spectrum | None:
        if self._turning is None:
            return None
        return order_spectrum(self.spectrum, self._turning, self._highest[0])

    @cached_property
    def _envelope(self) -> tuple[Array, float]:
        rate = self._channel.sample_rate_hz
        low, high = self._table.envelope_band_hz or (DEFAULT_BAND[0] * rate, DEFAULT_BAND[1] * rate)
        highest_hz = KEPT * self._highest[1] * self._turning.fastest if self._turning else 0.0
        return envelope(self.spectrum, low, high, highest_hz)

    @cached_property
    def _envelope_orders(self) -> Spectrum | None:
        if self._turning is None:
            return None
        samples, rate = self._envelope
        return order_spectrum(
            Spectrum.of(samples - samples.mean(), rate), self._turning, self._highest[1]
        )
