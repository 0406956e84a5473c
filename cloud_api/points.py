"""Read the processor's messages of points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from cloud_api.historian.port import SeriesBlock, WaveformRecord
from stream_processor.v1.points_pb2 import Points, PointsBatch


class PointsError(ValueError):
    """A message of points that cannot be used; says what is wrong with it."""


def unpack(subject: str, data: bytes) -> Sequence[Points]:
    """Return the points of a message, each of which is to be checked.

    On `points.{site}.{equipment}` are those of one block, as processors wrote them before batches.

    Raises:
        PointsError: it is no message of points.
    """
    try:
        if subject.count(".") > 1:
            return [Points.FromString(data)]
        return PointsBatch.FromString(data).points
    except DecodeError as error:
        raise PointsError(f"not a message of points: {error}") from error


def check(points: Points) -> None:
    """Check points.

    Raises:
        PointsError: they name no machine, or their arrays are not of equal length.
    """
    if not points.site or not points.equipment:
        raise PointsError("a message of points without site or equipment")
    for aggregate in points.aggregates:
        lengths = {
            len(column)
            for column in (
                aggregate.time_ms, aggregate.mean, aggregate.minimum, aggregate.maximum,
                aggregate.count,
            )
        }  # fmt: skip
        # A processor before it was told of coverage leaves it out.
        if len(lengths | {len(aggregate.coverage)} - {0}) > 1:
            raise PointsError(f"aggregate {aggregate.channel!r}: arrays of unequal length")
    for series in points.series:
        if len(series.time_ms) != len(series.value):
            raise PointsError(f"series {series.name!r}: arrays of unequal length")
    for waveform in points.waveforms:
        if not waveform.waveform_id or len(waveform.samples) % 4:
            raise PointsError("a waveform without id, or with a part of a sample")


def blocks(points: Points) -> list[SeriesBlock]:
    """Return what the historian keeps of the message besides waveforms."""
    found = [
        SeriesBlock(
            site=points.site,
            equipment=points.equipment,
            series=aggregate.channel,
            unit=aggregate.unit,
            time_ms=np.array(aggregate.time_ms, np.int64),
            value=np.array(aggregate.mean, np.float64),
            minimum=np.array(aggregate.minimum, np.float64),
            maximum=np.array(aggregate.maximum, np.float64),
            count=np.array(aggregate.count, np.int64),
            coverage=np.array(aggregate.coverage, np.float64) if aggregate.coverage else None,
            interval_ms=aggregate.interval_ms,
        )
        for aggregate in points.aggregates
    ]
    found += [
        SeriesBlock(
            site=points.site,
            equipment=points.equipment,
            series=series.name,
            unit=series.unit,
            time_ms=np.array(series.time_ms, np.int64),
            value=np.array(series.value, np.float64),
        )
        for series in points.series
    ]
    return found


def waveforms(points: Points) -> list[WaveformRecord]:
    """Return the waveforms of the message."""
    return [
        WaveformRecord(
            waveform_id=waveform.waveform_id,
            site=points.site,
            equipment=points.equipment,
            channel=waveform.channel,
            unit=waveform.unit,
            start_time_ms=waveform.start_time_ms,
            sample_rate_hz=waveform.sample_rate_hz,
            samples=np.frombuffer(waveform.samples, "<f4"),
        )
        for waveform in points.waveforms
    ]


def live_message(points: Points) -> dict[str, Any]:
    """Return what a browser is sent (docs/contracts.md); what is no number is null."""
    return {
        "type": "points",
        "site": points.site,
        "equipment": points.equipment,
        "equipmentClass": points.equipment_class,
        "path": points.equipment_path,
        "sentTimeMs": points.sent_time_ms,
        "aggregates": [
            {
                "channel": a.channel,
                "unit": a.unit,
                "timeMs": list(a.time_ms),
                "mean": _numbers(a.mean),
                "minimum": _numbers(a.minimum),
                "maximum": _numbers(a.maximum),
            }
            for a in points.aggregates
        ],
        "series": [
            {"name": s.name, "unit": s.unit, "timeMs": list(s.time_ms), "value": _numbers(s.value)}
            for s in points.series
        ],
    }


def _numbers(values: Any) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
