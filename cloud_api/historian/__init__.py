"""What was measured, kept: one port, two stores behind it."""

from __future__ import annotations

from cloud_api.historian.open import open_historian
from cloud_api.historian.port import (
    Historian,
    HistorianError,
    SeriesBlock,
    SeriesDescription,
    Trend,
    WaveformRecord,
)

__all__ = [
    "Historian",
    "HistorianError",
    "SeriesBlock",
    "SeriesDescription",
    "Trend",
    "WaveformRecord",
    "open_historian",
]
