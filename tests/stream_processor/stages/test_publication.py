"""Captured waveforms reach the historian with the times that they were measured at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.stages.publication import captured_points, waveform_id

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
