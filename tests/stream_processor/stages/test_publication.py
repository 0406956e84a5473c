"""Captured waveforms reach the historian with the times that they were measured at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.stages import STAGES
from stream_processor.stages.publication import Publication, captured_points, waveform_id

CHANNELS = (
    ChannelInfo("Vibration", "m/s2", 3200.0, "acceleration"),
    ChannelInfo("Axial", "m/s2", 3200.0, "acceleration"),
    ChannelInfo("Temperature", "degC", 1.0, "temperature"),
)
INFO = EquipmentInfo(
    "riverside", "gw-1", "P-101", "pump", "a/b", "live", {c.name: c for c in CHANNELS}
)


def test_each_waveform_of_a_captured_frame_is_a_message() -> None:
    samples = {name: np.arange(n, dtype=float) for name, n in (("Vibration", 4), ("Axial", 3))}
    frame = Frame(
        INFO,
        1_000_000,
        2_000_000,
        {**samples, "Temperature": np.array([20.0]), "Unknown": np.zeros(2)},
        capture="1000500 loud",
        late=True,
        offsets_ms={"Axial": 250},
    )

    found = captured_points(frame)

    assert [(p.equipment, p.sent_time_ms, len(p.aggregates)) for p in found] == [
        ("P-101", 2_000_000, 0)
    ] * 2
    first, second = (p.waveforms[0] for p in found)
    assert (first.channel, first.start_time_ms) == ("Vibration", 1_000_000)
    assert (second.channel, second.start_time_ms) == ("Axial", 1_000_250)
    assert second.waveform_id == waveform_id(frame, "Axial")
    # What lies before in the same block may come by itself, and is another.
    assert second.waveform_id != waveform_id(replace(frame, offsets_ms={}), "Axial")
    assert np.frombuffer(second.samples, "<f4").tolist() == [0.0, 1.0, 2.0]


def test_one_observation_is_written_as_its_series_are(
    scenario_frames: Callable[..., Iterator[Frame]],
) -> None:
    stages = [stage() for _, stage in STAGES[:-1]]
    publication = Publication()
    found: dict[str, tuple[str, float, list[float]]] = {}
    due: dict[str, tuple[str, float, list[float]]] = {}
    for at, frame in enumerate(scenario_frames("bearing-wear", minutes=10)):
        if at == 2:
            lost = frame.samples | {next(iter(frame.samples)): np.full(9, np.nan)}
            frame = replace(frame, samples=lost)
        item: Any = frame
        for stage in stages:
            item = stage.update(item)
        detections = item.assessment.detections
        (observed,), known = detections.features.observations, detections.features.catalogue
        places = (
            *zip(known.features, observed.values, observed.coverage, strict=True),
            *zip(known.trends, observed.trends, observed.trend_coverage, strict=True),
        )
        due = {
            f.series: (f.unit, value, [float(np.float32(share))])
            for f, value, share in places
            if f.name != "mean" and value == value
        }
        (deviation,), (condition,) = detections.deviations, item.assessment.conditions
        for channel, ratio in zip(known.watched_slow, deviation.drift_ratio, strict=True):
            due[f"{channel}/drift"] = ("1", ratio, [])
        due["combination"] = ("1", deviation.forest_ratio, [])
        due["surprise"] = ("1", deviation.surprise_ratio, [])
        due |= {"score": ("1", condition.severity, []), "health": ("1", condition.health, [])}

        points = publication.points_of(item)

        found = {s.name: (s.unit, s.value[0], list(s.coverage)) for s in points.series}
        assert found == due
        assert {t for s in points.series for t in s.time_ms} == {observed.time_ms}
    assert len(found) > 20
