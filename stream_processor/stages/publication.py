"""What the historian and the live view get of a frame."""

from __future__ import annotations

import hashlib

import numpy as np

from stream_processor.frames import Frame
from stream_processor.kernels.blocks import one_second_aggregates
from stream_processor.stages.catalogue import BANDS, is_waveform
from stream_processor.stages.items import Catalogue, FeatureInfo, Features, Outlook
from stream_processor.stages.series_template import SeriesTemplate
from stream_processor.v1.points_pb2 import Points, Waveform

# What is said of each observation as a whole, by name and unit.
_JUDGEMENT = (
    ("combination", "1"),
    ("surprise", "1"),
    ("score", "1"),
    ("health", "1"),
    ("remaining_life_hours", "h"),
)
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


class Publication:
    """Write what is known of one machine's frames, by the form of its catalogue."""

    def __init__(self) -> None:
        self._known: Catalogue | None = None

    def _form(self, known: Catalogue) -> SeriesTemplate:
        if known is not self._known:
            self._known = known
            # A reading is in its channel's aggregate already.
            shown = [j for j, feature in enumerate(known.features) if feature.name != "mean"]
            self._shown = np.array(shown, dtype=np.int64)
            series = [(f.series, f.unit) for f in (*known.features, *known.trends)]
            names = [series[j] for j in shown] + series[len(known.features) :]
            own = [(f"{channel}/drift", "1") for channel in known.watched_slow]
            self._template = SeriesTemplate([*names, *own, *_JUDGEMENT], len(names))
        return self._template

    def points_of(self, outlook: Outlook) -> Points:
        """Return the aggregates, features, score, health and remaining life of a frame."""
        features = outlook.assessment.detections.features
        points = _points(features.frame)
        _add_aggregates(points, features.frame)
        if len(features.observations) == 1:
            self._add_one(points, outlook)
        else:
            _add_features(points, features, features.catalogue.trends)
            _add_judgement(points, outlook)
        return points

    def _add_one(self, points: Points, outlook: Outlook) -> None:
        """Add what `_add_features` and `_add_judgement` do, of the only observation of a frame."""
        detections = outlook.assessment.detections
        template = self._form(detections.features.catalogue)
        (observation,), (deviation,) = detections.features.observations, detections.deviations
        (condition,), (remaining,) = outlook.assessment.conditions, outlook.remaining
        judgement = (
            deviation.forest_ratio,
            deviation.surprise_ratio,
            condition.severity,
            condition.health,
            remaining.median if remaining is not None else np.nan,
        )
        shown = self._shown
        values = np.concatenate(
            (observation.values[shown], observation.trends, deviation.drift_ratio, judgement)
        )
        coverage = np.concatenate((observation.coverage[shown], observation.trend_coverage))
        points.MergeFromString(template.fill(observation.time_ms, values, coverage))


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
        # Few enough for Python's numbers to be faster than arrays.
        whole = max(1.0, np.floor(rate + 1e-9))
        seconds = [(i, *row) for i, row in enumerate(found.T.tolist()) if row[3] > 0.0]
        points.aggregates.add(
            channel=name,
            unit=declared.unit,
            time_ms=[start + round(i * step_ms) for i, *_ in seconds],
            mean=[row[1] for row in seconds],
            minimum=[row[2] for row in seconds],
            maximum=[row[3] for row in seconds],
            count=[int(row[4]) for row in seconds],
            coverage=[min(row[4] / whole, 1.0) for row in seconds],
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
    conditions = outlook.assessment.conditions
    judgement = (
        [d.forest_ratio for d in deviations],
        [d.surprise_ratio for d in deviations],
        [c.severity for c in conditions],
        [c.health for c in conditions],
        [r.median if r is not None else float("nan") for r in outlook.remaining],
    )
    for (name, unit), values in zip(_JUDGEMENT, judgement, strict=True):
        add_series(points, name, unit, times, values)


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
