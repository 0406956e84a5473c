"""What the historian and the live view get of a frame."""

from __future__ import annotations

import hashlib

import numpy as np

from stream_processor.frames import Frame
from stream_processor.kernels.blocks import one_second_aggregates
from stream_processor.stages.catalogue import is_waveform
from stream_processor.stages.items import Outlook
from stream_processor.v1.points_pb2 import Points, Waveform


def waveform_id(frame: Frame, channel: str) -> str:
    """Return the id of a stored block: a function of machine, channel and event time."""
    start_ms = frame.start_time_ms + frame.offsets_ms.get(channel, 0)
    cause = "\n".join((frame.info.site, frame.info.equipment, channel, str(start_ms)))
    return hashlib.sha256(cause.encode()).hexdigest()[:24]


def waveform(frame: Frame, channel: str) -> Waveform:
    """Return a channel's block as it is stored around an event."""
    declared = frame.info.channels[channel]
    return Waveform(
        waveform_id=waveform_id(frame, channel),
        channel=channel,
        unit=declared.unit,
        start_time_ms=frame.start_time_ms + frame.offsets_ms.get(channel, 0),
        sample_rate_hz=declared.sample_rate_hz,
        samples=frame.samples[channel].astype("<f4").tobytes(),
    )


def captured_points(frame: Frame) -> list[Points]:
    """Return the waveforms of a captured frame, a message each: they are long."""
    found = []
    for name, samples in frame.samples.items():
        declared = frame.info.channels.get(name)
        if declared is not None and samples.size and is_waveform(declared):
            found.append(_points(frame))
            found[-1].waveforms.append(waveform(frame, name))
    return found


def _points(frame: Frame) -> Points:
    info = frame.info
    return Points(
        site=info.site,
        edge_node=info.edge_node,
        equipment=info.equipment,
        equipment_class=info.equipment_class,
        equipment_path=info.path,
        sent_time_ms=frame.sent_time_ms,
    )


def points_of(outlook: Outlook) -> Points:
    """Return the aggregates, features, score, health and remaining life of a frame."""
    features = outlook.assessment.detections.features
    frame = features.frame
    info = frame.info
    points = _points(frame)
    for name, samples in frame.samples.items():
        declared = info.channels.get(name)
        if declared is None or not samples.size:
            continue
        rate = declared.sample_rate_hz
        step_ms = 1000.0 if rate > 1.0 else 1000.0 / rate
        found = one_second_aggregates(samples, rate)
        start = frame.start_time_ms + frame.offsets_ms.get(name, 0)
        times = start + np.rint(np.arange(found.shape[1]) * step_ms).astype(np.int64)
        known = found[3] > 0
        points.aggregates.add(
            channel=name,
            unit=declared.unit,
            time_ms=times[known].tolist(),
            mean=found[0, known].tolist(),
            minimum=found[1, known].tolist(),
            maximum=found[2, known].tolist(),
            count=found[3, known].astype(np.int64).tolist(),
        )
    _add_series(points, outlook)
    return points


def _add_series(points: Points, outlook: Outlook) -> None:
    """Add features, trends, score, health and remaining life, a value an observation."""
    features = outlook.assessment.detections.features
    times = [o.time_ms for o in features.observations]
    if not times:
        return
    known = features.catalogue
    watched = np.array([o.values for o in features.observations])
    shown = np.array([o.trends for o in features.observations])
    for infos, table in ((known.features, watched), (known.trends, shown)):
        for j, feature in enumerate(infos):
            # A reading is in its channel's aggregate already.
            if feature.name == "mean":
                continue
            _add(points, feature.series, feature.unit, times, table[:, j].tolist())
    deviations = outlook.assessment.detections.deviations
    for i, channel in enumerate(known.watched_slow):
        _add(points, f"{channel}/drift", "1", times, [float(d.drift_ratio[i]) for d in deviations])
    _add(points, "combination", "1", times, [d.forest_ratio for d in deviations])
    conditions = outlook.assessment.conditions
    _add(points, "score", "1", times, [c.severity for c in conditions])
    _add(points, "health", "1", times, [c.health for c in conditions])
    hours = [r.median if r is not None else float("nan") for r in outlook.remaining]
    _add(points, "remaining_life_hours", "h", times, hours)


def _add(points: Points, name: str, unit: str, times: list[int], values: list[float]) -> None:
    """Add a series of the values that are numbers, if there are any."""
    known = [(t, v) for t, v in zip(times, values, strict=True) if v == v]
    if known:
        points.series.add(
            name=name, unit=unit, time_ms=[t for t, _ in known], value=[v for _, v in known]
        )
