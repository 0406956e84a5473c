"""What the historian keeps, as Prometheus is told."""

from __future__ import annotations

from cloud_api.counters import (
    HISTORIAN_BYTES,
    HISTORIAN_EXPIRED,
    HISTORIAN_ROWS,
    HISTORIAN_WAVEFORM_BYTES,
)
from cloud_api.historian import Usage


def show(usage: Usage) -> None:
    """Set the gauges; what the store does not tell is left out."""
    HISTORIAN_EXPIRED.set(usage.expired)
    for level, rows in (
        ("points", usage.points),
        ("unsettled", usage.unsettled),
        ("minutes", usage.minutes),
        ("hours", usage.hours),
        ("waveforms", usage.waveforms),
    ):
        if rows >= 0:
            HISTORIAN_ROWS.labels(level).set(rows)
    for kind, size in (("used", usage.bytes_used), ("free", usage.bytes_free)):
        if size >= 0:
            HISTORIAN_BYTES.labels(kind).set(size)
    if usage.waveform_bytes >= 0:
        HISTORIAN_WAVEFORM_BYTES.set(usage.waveform_bytes)
