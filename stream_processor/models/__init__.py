"""Models that learn one observation at a time."""

from __future__ import annotations

from stream_processor.models.baseline import Baseline
from stream_processor.models.degradation import Degradation
from stream_processor.models.drift import DriftMonitor
from stream_processor.models.forest import HalfSpaceForest
from stream_processor.models.joint import JointMonitor
from stream_processor.models.remaining_life import Trajectory
from stream_processor.models.series import SeriesMonitor
from stream_processor.models.signal import SignalMonitor

__all__ = [
    "Baseline",
    "Degradation",
    "DriftMonitor",
    "HalfSpaceForest",
    "JointMonitor",
    "SeriesMonitor",
    "SignalMonitor",
    "Trajectory",
]
