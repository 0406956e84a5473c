"""Data manipulation (ISO 13374-2, 5.2): from samples to features."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.kernels import blocks
from stream_processor.kernels.rolling import Rolling
from stream_processor.schema import Schema
from stream_processor.stages.catalogue import BANDS, TRENDS, catalogue, fact
from stream_processor.stages.continuity import Continuity
from stream_processor.stages.items import Catalogue, Features, Observation, SignalQuality
from stream_processor.stages.vibration import NAMES, VibrationFeatures

Array = npt.NDArray[np.float64]

# 2: where each channel's samples ended; before, each goes on wherever its next block begins.
SCHEMA = Schema("data manipulation", 2, {1: lambda state: {**state, "continuity": {}}})
# Samples of the rolling statistics of slow channels.
WINDOW = 60
# A sample this many usual differences from its neighbours is a spike.
SPIKE_REACH = 12.0
# Per channel: last sample, its run so far, the two samples before, what the noise was learnt from,
# and the noise.
_LAST, _RUN, _EDGE, _NOISE = 0, 1, slice(2, 5), 5
_COLUMNS = 6
_BANDS = [NAMES.index(name) for name in BANDS]


class Manipulation:
    """Compute the features of each frame of one machine.

    What is carried over between frames is the end of each slow channel, to see runs, spikes and
    windows across the seam, and the last value of each driver. Windows go by event time: samples
    that are missing between two frames are missing in the window, and none is carried over a gap
    that is longer than it, back in time, or from one sampling rate to another. Runs and spikes go
    by samples, for a machine that is measured each hour can be stuck too.
    """

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._carried: dict[str, Array] = {}
        self._rolling: dict[str, Rolling] = {}
        self._drivers: dict[str, float] = {}
        self._continuity: dict[str, Continuity] = {}

    def _known(self, info: EquipmentInfo) -> Catalogue:
        known = self._catalogue
        if known is None or (known.info is not info and known.info != info):
            known = self._catalogue = catalogue(info)
            places = [known.channels.index(feature.channel) for feature in known.features]
            self._channel_of = np.array(places, dtype=np.int64)
            self._vibration = VibrationFeatures(info, known.vibration)
            # Features of waveforms come first in a catalogue.
            of_blocks = [f for f in known.features if f.channel in known.vibration]
            self._rows = self._channel_of[: len(of_blocks)]
            self._columns = np.array([NAMES.index(f.name) for f in of_blocks], dtype=np.int64)
        return known

    def update(self, item: Frame) -> Features:
        """Return the features of a frame."""
        known = self._known(item.info)
        for name in known.channels:
            if name in item.samples and item.samples[name].size:
                self._follow(item, name, name in known.slow)
        rolled = {
            name: self._roll(name, item.samples[name])
            for name in known.slow
            if name in item.samples and item.samples[name].size
        }
        observed = []
        for first, last, samples in _parts(item, known):
            if not any(np.isfinite(part).any() for part in samples.values()):
                # Nothing was measured: that is no observation, nor a fault of a sensor.
                continue
            observed.append(self._observe(item, known, first, last, samples, rolled))
        return Features(item, known, tuple(observed))

    def _follow(self, item: Frame, name: str, slow: bool) -> None:
        """Let go of what is known of a channel that does not go on in this frame."""
        rate_hz = item.info.channels[name].sample_rate_hz
        start_ms = item.start_time_ms + item.offsets_ms.get(name, 0)
        known = self._continuity.get(name)
        if known is None or known.rate_hz != rate_hz:
            if known is not None:
                self._carried.pop(name, None)
                self._rolling.pop(name, None)
            known = self._continuity[name] = Continuity(rate_hz)
        missing = known.missing(start_ms) if slow else 0
        if missing > WINDOW or missing < -1:
            self._rolling.pop(name, None)
        elif missing > 0:
            self._roll(name, np.full(missing, np.nan))
        known.extend(start_ms, item.samples[name].size)

    def _observe(
        self,
        item: Frame,
        known: Catalogue,
        first: int,
        last: int,
        samples: dict[str, Array],
        rolled: dict[str, Array],
    ) -> Observation:
        """Return the observation of the slow samples `first` to `last` of a frame."""
        quality = self._quality(known, samples)
        means, coverage = _readings(item.info, known, samples)
        for i, name in enumerate(known.vibration):
            usual = self._continuity[name].usual if name in samples else 0
            coverage[i] = (quality.present[i] - quality.missing[i]) / usual if usual else 0.0
        shaft_hz = _shaft_hz(item.info, means)
        values = np.empty(len(known.features))
        trends, trend_coverage = np.full(len(known.trends), np.nan), np.zeros(len(known.trends))
        judged, begin = self._rows.size, len(known.vibration) * len(BANDS)
        if known.vibration:
            found = self._vibration.of(samples, shaft_hz)
            values[:judged] = found[self._rows, self._columns]
            trends[:begin] = found[:, _BANDS].ravel()
            trend_coverage[:begin] = np.repeat(coverage[: len(known.vibration)], len(BANDS))
        values[judged:] = [means[f.channel] for f in known.features[judged:]]
        for name in known.drivers:
            if np.isfinite(means[name]):
                self._drivers[name] = means[name]
        time_ms = item.start_time_ms
        if first:
            rate = item.info.channels[known.slow[0]].sample_rate_hz
            time_ms += round(first * 1000.0 / rate)
        for i, name in enumerate(known.slow):
            if name in rolled and rolled[name].shape[1]:
                at = min(last, rolled[name].shape[1]) - 1
                mean, variance, low, high, count = rolled[name][:, at]
                place = begin + i * len(TRENDS)
                trends[place : place + len(TRENDS)] = (
                    mean, np.sqrt(variance), low, high,
                )  # fmt: skip
                trend_coverage[place : place + len(TRENDS)] = count / WINDOW
        return Observation(
            time_ms,
            values,
            trends,
            np.array([self._drivers.get(name, np.nan) for name in known.drivers]),
            quality,
            coverage[self._channel_of],
            trend_coverage,
        )

    def _roll(self, name: str, samples: Array) -> Array:
        rolling = self._rolling.get(name)
        if rolling is None:
            rolling = self._rolling[name] = Rolling.empty(WINDOW)
        return rolling.update(samples)

    def _quality(self, known: Catalogue, found: dict[str, Array]) -> SignalQuality:
        count = len(known.channels)
        present, missing, runs, spikes = (np.zeros(count) for _ in range(4))
        for i, name in enumerate(known.channels):
            samples = found.get(name)
            if samples is None:
                continue
            present[i] = samples.size
            missing[i] = samples.size - np.count_nonzero(np.isfinite(samples))
            carried = self._carried.get(name)
            if carried is None:
                carried = self._carried[name] = np.zeros(_COLUMNS)
                carried[_LAST] = np.nan
                carried[_EDGE] = (np.nan, np.nan, 0.0)
            runs[i], carried[_LAST], carried[_RUN] = blocks.longest_run(
                samples, carried[_LAST], int(carried[_RUN])
            )
            if i >= len(known.vibration):
                spikes[i], carried[_NOISE] = blocks.count_spikes(
                    samples, carried[_EDGE], SPIKE_REACH, carried[_NOISE]
                )
        return SignalQuality(present, missing, runs, spikes)

    def state(self) -> dict[str, Any]:
        """Return what is carried over to the next frame."""
        return {
            "schema": SCHEMA.version,
            "carried": dict(self._carried),
            "tails": {name: rolling.tail for name, rolling in self._rolling.items()},
            "drivers": dict(self._drivers),
            "continuity": {name: known.state() for name, known in self._continuity.items()},
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        stage = cls()
        stage._carried = {name: row.copy() for name, row in state["carried"].items()}
        stage._rolling = {
            name: Rolling(tail.size, tail.copy()) for name, tail in state["tails"].items()
        }
        stage._drivers = dict(state["drivers"])
        stage._continuity = {
            name: Continuity.restore(known) for name, known in state["continuity"].items()
        }
        return stage


def _parts(item: Frame, known: Catalogue) -> list[tuple[int, int, dict[str, Array]]]:
    """Return the observations of a frame: first and last slow sample, and the samples of each."""
    whole = {
        name: item.samples[name]
        for name in known.channels
        if name in item.samples and item.samples[name].size
    }
    rows = max((part.size for part in whole.values()), default=0)
    if known.vibration or any(part.size != rows for part in whole.values()):
        return [(0, rows, whole)] if rows else []
    return [(i, i + 1, {n: part[i : i + 1] for n, part in whole.items()}) for i in range(rows)]


def _readings(
    info: EquipmentInfo, known: Catalogue, samples: dict[str, Array]
) -> tuple[dict[str, float], Array]:
    """Return the mean of each slow channel while the waveforms were taken, NaN without samples.

    With it, the share of those samples that were numbers, a value a channel of the catalogue.

    A frame's waveform may be its first second of a minute in which the machine ran up or unloaded:
    it is compared with the speed and the load of that second, whatever the interval of frames.
    """
    seconds = max(
        (
            samples[w].size / info.channels[w].sample_rate_hz
            for w in known.vibration
            if w in samples
        ),
        default=np.inf,
    )
    found = {}
    coverage = np.zeros(len(known.channels))
    for i, name in enumerate(known.slow, len(known.vibration)):
        part = samples.get(name)
        if part is None:
            found[name] = float("nan")
            continue
        span = min(seconds * info.channels[name].sample_rate_hz, part.size)
        used = part[: max(1, round(span))]
        moments = blocks.block_moments(used)
        found[name] = float(moments[blocks.MEAN])
        coverage[i] = moments[blocks.COUNT] / used.size
    return found, coverage


def _shaft_hz(info: EquipmentInfo, means: dict[str, float]) -> float:
    """Return the measured shaft frequency, else the declared one."""
    for name, mean in means.items():
        if info.channels[name].quantity == "speed" and mean > 0.0:
            return mean / 60.0
    return fact(info, "Nominal Speed")
