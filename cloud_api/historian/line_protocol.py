"""InfluxDB's line protocol, for what the historian writes; times are milliseconds.

Written here and not by the client library, which takes thirty times as long for it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_api.historian.flux import POINTS, SERIES, WAVEFORMS
from cloud_api.historian.port import SeriesBlock, WaveformRecord

PIECE_BYTES = 32_768
LARGEST = np.finfo(np.float64).max
_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\ ", "\\": "\\\\"})
_TEXT = str.maketrans({'"': '\\"', "\\": "\\\\"})


def key(measurement: str, **tags: str) -> str:
    """Return a line's beginning; a tag without a value is left out, as the protocol asks for."""
    pairs = (f",{name}={value.translate(_TAG)}" for name, value in tags.items() if value)
    return measurement + "".join(pairs)


def text(value: str) -> str:
    """Return a field's value that is text."""
    return f'"{value.translate(_TEXT)}"'


def series_line(block: SeriesBlock) -> str:
    """Return what describes a series: one point at time zero."""
    head = key(SERIES, site=block.site, equipment=block.equipment, series=block.series)
    said = f"unit={text(block.unit)},aggregated={'true' if block.aggregated else 'false'}"
    return f"{head} {said},interval_ms={block.interval_ms}i 0"


def point_lines(block: SeriesBlock, chosen: NDArray[np.bool_]) -> Iterator[str]:
    """Yield the chosen points of a block."""
    head = key(POINTS, site=block.site, equipment=block.equipment, series=block.series)
    value = block.value[chosen]
    low = value if block.minimum is None else block.minimum[chosen]
    high = value if block.maximum is None else block.maximum[chosen]
    count = np.ones(value.size, np.int64) if block.count is None else block.count[chosen]
    count = np.maximum(count, 1)
    with np.errstate(over="ignore"):
        total = np.clip(value * count, -LARGEST, LARGEST)
    columns: list[list[Any]] = [
        column.tolist() for column in (value, low, high, total, count, block.time_ms[chosen])
    ]
    measured = [""] * value.size
    if block.coverage is not None and block.interval_ms:
        known = (block.coverage[chosen] * float(block.interval_ms)).tolist()
        measured = [f",measured_ms={m!r}" if m == m else "" for m in known]
    for v, lo, hi, sum_, n, time, rest in zip(*columns, measured, strict=True):
        yield (
            f"{head} value={v!r},minimum={lo!r},maximum={hi!r},total={sum_!r},"
            f"count={n}i,points=1i{rest} {time}"
        )


def waveform_lines(record: WaveformRecord) -> Iterator[str]:
    """Yield a waveform in pieces: a string field holds 64 KiB."""
    samples = record.samples.astype("<f4").tobytes()
    for piece, start in enumerate(range(0, max(len(samples), 1), PIECE_BYTES)):
        head = key(
            WAVEFORMS,
            waveform_id=record.waveform_id,
            piece=str(piece),
            site=record.site,
            equipment=record.equipment,
            channel=record.channel,
        )
        encoded = base64.b64encode(samples[start : start + PIECE_BYTES]).decode()
        yield (
            f"{head} unit={text(record.unit)},sample_rate_hz={float(record.sample_rate_hz)!r},"
            f"samples={text(encoded)} {record.start_time_ms}"
        )
