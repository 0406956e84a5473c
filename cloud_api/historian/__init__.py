"""What was measured, kept: one port, two stores behind it."""

from __future__ import annotations

from cloud_api.historian.levels import Retention
from cloud_api.historian.open import open_historian
from cloud_api.historian.port import (
    Historian,
    HistorianError,
    SeriesBlock,
    SeriesDescription,
    Trend,
    Usage,
    WaveformRecord,
)

__all__ = [
    "Historian",
    "HistorianError",
    "Retention",
    "SeriesBlock",
    "SeriesDescription",
    "Trend",
    "Usage",
    "WaveformRecord",
    "open_historian",
]
