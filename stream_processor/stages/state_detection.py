"""State detection (ISO 13374-2, 5.3): from features to deviations from the expected."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.models import Baseline, DriftMonitor, HalfSpaceForest, JointMonitor
from stream_processor.models.joint import NOTHING, JointSurprise
from stream_processor.models.signal import Quality, SignalMonitor
from stream_processor.schema import Schema, State
from stream_processor.stages.items import (
    Catalogue,
    Detections,
    Deviation,
    Features,
    Observation,
    SensorFault,
)
from stream_processor.v1.alert_pb2 import FailureMode

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
# Channels and features, each with the sampling rate it depends on (0 when it does not), and the
# names of features and drivers.
Placed = tuple[tuple[str, float], ...]
Layout = tuple[Placed, Placed, tuple[str, ...]]

# No deviation is reported before this many healthy frames.
WARM_UP_FRAMES = 40
# The chance that a normally distributed score of a healthy machine passes the limit, shared among
# its features.
FALSE_ALARM_CHANCE = 1e-4
# Models learn only while everything is this far under its limit.
LEARNING_RATIO = 0.75
# How long an observation is remembered: in frames, and where frames are close together, in time.
MEMORY_FRAMES = 4000.0
MEMORY_MS = 7 * 86_400_000.0
MOST_MEMORY_FRAMES = 400_000.0
# Observations at a new, shorter interval until the running means are trusted at it, and how much
# shorter that is.
PACE_FRAMES = 1000.0
PACE_CHANGE = 4.0
# What is rarer than so many times in a month is an alarm; nothing commoner than this (-log10 of a
# probability), however seldom observations come.
ALARMS_A_MONTH = 1.0
MONTH_MS = 30 * 86_400_000.0
LEAST_SURPRISE = 3.0
# Rows that channels together are remembered for, at most.
MOST_ROWS = 10_000.0
EDGE_GAIN = 0.25
EDGE_MOST = 10.0


def _with_layout(state: State) -> State:
    """The names alone said what the models were laid out for; the first knew no pace."""
    return {"paced": PACE_FRAMES, **state, "layout": None}


# 2: what the models were laid out for, with sampling rates. 3: channels together.
SCHEMA = Schema("state detection", 3, {1: _with_layout, 2: lambda s: {**s, "joint": None}})


class StateDetection:
    """Compare the features of one machine with what its own past leads one to expect.

    Nothing is learnt while anything is suspicious; learning resumes when all is normal again.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._layout: Layout | None = None
        self._baseline: Baseline | None = None
        self._signal = SignalMonitor(0)
        self._drift = DriftMonitor(0)
        self._forest = HalfSpaceForest(0)
        self._catalogue: Catalogue | None = None
        self._edge = 0.0
        self._last_time_ms = 0
        self._interval_ms = 0.0
        self._paced = PACE_FRAMES
        self._forest_usual = np.zeros(2)
        self._joint: JointMonitor | None = None

    def _prepare(self, known: Catalogue) -> Baseline:
        """Set up what depends on the catalogue; models start anew when the features changed."""
        baseline = self._baseline
        if known is self._catalogue and baseline is not None:
            return baseline
        self._catalogue = known
        features = known.features
        self._log = np.array([f.scale == "log" for f in features])
        self._rises = np.array([f.rises_only for f in features])
        self._tolerance = np.array([f.tolerance for f in features])
        self._relative = np.array([f.relative_tolerance for f in features])
        self._z_limit = -NormalDist().inv_cdf(FALSE_ALARM_CHANCE / (2 * max(len(features), 1)))
        channels = known.channels
        self._channels = [channels.index(f.channel) for f in features]
        units = {f.unit for f in features if f.relative_tolerance > 0.0 and f.unit != "1"}
        self._groups = [
            np.array([j for j, f in enumerate(features) if f.unit == u and f.relative_tolerance])
            for u in sorted(units)
        ]
        self._slow_mean = np.array(
            [j for j, f in enumerate(features) if f.channel in known.slow], dtype=np.int64
        )
        waveform = np.array([name in known.vibration for name in channels])
        rates = np.array([known.info.channels[name].sample_rate_hz for name in channels])
        self._recent = np.where(waveform, 8.0 * rates, 60.0)
        layout = _layout(known)
        if baseline is None or layout != (self._layout or (layout[0], layout[1], self._names)):
            own = [
                known.drivers.index(f.channel)
                if f.name == "mean" and f.channel in known.drivers
                else -1
                for f in features
            ]
            baseline = self._lay_out(layout, len(known.drivers), np.array(own, dtype=np.int64))
        self._layout, self._names = layout, layout[2]
        return baseline

    def _lay_out(self, layout: Layout, drivers: int, own: Indices) -> Baseline:
        """Let the models go on with what is as it was, and begin anew with what is not."""
        before = self._layout or ((), (), ())
        channels = _places(layout[0], before[0])
        features = _places(layout[1], before[1])
        same_drivers = layout[2][len(layout[1]) :] == before[2][len(before[1]) :]
        known = self._baseline
        if known is not None and same_drivers and (features >= 0).any():
            self._baseline = known.retargeted(own, features)
        else:
            self._baseline = Baseline(drivers, own)
        self._signal = self._signal.relaid(channels)
        readings = [place for place, (_, rate) in enumerate(before[1]) if rate == 0.0]
        self._drift = self._drift.relaid(
            np.array(
                [readings.index(f) if f in readings else -1 for f in features[self._slow_mean]],
                dtype=np.int64,
            )
        )
        if features[self._slow_mean].tolist() != readings:
            self._joint = None
        if [name for name, _ in layout[0]] != [name for name, _ in before[0]]:
            self._forest = HalfSpaceForest(len(layout[0]))
            self._forest_usual = np.zeros(2)
        return self._baseline

    def update(self, item: Features) -> Detections:
        """Return the deviations of a frame's features, and learn them when all is normal."""
        baseline = self._prepare(item.catalogue)
        edge = item.frame.edge_score
        if edge is not None and np.isfinite(edge):
            self._edge += EDGE_GAIN * (min(float(edge), EDGE_MOST) - self._edge)
        found = tuple(self._compare(baseline, item.catalogue, o) for o in item.observations)
        return Detections(item, found)

    def _compare(self, baseline: Baseline, known: Catalogue, item: Observation) -> Deviation:
        """Return the deviations of one observation, and learn it when all is normal."""
        targets = item.measured
        judged = bool(np.isfinite(targets).any())
        positive = self._log & (targets > 0)
        targets[self._log & ~positive] = np.nan
        np.log(targets, out=targets, where=positive)
        tolerance = np.maximum(self._tolerance, self._relative * self._scale_of(baseline.level))
        memory = self._memory(item.time_ms)
        trust = min(self._paced / PACE_FRAMES, 1.0)
        scored = baseline.update(item.drivers, targets, tolerance, trust)
        warm = baseline.seen >= WARM_UP_FRAMES
        ratio = np.where(warm, scored.smoothed / self._z_limit, 0.0)
        ratio = np.where(self._rises, np.maximum(ratio, 0.0), ratio)

        quality = item.quality
        signal = self._signal.update(
            quality.present, quality.missing, quality.run, quality.spikes, self._recent
        )
        faults = _sensor_faults(known, signal)
        drift = self._drift.update(scored.score[self._slow_mean])
        forest_ratio, point = self._forest_score(scored.score, int(warm.any()))
        # What a machine's load explains is taken from its readings where the load is known.
        readings = scored.residual if known.drivers else targets
        surprise = self._surprise(
            readings[self._slow_mean], item.time_ms, memory, known.readings_only
        )
        limit_of_surprise = self._surprise_limit()

        observed = int(baseline.seen.max(initial=0.0))
        suspicion = float(np.abs(ratio).max(initial=0.0))
        # The edge's score lies near its limit when all is well: only at the limit does it warn.
        learning = suspicion < LEARNING_RATIO and self._edge < 1.0
        learning = learning and not any(f.ratio >= 1.0 for f in faults)
        learning = learning or observed < WARM_UP_FRAMES
        if learning:
            baseline.learn(targets, ratio, memory)
            self._signal.learn(quality.present, quality.missing, quality.run, quality.spikes)
            if point is not None:
                self._forest.learn_one(point)
        expected = targets - scored.residual
        side = np.where(ratio < 0, -1.0, 1.0)
        limit = expected + side * self._z_limit * scored.deviation
        log = self._log
        return Deviation(
            item,
            np.where(log, np.exp(np.where(log, expected, 0.0)), expected),
            np.where(log, np.exp(np.where(log, limit, 0.0)), limit),
            scored.score,
            ratio,
            faults,
            self._edge,
            forest_ratio,
            drift,
            learning,
            judged,
            surprise.evidence,
            surprise.value / limit_of_surprise,
            limit_of_surprise,
            surprise.shares,
        )

    def _surprise(self, readings: Array, time_ms: int, memory: float, each: bool) -> JointSurprise:
        """Return how unusual the readings of the slow channels are, and learn them.

        `each` is whether each is followed by itself too, which is worth its state of 14 KB where
        there is nothing else to go by.
        """
        if not readings.size:
            return NOTHING
        if self._joint is None:
            self._joint = JointMonitor(readings.size, each)
        return self._joint.update(readings, time_ms, min(memory, MOST_ROWS))

    def _surprise_limit(self) -> float:
        """Return the surprise that is reached so many times a month at this interval."""
        if self._interval_ms <= 0.0:
            return LEAST_SURPRISE
        rows = MONTH_MS / self._interval_ms / ALARMS_A_MONTH
        return max(float(np.log10(rows)), LEAST_SURPRISE)

    def _scale_of(self, level: Array) -> Array:
        """Return what a share of a feature is taken of: the largest level among its unit.

        A suction pressure near zero is measured by the pressures of its machine, not by itself.
        """
        size = np.abs(level)
        out = size.copy()
        for group in self._groups:
            out[group] = size[group].max()
        return out

    def _memory(self, time_ms: int) -> float:
        """Follow the interval at which observations come; return the memory in observations."""
        interval = float(time_ms - self._last_time_ms) if self._last_time_ms else 0.0
        self._last_time_ms = time_ms
        if interval > 0.0:
            if self._interval_ms == 0.0:
                self._interval_ms, self._paced = interval, PACE_FRAMES
            elif interval < self._interval_ms / PACE_CHANGE:
                # Faster than ever: what averages out from minute to minute need not do so from
                # second to second. A longer interval is a gap, or known to be calmer.
                self._interval_ms, self._paced = interval, 0.0
            else:
                self._paced = min(self._paced + 1.0, PACE_FRAMES)
        if self._interval_ms <= 0.0:
            return MEMORY_FRAMES
        return min(max(MEMORY_MS / self._interval_ms, MEMORY_FRAMES), MOST_MEMORY_FRAMES)

    def _forest_score(self, score: Array, warm: int) -> tuple[float, Array | None]:
        """Return how unusual the combination of the channels' scores is, and the point itself."""
        if not warm:
            return 0.0, None
        pooled = [0.0] * (len(self._catalogue.channels) if self._catalogue else 0)
        for channel, z in zip(self._channels, score.tolist(), strict=True):
            # No comparison holds of what is no number.
            if abs(z) > abs(pooled[channel]):
                pooled[channel] = z
        point = 1.0 / (1.0 + np.exp(-np.clip(pooled, -8.0, 8.0) / 3.0))
        if not self._forest.ready:
            return 0.0, point
        raw = self._forest.score_one(point)
        mean, variance = self._forest_usual
        ratio = (raw - mean) / max(float(np.sqrt(variance)), 0.02) / self._z_limit
        if abs(ratio) < LEARNING_RATIO or variance == 0.0:
            gain = 1.0 / 500.0 if variance > 0.0 else 1.0
            self._forest_usual[0] += gain * (raw - mean)
            self._forest_usual[1] += gain * ((raw - mean) ** 2 + 1e-6 - variance)
        return float(max(ratio, 0.0)), point

    def state(self) -> dict[str, Any]:
        """Return the models' arrays and what they were laid out for."""
        return {
            "schema": SCHEMA.version,
            "names": self._names,
            "layout": self._layout,
            "baseline": None if self._baseline is None else self._baseline.state(),
            "signal": self._signal.state(),
            "drift": self._drift.state(),
            "forest": self._forest.state(),
            "forest_usual": self._forest_usual,
            "joint": None if self._joint is None else self._joint.state(),
            "edge": self._edge,
            "last_time_ms": self._last_time_ms,
            "interval_ms": self._interval_ms,
            "paced": self._paced,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        stage = cls()
        stage._names = tuple(state["names"])
        stage._layout = state["layout"]
        if state["baseline"] is not None:
            stage._baseline = Baseline.restore(state["baseline"])
        stage._signal = SignalMonitor.restore(state["signal"])
        stage._drift = DriftMonitor.restore(state["drift"])
        stage._forest = HalfSpaceForest.restore(state["forest"])
        stage._forest_usual = state["forest_usual"].copy()
        if state["joint"] is not None:
            stage._joint = JointMonitor.restore(state["joint"])
        stage._edge = state["edge"]
        stage._last_time_ms = state["last_time_ms"]
        stage._interval_ms = state["interval_ms"]
        stage._paced = state["paced"]
        return stage


def _layout(known: Catalogue) -> Layout:
    """Return what the models of a machine are laid out for.

    A reading is one at any sampling rate. What is computed from a waveform is not: bandwidth,
    resolution and noise go with the rate.
    """
    rates = {name: channel.sample_rate_hz for name, channel in known.info.channels.items()}
    return (
        tuple((name, rates[name]) for name in known.channels),
        tuple((f.series, 0.0 if f.name == "mean" else rates[f.channel]) for f in known.features),
        tuple(f.series for f in known.features) + known.drivers,
    )


def _places(now: Placed, before: Placed) -> Indices:
    """Return where each was before, -1 for what is new."""
    known = {item: place for place, item in enumerate(before)}
    return np.array([known.get(item, -1) for item in now], dtype=np.int64)


def _sensor_faults(known: Catalogue, signal: Quality) -> tuple[SensorFault, ...]:
    """Return the channels with evidence of at least half a limit, worst first."""
    found = []
    for mode, ratio, value, limit in (
        (
            FailureMode.FAILURE_MODE_SENSOR_DROPOUT,
            signal.dropout,
            signal.missing_share,
            signal.missing_limit,
        ),
        (FailureMode.FAILURE_MODE_SENSOR_STUCK, signal.stuck, signal.run, signal.run_limit),
        (FailureMode.FAILURE_MODE_SENSOR_SPIKE, signal.spike, signal.spike_share,
         signal.spike_limit),
    ):  # fmt: skip
        for i in np.flatnonzero(ratio >= 0.5).tolist():
            found.append(
                SensorFault(
                    known.channels[i], mode, float(ratio[i]), float(value[i]), float(limit[i])
                )
            )
    return tuple(sorted(found, key=lambda f: -f.ratio))
