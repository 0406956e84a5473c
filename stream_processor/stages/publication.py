"""What the historian and the live view get of a frame."""

from __future__ import annotations

import hashlib

import numpy as np

from stream_processor.frames import Frame
from stream_processor.kernels.blocks import one_second_aggregates
from stream_processor.stages.catalogue import BANDS, is_waveform
from stream_processor.stages.items import FeatureInfo, Features, Outlook
from stream_processor.v1.points_pb2 import Points, Waveform

# The most that the field holds: seven weeks.
MOST_INTERVAL_MS = (1 << 32) - 1


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
        late=frame.late,
    )


def points_of(outlook: Outlook) -> Points:
    """Return the aggregates, features, score, health and remaining life of a frame."""
    features = outlook.assessment.detections.features
    points = _points(features.frame)
    _add_aggregates(points, features.frame)
    _add_features(points, features, features.catalogue.trends)
    _add_judgement(points, outlook)
    return points


def late_points(features: Features) -> Points:
    """Return what is known of a late frame by itself: aggregates, and features without history."""
    points = _points(features.frame)
    _add_aggregates(points, features.frame)
    known = features.catalogue
    _add_features(points, features, known.trends[: len(known.vibration) * len(BANDS)])
    return points


def _add_aggregates(points: Points, frame: Frame) -> None:
    """Add the one-second aggregates of each channel: a function of the frame alone."""
    for name, samples in frame.samples.items():
        declared = frame.info.channels.get(name)
        if declared is None or not samples.size:
            continue
        rate = declared.sample_rate_hz
        step_ms = 1000.0 if rate > 1.0 else 1000.0 / rate
        found = one_second_aggregates(samples, rate)
        start = frame.start_time_ms + frame.offsets_ms.get(name, 0)
        times = start + np.rint(np.arange(found.shape[1]) * step_ms).astype(np.int64)
        known = found[3] > 0
        count = found[3, known]
        points.aggregates.add(
            channel=name,
            unit=declared.unit,
            time_ms=times[known].tolist(),
            mean=found[0, known].tolist(),
            minimum=found[1, known].tolist(),
            maximum=found[2, known].tolist(),
            count=count.astype(np.int64).tolist(),
            coverage=np.minimum(count / max(1.0, np.floor(rate + 1e-9)), 1.0).tolist(),
            interval_ms=min(round(step_ms), MOST_INTERVAL_MS),
        )


def _add_features(points: Points, features: Features, trends: tuple[FeatureInfo, ...]) -> None:
    """Add the features and the first of the trends, a value an observation, with its coverage."""
    times = [o.time_ms for o in features.observations]
    if not times:
        return
    known = features.catalogue
    watched = np.array([o.values for o in features.observations])
    shown = np.array([o.trends for o in features.observations])
    coverage = np.array([o.coverage for o in features.observations])
    shown_coverage = np.array([o.trend_coverage for o in features.observations])
    for infos, table, shares in (
        (known.features, watched, coverage),
        (trends, shown, shown_coverage),
    ):
        for j, feature in enumerate(infos):
            # A reading is in its channel's aggregate already.
            if feature.name != "mean":
                values, share = table[:, j].tolist(), shares[:, j].tolist()
                add_series(points, feature.series, feature.unit, times, values, share)


def _add_judgement(points: Points, outlook: Outlook) -> None:
    """Add drift, combination, score, health and remaining life, a value an observation."""
    features = outlook.assessment.detections.features
    times = [o.time_ms for o in features.observations]
    known = features.catalogue
    deviations = outlook.assessment.detections.deviations
    for i, channel in enumerate(known.watched_slow):
        add_series(
            points, f"{channel}/drift", "1", times, [float(d.drift_ratio[i]) for d in deviations]
        )
    add_series(points, "combination", "1", times, [d.forest_ratio for d in deviations])
    conditions = outlook.assessment.conditions
    add_series(points, "score", "1", times, [c.severity for c in conditions])
    add_series(points, "health", "1", times, [c.health for c in conditions])
    hours = [r.median if r is not None else float("nan") for r in outlook.remaining]
    add_series(points, "remaining_life_hours", "h", times, hours)


def add_series(
    points: Points,
    name: str,
    unit: str,
    times: list[int],
    values: list[float],
    coverage: list[float] | None = None,
) -> None:
    """Add a series of the values that are numbers, if there are any."""
    known = [i for i, value in enumerate(values) if value == value]
    if known:
        points.series.add(
            name=name,
            unit=unit,
            time_ms=[times[i] for i in known],
            value=[values[i] for i in known],
            coverage=[] if coverage is None else [coverage[i] for i in known],
        )
