from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.frames import EquipmentInfo
from stream_processor.stages.advisory import advisory_id
from stream_processor.stages.diagnosis import diagnose
from stream_processor.stages.episode import (
    LONGEST_ON_DELAY,
    OFF_DELAY,
    ON_DELAY,
    UPDATE_INTERVAL,
    Episode,
)
from stream_processor.stages.health import health_of
from stream_processor.v1.alert_pb2 import FailureMode, Severity

MEDIUM, HIGH = Severity.SEVERITY_MEDIUM, Severity.SEVERITY_HIGH
UNBALANCE = FailureMode.FAILURE_MODE_UNBALANCE
LOOSENESS = FailureMode.FAILURE_MODE_LOOSENESS


def feed(episode, ratios, severity=MEDIUM, mode=UNBALANCE, certain=True):
    return [episode.step(r, severity, mode, certain, i) for i, r in enumerate(ratios)]


def test_an_alarm_waits_for_the_on_delay_and_returns_after_the_off_delay():
    episode = Episode()
    assert feed(episode, [1.2] * (ON_DELAY - 1) + [0.9]) == ["none"] * ON_DELAY
    assert feed(episode, [1.2] * ON_DELAY)[-1] == "raise"
    assert feed(episode, [0.8] * 3 * OFF_DELAY) == ["none"] * 3 * OFF_DELAY
    said = feed(episode, [0.1] * OFF_DELAY)
    assert said == ["none"] * (OFF_DELAY - 1) + ["clear"]


def test_an_unclear_cause_is_waited_for_but_not_for_ever():
    said = feed(Episode(), [1.2] * LONGEST_ON_DELAY, certain=False)
    assert said == ["none"] * (LONGEST_ON_DELAY - 1) + ["raise"]


def test_a_worse_or_better_understood_condition_is_told_at_most_so_often():
    episode = Episode()
    feed(episode, [1.2] * ON_DELAY)
    said = feed(episode, [2.5] * 100, severity=HIGH)
    assert said.count("update") == 1
    assert said.index("update") == UPDATE_INTERVAL - 1
    said = feed(episode, [2.5] * 100, severity=HIGH, mode=LOOSENESS)
    assert said.count("update") == 1
    assert episode.mode == LOOSENESS
    assert feed(episode, [1.2] * 100, severity=MEDIUM, mode=LOOSENESS).count("update") == 0


@given(st.lists(st.floats(0, 3), max_size=600))
def test_raises_and_clears_alternate_and_revisions_count_up(ratios):
    episode, revisions, last = Episode(), [], "clear"
    for i, ratio in enumerate(ratios):
        said = episode.step(ratio, MEDIUM, UNBALANCE, True, i)
        if said == "none":
            continue
        assert (said == "raise") == (last == "clear")
        revisions = [1] if said == "raise" else [*revisions, revisions[-1] + 1]
        assert episode.revision == revisions[-1]
        last = said


@given(st.lists(st.floats(0, 20), min_size=2, max_size=20))
def test_health_falls_as_severity_grows(severities):
    ordered = [health_of(s) for s in sorted(severities)]
    assert ordered == sorted(ordered, reverse=True)
    assert all(0.0 <= h <= 1.0 for h in ordered)


def test_the_id_is_a_function_of_the_cause():
    info = EquipmentInfo("s", "n1", "P-1", "pump", "", "live", {})
    other = EquipmentInfo("s", "n2", "P-1", "pump", "elsewhere", "live", {})
    assert advisory_id("r", info, 5, "m/1") == advisory_id("r", other, 5, "m/1")
    ids = {advisory_id(r, info, t, m) for r in ("r", "q") for t in (5, 6) for m in ("m/1", "m/2")}
    assert len(ids) == 8


@pytest.mark.parametrize(
    ("signs", "mode"),
    [
        ({"envelope_bpfo": 1.5, "kurtosis": 0.8}, "BEARING_OUTER_RACE"),
        ({"envelope_bpfi": 1.5, "envelope_bpfo": 0.4}, "BEARING_INNER_RACE"),
        ({"1x": 1.8, "velocity_rms": 1.5}, "UNBALANCE"),
        ({"2x": 1.8, "3x": 1.0, "1x": 0.6}, "MISALIGNMENT"),
        ({"half_x": 1.4, "3x": 1.6, "2x": 1.1, "harmonics": 1.3}, "LOOSENESS"),
        ({"floor": 1.2, "pressure:mean": -1.5, "flow:mean": -0.8}, "CAVITATION"),
        ({"differential_pressure:mean": 1.6, "flow:mean": -0.7}, "BLOCKED_FILTER"),
        ({"temperature:mean": 1.5}, "OVERHEATING"),
        ({"duty:mean": 1.5}, "AIR_LEAK"),
        ({"gear_mesh": 1.5}, "GEAR_WEAR"),
        ({"other:mean": -2.0}, "UNDETERMINED"),
        ({}, "UNDETERMINED"),
    ],
)
def test_each_failure_mode_is_known_by_its_signs(signs, mode):
    assert FailureMode.Name(diagnose(signs).mode) == f"FAILURE_MODE_{mode}"
