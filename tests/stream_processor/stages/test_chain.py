from __future__ import annotations

import pickle

import numpy as np
import pytest

from stream_processor.stages import STAGES
from stream_processor.v1.alert_pb2 import AdvisoryState, Severity


@pytest.mark.parametrize(
    ("scenario", "mode"),
    [
        ("bearing-wear", "bearing_outer_race"),
        ("bearing-inner-race", "bearing_inner_race"),
        ("unbalance", "unbalance"),
        ("looseness", "looseness"),
        ("misalignment", "misalignment"),
        ("cavitation", "cavitation"),
        ("blocked-filter", "blocked_filter"),
        ("overheating", "overheating"),
        ("air-leak", "air_leak"),
        ("sensor-stuck", "sensor_stuck"),
        ("sensor-drift", "sensor_drift"),
        ("sensor-dropout", "sensor_dropout"),
        ("sensor-spike", "sensor_spike"),
    ],
)
def test_one_fault_is_one_alarm_with_its_cause(new_chain, scenario_frames, scenario, mode):
    chain = new_chain()
    for frame in scenario_frames(scenario):
        chain.feed(frame)
    assert chain.raised() == [mode]
    assert len({a.advisory_id for a in chain.said}) == 1
    assert [a.revision for a in chain.said] == list(range(1, len(chain.said) + 1))
    first = chain.said[0]
    assert first.summary.startswith(first.equipment)
    assert first.evidence.channel
    assert first.sent_time.ToMilliseconds() % 1000 == 7


def test_a_healthy_machine_raises_nothing(new_chain, scenario_frames):
    chain = new_chain()
    for frame in scenario_frames("healthy", seed=2, minutes=600):
        chain.feed(frame)
    assert chain.said == []


def test_stages_restored_at_every_frame_say_the_same(new_chain, scenario_frames):
    whole, broken = new_chain(), new_chain()
    largest = 0
    for i, frame in enumerate(scenario_frames("bearing-wear", minutes=260)):
        whole.feed(frame)
        if i % 7 == 0:
            states = [pickle.dumps(stage.state()) for stage in broken.stages]
            largest = max(largest, sum(map(len, states)))
            broken.stages = [
                stage.restore(pickle.loads(state))
                for (_, stage), state in zip(STAGES, states, strict=True)
            ]
        broken.feed(frame)
        assert broken.last_points == whole.last_points
    assert broken.said == whole.said
    assert whole.said
    assert largest < 30_000


def test_every_statement_stores_the_waveforms_it_refers_to(new_chain, scenario_frames):
    chain = new_chain()
    stored, samples = [], {}
    for frame in scenario_frames("bearing-wear", minutes=260):
        said = chain.feed(frame)
        stored += chain.last_points.waveforms
        for advisory in said:
            samples[advisory.evidence.waveform_id] = frame.samples[advisory.evidence.channel]
    assert chain.said
    assert {w.channel for w in stored} == {"Vibration Drive End", "Vibration Axial"}
    assert len({w.waveform_id for w in stored}) == len(stored) == 2 * len(chain.said)
    kept = {w.waveform_id: np.frombuffer(w.samples, "<f4") for w in stored}
    for waveform_id, sent in samples.items():
        np.testing.assert_array_equal(kept[waveform_id], sent.astype("<f4"))


def test_points_hold_aggregates_features_and_health(new_chain, scenario_frames):
    chain = new_chain()
    for frame in scenario_frames("healthy", minutes=3):
        chain.feed(frame)
    points = chain.last_points
    series = {s.name: s for s in points.series}
    assert series["health"].value[0] == 1.0
    assert {"Vibration Drive End/velocity_rms", "score", "Flow/rolling_mean"} <= series.keys()
    aggregates = {a.channel: a for a in points.aggregates}
    assert list(aggregates["Flow"].count) == [1] * 60
    vibration = aggregates["Vibration Drive End"]
    assert list(vibration.count) == [3200]
    assert vibration.minimum[0] < vibration.mean[0] < vibration.maximum[0]


def test_a_condition_that_ends_is_cleared_and_the_next_one_is_new(new_chain, recording_frames):
    random = np.random.default_rng(1)
    columns = {name: 80.0 + random.normal(size=2400) for name in ("a", "b", "c")}
    columns["a"][1000:1100] += 40.0
    columns["a"][1800:1900] += 40.0
    chain = new_chain()
    for frame in recording_frames(columns):
        chain.feed(frame)
    states = [a.state for a in chain.said]
    assert states.count(AdvisoryState.ADVISORY_STATE_RAISED) == 2
    assert states.count(AdvisoryState.ADVISORY_STATE_CLEARED) == 2
    assert len({a.advisory_id for a in chain.said}) == 2


@pytest.mark.parametrize("rows", [1, 12, 60])
def test_how_a_recording_is_cut_into_blocks_changes_nothing(new_chain, recording_frames, rows):
    random = np.random.default_rng(2)
    x = 80.0 + random.normal(size=1200)
    x[900:] -= 30.0

    def said(n: int) -> list[tuple[str, int]]:
        chain = new_chain()
        for frame in recording_frames({"value": x}, n):
            chain.feed(frame)
        return [(a.advisory_id, a.revision) for a in chain.said]

    assert said(rows) == said(1)
    assert len(said(rows)) >= 1


def test_what_a_machine_alarms_on_is_not_learnt(new_chain, recording_frames):
    x = 80.0 + np.random.default_rng(1).normal(size=1900)
    x[1000:] -= 40.0
    chain = new_chain()
    for frame in recording_frames({"value": x}):
        chain.feed(frame)
    detection = chain.stages[1]
    learnt = detection.state()["baseline"]["weights"][0, 0]
    assert learnt == pytest.approx(80.0, abs=0.5)
    assert chain.said[0].state == AdvisoryState.ADVISORY_STATE_RAISED
    assert AdvisoryState.ADVISORY_STATE_CLEARED not in [a.state for a in chain.said]
    assert chain.said[-1].severity >= Severity.SEVERITY_MEDIUM


def test_gaps_infinities_and_absent_channels_harm_nothing(new_chain, recording_frames):
    random = np.random.default_rng(4)
    columns = {"a": random.normal(5, 1, 600), "b": random.normal(9, 1, 600)}
    columns["a"][100:200] = np.nan
    columns["b"][100:200] = np.nan
    columns["a"][300] = np.inf
    chain = new_chain()
    for i, frame in enumerate(recording_frames(columns)):
        if i == 30:
            frame.samples.pop("b")
        chain.feed(frame)
    assert chain.said == []
    values = [v for s in chain.last_points.series for v in s.value]
    assert np.isfinite(values).all()


@pytest.mark.parametrize("stage", [stage for _, stage in STAGES], ids=lambda s: s.__name__)
def test_a_state_of_the_future_is_refused(stage):
    with pytest.raises(ValueError, match="schema 99"):
        stage.restore(stage().state() | {"schema": 99})
