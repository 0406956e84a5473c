"""A window is the same whatever the length of the blocks it came in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.windows import WINDOW_S, Window

START_MS = 1_767_250_800_000
DEVICE = Device(
    "P-101",
    "centrifugal_pump",
    "e/s/a/l/c",
    (Channel("Vibration", "m/s2", 3200.0), Channel("Temperature", "degC", 1.0)),
)


def slow(start_s: int, values: np.ndarray) -> Block:
    return Block("P-101", START_MS + start_s * 1000, {"Temperature": values})


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40))
def test_how_a_recording_is_cut_into_blocks_changes_nothing(lengths: list[int]) -> None:
    values = np.arange(sum(lengths), dtype=np.float32)
    window, start = Window(DEVICE), 0

    for length in lengths:
        found = window.add(slow(start, values[start : start + length])).samples
        start += length
        expected = values[max(0, start - int(WINDOW_S)) : start]
        if 2 * len(expected) >= WINDOW_S:
            np.testing.assert_array_equal(found["Temperature"], expected)
        else:
            assert "Temperature" not in found


def test_samples_that_lack_between_blocks_are_nan() -> None:
    window = Window(DEVICE)
    window.add(slow(0, np.full(50, 1.0)))

    found = window.add(slow(55, np.full(5, 2.0))).samples["Temperature"]

    assert np.isnan(found[50:55]).all()
    assert list(found[[49, 55]]) == [1.0, 2.0]


@pytest.mark.parametrize("start_s", [50 + int(WINDOW_S), -10], ids=["a long gap", "a step back"])
def test_what_does_not_belong_together_is_never_joined(start_s: int) -> None:
    window = Window(DEVICE)
    window.add(slow(0, np.full(50, 1.0)))

    assert "Temperature" not in window.add(slow(start_s, np.full(29, 2.0))).samples

    found = window.add(slow(start_s + 29, np.full(31, 2.0))).samples["Temperature"]
    assert list(found) == [2.0] * 60


def test_a_channel_mostly_missing_counts_as_missing() -> None:
    values = np.full(60, np.nan)
    values[:29] = 1.0

    assert "Temperature" not in Window(DEVICE).add(slow(0, values)).samples


def test_a_waveform_stays_as_the_block_has_it() -> None:
    window, waveform = Window(DEVICE), np.ones(3200, np.float32)
    window.add(Block("P-101", START_MS, {"Vibration": np.zeros(3200, np.float32)}))

    found = window.add(Block("P-101", START_MS + 1000, {"Vibration": waveform}))

    assert found.samples["Vibration"] is waveform
    assert found.start_time_ms == START_MS + 1000
