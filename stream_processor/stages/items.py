"""What the stages hand to one another; each item carries the one before it by reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.v1.alert_pb2 import Advisory, FailureMode, Severity
from stream_processor.v1.points_pb2 import Points

Array = npt.NDArray[np.float64]
Scale = Literal["log", "linear"]
# Of less than this share of its window nothing is concluded from a feature, and nothing learnt.
LEAST_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """A feature of a channel.

    Amplitudes are compared by their logarithm (`log`), so that a deviation is a share. `tolerance`
    is the least standard deviation the feature is taken to have: of the logarithm, or in its unit;
    `relative_tolerance` is the same as a share of its usual value. `rises_only` is for features of
    which only an increase is bad.
    """

    channel: str
    name: str
    unit: str
    quantity: str
    scale: Scale
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    rises_only: bool = False

    @property
    def series(self) -> str:
        """Name in the historian."""
        return f"{self.channel}/{self.name}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The features, drivers and channels of a machine, in the order of their arrays.

    `features` are watched; `trends` are only shown.
    """

    info: EquipmentInfo
    features: tuple[FeatureInfo, ...]
    trends: tuple[FeatureInfo, ...]
    drivers: tuple[str, ...]
    slow: tuple[str, ...]
    vibration: tuple[str, ...]

    @property
    def watched_slow(self) -> tuple[str, ...]:
        """Slow channels whose readings are features, in the order of the features."""
        return tuple(f.channel for f in self.features if f.name == "mean")

    @property
    def readings_only(self) -> bool:
        """Whether there is neither a waveform nor a known load to judge a machine by."""
        return not self.vibration and not self.drivers

    @property
    def compared(self) -> bool:
        """Whether a machine is judged by its readings beside each other and by nothing else."""
        return self.readings_only and len(self.slow) > 1

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels, vibration first."""
        return self.vibration + self.slow


@dataclass(frozen=True, slots=True)
class SignalQuality:
    """How each channel of a catalogue behaved as a signal; arrays of one value a channel.

    `present` is the number of samples, `missing` how many were not numbers, `run` the longest run
    of identical numbers, `spikes` how many stood alone far from their neighbours.
    """

    present: Array
    missing: Array
    run: Array
    spikes: Array


@dataclass(frozen=True, slots=True)
class Observation:
    """The features of one moment.

    `values` has one number a feature of the catalogue, NaN where it could not be computed;
    `trends` one a trend; `drivers` one a driver. `coverage` and `trend_coverage` are the share, 0
    to 1, that was measured of the window of each feature and of each trend.
    """

    time_ms: int
    values: Array
    trends: Array
    drivers: Array
    quality: SignalQuality
    coverage: Array
    trend_coverage: Array

    @property
    def measured(self) -> Array:
        """The features, NaN where too little was measured to conclude anything from them."""
        return np.where(self.coverage >= LEAST_COVERAGE, self.values, np.nan)

    def value(self, j: int) -> float:
        """Return one of `measured`."""
        return float(self.values[j]) if self.coverage[j] >= LEAST_COVERAGE else float("nan")


@dataclass(frozen=True, slots=True)
class Features:
    """Data manipulation: what was computed from a frame.

    A frame with waveforms is one observation; one of slow channels only has one a row of samples.
    """

    frame: Frame
    catalogue: Catalogue
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class SensorFault:
    """A channel that does not tell the truth; `ratio` is evidence over its limit."""

    channel: str
    mode: FailureMode.ValueType
    ratio: float
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far each feature of an observation is from what was expected.

    `expected` and `limit` are in the feature's unit, the limit on the side of the deviation;
    `score` is in standard deviations, signed; `ratio` is the smoothed score over its limit,
    signed: 1 is the limit. `drift_ratio` has one value a watched slow channel. `judged` is False
    when so little was measured that the observation says nothing, for better or worse.
    `surprise_ratio` is how rare the readings of the slow channels are, together and each by itself,
    in what was usual of late, over its limit (-log10 of a probability, `surprise_limit`);
    `evidence` is -log10 of that probability in what is usual of any machine, so that observations
    compare. `shares` is which share each watched slow channel has.
    """

    observation: Observation
    expected: Array
    limit: Array
    score: Array
    ratio: Array
    sensor_faults: tuple[SensorFault, ...]
    edge_ratio: float
    forest_ratio: float
    drift_ratio: Array
    learning: bool
    judged: bool = True
    evidence: float = 0.0
    surprise_ratio: float = 0.0
    surprise_limit: float = 1.0
    shares: Array = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, slots=True)
class Detections:
    """State detection: the deviations of a frame, one an observation."""

    features: Features
    deviations: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Health from 0 (failed) to 1 (as new), and the severity behind it: 1 is the alarm limit."""

    health: float
    severity: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """Health assessment: the condition of the machine at each observation of a frame."""

    detections: Detections
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class RemainingHours:
    """Hours until health reaches the failure threshold, with a 90 % interval."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A feature that a rule looked at; `limit` is NaN where it has none."""

    channel: str
    feature: str
    unit: str
    value: float
    limit: float = float("nan")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to say of a user's rule at the observation `at` of a frame.

    `readings` are what it looked at, that which decided first; empty when the rule is not judged
    any more. `shadow` is of a rule that only says what it would have raised.
    """

    at: int
    rule: str
    version: str
    transition: Literal["raise", "update", "clear"]
    shadow: bool
    advisory_id: str
    revision: int
    severity: Severity.ValueType
    failure_mode: FailureMode.ValueType
    summary: str
    window_start_ms: int
    channel: str
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """Prognostics assessment: the remaining life at each observation, None without a trend.

    Rule evaluation adds `verdicts`, and of each rule in shadow whether its alarm would be standing
    (1, else 0) at each observation.
    """

    assessment: Assessment
    remaining: tuple[RemainingHours | None, ...]
    verdicts: tuple[Verdict, ...] = ()
    shadows: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def would_raise(self) -> tuple[str, ...]:
        """The rules in shadow that would have raised an alarm."""
        return tuple(v.rule for v in self.verdicts if v.shadow and v.transition == "raise")


@dataclass(frozen=True, slots=True)
class Findings:
    """Advisory generation: what leaves the processor."""

    advisories: list[Advisory] = field(default_factory=list)
    points: Points = field(default_factory=Points)
