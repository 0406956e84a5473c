"""Windows by event time, coverage, and what a change of sampling rate or of time ends."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.stages.continuity import SHORT_BLOCKS
from stream_processor.stages.items import Features, Observation
from stream_processor.stages.manipulation import WINDOW, Manipulation

START = 1_700_000_000_000
NAN = float("nan")


def machine(rate_hz: float = 1.0, waveform_hz: float = 0.0) -> EquipmentInfo:
    channels = {"Level": ChannelInfo("Level", "%", rate_hz, "level")}
    if waveform_hz:
        channels["Vibration"] = ChannelInfo("Vibration", "m/s2", waveform_hz, "acceleration")
    return EquipmentInfo("s", "n", "T-1", "tank", "", "live", channels, {"Nominal Speed": 25.0})


def level(at_s: float, *values: float, rate_hz: float = 1.0) -> Frame:
    at = START + round(at_s * 1000)
    return Frame(machine(rate_hz), at, at, {"Level": np.array(values, dtype=np.float64)})


def last(features: Features) -> Observation:
    return features.observations[-1]


def rolled(features: Features) -> tuple[float, float, float]:
    """Return rolling mean, rolling maximum and their coverage at the end of a frame."""
    found = last(features)
    assert found.trend_coverage[0] == found.trend_coverage[3]
    return float(found.trends[0]), float(found.trends[3]), float(found.trend_coverage[0])


def feed(stage: Manipulation, *frames: Frame) -> Features:
    for frame in frames:
        made = stage.update(frame)
    return made


def test_a_window_is_of_time_not_of_samples() -> None:
    stage = Manipulation()
    made = feed(stage, level(0, *[10.0] * 30), level(50, *[20.0] * 20))
    # Seconds 10 to 69: of twenty nothing is known.
    assert rolled(made) == (pytest.approx((20 * 10 + 20 * 20) / 40), 20.0, pytest.approx(40 / 60))
    made = feed(stage, level(70, *[20.0] * 20))
    assert rolled(made) == (20.0, 20.0, pytest.approx(40 / 60))


@pytest.mark.parametrize("to_s", [30 + WINDOW + 1, 10_000, -3600, 20])
def test_after_a_longer_gap_and_back_in_time_windows_begin_anew(to_s: int) -> None:
    made = feed(Manipulation(), level(0, *[10.0] * 30), level(to_s, 20.0, 20.0))
    assert rolled(made) == (20.0, 20.0, pytest.approx(2 / WINDOW))


def test_a_trembling_clock_makes_no_gap() -> None:
    stage = Manipulation()
    for second in range(200):
        jitter = (0.3, -0.4, 0.45)[second % 3]
        made = feed(stage, level(second + jitter, float(second % 7)))
    assert rolled(made)[2] == 1.0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=200), st.data())
def test_a_rolling_mean_is_that_of_the_samples_in_its_minute(
    values: Sequence[float], data: st.DataObject
) -> None:
    """However a signal is cut into frames, and whatever frames are missing."""
    stage, at, known = Manipulation(), 0, dict[int, float]()
    while at < len(values):
        size = data.draw(st.integers(1, 40))
        part = values[at : at + size]
        if data.draw(st.booleans()) or not known:
            made = feed(stage, level(at, *part))
            known |= dict(enumerate(part, at))
            end = at + len(part) - 1
            inside = [v for t, v in known.items() if end - WINDOW < t <= end]
            mean, _, coverage = rolled(made)
            assert mean == pytest.approx(np.mean(inside), abs=1e-9)
            assert coverage == pytest.approx(len(inside) / WINDOW)
        if data.draw(st.booleans()):
            stage = Manipulation.restore(pickle.loads(pickle.dumps(stage.state())))
        at += size


def test_samples_of_two_rates_are_in_no_window_together() -> None:
    stage = Manipulation()
    made = feed(stage, level(0, *[10.0] * 60), level(60, *[30.0] * 5, rate_hz=5.0))
    assert rolled(made) == (30.0, 30.0, pytest.approx(5 / WINDOW))
    made = feed(stage, level(61, *[30.0] * 55, rate_hz=5.0))
    assert rolled(made) == (30.0, 30.0, 1.0)


def vibration(at_s: float, samples: np.ndarray, rate_hz: float = 3200.0) -> Frame:
    at = START + round(at_s * 1000)
    info = machine(waveform_hz=rate_hz)
    return Frame(info, at, at, {"Vibration": samples, "Level": np.array([50.0, NAN])})


def test_coverage_is_the_share_of_a_window_that_was_measured() -> None:
    random = np.random.default_rng(1)
    stage = Manipulation()
    whole = last(feed(stage, vibration(0, random.normal(size=3200))))
    assert set(whole.coverage) == {1.0}, "the level of the waveform's second is known"
    torn = random.normal(size=3200)
    torn[:800] = NAN
    assert last(feed(stage, vibration(1, torn))).coverage[0] == 0.75
    few = last(feed(stage, vibration(2, random.normal(size=320))))
    assert few.coverage[0] == 0.1
    assert last(feed(stage, level(3, 50.0))).coverage[0] == 1.0


def test_blocks_that_stay_shorter_are_whole_in_the_end() -> None:
    random = np.random.default_rng(2)
    stage = Manipulation()
    feed(stage, vibration(0, random.normal(size=3200)))
    shares = [
        last(feed(stage, vibration(1 + n, random.normal(size=800)))).coverage[0]
        for n in range(SHORT_BLOCKS + 1)
    ]
    assert shares == [0.25] * (SHORT_BLOCKS - 1) + [1.0, 1.0]


def test_a_state_of_a_version_before_is_read() -> None:
    stage = Manipulation()
    feed(stage, level(0, *[10.0] * 60))
    state = stage.state() | {"schema": 1}
    del state["continuity"]
    made = feed(Manipulation.restore(state), level(60, 70.0))
    assert rolled(made) == (pytest.approx(11.0), 70.0, 1.0)
