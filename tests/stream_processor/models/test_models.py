from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly, drift

from stream_processor.models import Baseline, DriftMonitor, HalfSpaceForest
from stream_processor.models.signal import SignalMonitor

NONE = np.array([-1], dtype=np.int64)
TOLERANCE = np.array([0.01])


def feed(model: Baseline, drivers: np.ndarray, targets: np.ndarray) -> np.ndarray:
    scored = model.update(drivers, targets, np.full(targets.size, 0.01))
    model.learn(targets, scored.smoothed / 4.0, 4000.0)
    return scored.score


def test_the_baseline_learns_how_a_feature_follows_its_drivers():
    random = np.random.default_rng(1)
    model = Baseline(2, NONE)
    for _ in range(400):
        d = np.array([50.0, 20.0]) * (1 + 0.05 * random.normal(size=2))
        feed(model, d, np.array([0.1 * d[0] - 0.05 * d[1]]) + 0.01 * random.normal(size=1))
    d = np.array([52.0, 19.0])
    good = model.update(d, np.array([0.1 * 52.0 - 0.05 * 19.0]), TOLERANCE)
    assert abs(good.residual[0]) < 0.01
    bad = model.update(d, np.array([0.1 * 52.0 - 0.05 * 19.0 + 0.5]), TOLERANCE)
    assert bad.score[0] > 10


def test_a_driver_is_compared_with_the_other_drivers():
    random = np.random.default_rng(2)
    model = Baseline(2, np.array([0], dtype=np.int64))
    for _ in range(400):
        flow = 60.0 * (1 + 0.05 * random.normal())
        feed(model, np.array([flow, 0.3 * flow + 0.02 * random.normal()]), np.array([flow]))
    usual = model.update(np.array([63.0, 18.9]), np.array([63.0]), np.array([0.5]))
    assert abs(usual.residual[0]) < 0.5
    off = model.update(np.array([63.0, 17.0]), np.array([63.0]), np.array([0.5]))
    assert off.residual[0] > 4.0


def test_the_deviation_widens_where_the_machine_has_not_been():
    random = np.random.default_rng(3)
    model = Baseline(1, NONE)
    for _ in range(100):
        d = np.array([50.0 + 0.2 * random.normal()])
        feed(model, d, np.array([1.0 + 0.05 * random.normal()]))
    near = model.update(np.array([50.0]), np.array([1.0]), TOLERANCE).deviation[0]
    far = model.update(np.array([80.0]), np.array([1.0]), TOLERANCE).deviation[0]
    assert far > 3 * near


def test_a_fault_that_grows_under_the_limit_is_not_learnt():
    random = np.random.default_rng(4)
    model = Baseline(0, NONE)
    none = np.zeros(0)
    for _ in range(300):
        feed(model, none, 1.0 + 0.02 * random.normal(size=1))
    before = model.state()["statistics"][1, 0]
    for i in range(100):
        feed(model, none, 1.0 + 0.005 * i + 0.02 * random.normal(size=1))
    assert model.state()["statistics"][1, 0] < 2.0 * before
    assert model.update(none, np.array([1.5]), TOLERANCE).residual[0] > 0.4


def test_a_baseline_is_restored_to_the_last_bit():
    random = np.random.default_rng(5)
    model = Baseline(1, NONE)
    for _ in range(60):
        feed(model, random.normal(10, 1, 1), random.normal(2, 0.1, 1))
    other = Baseline.restore(pickle.loads(pickle.dumps(model.state())))
    for _ in range(20):
        d, y = random.normal(10, 1, 1), random.normal(2, 0.1, 1)
        assert feed(model, d, y).tolist() == feed(other, d, y).tolist()


@given(seed=st.integers(0, 10_000), shift=st.sampled_from((-3.0, -1.0, 0.0, 1.0, 3.0)))
@settings(max_examples=40, deadline=None)
def test_the_drift_monitor_says_what_river_says_and_survives_its_state(seed, shift):
    random = np.random.default_rng(seed)
    x = random.normal(size=(400, 2)) + np.repeat((0.0, shift), 200)[:, None] * (1.0, -1.0)
    x[random.random(x.shape) < 0.05] = np.nan
    peers = [
        drift.PageHinkley(min_instances=60, delta=0.5, threshold=60.0, alpha=1.0 - 1.0 / 500.0)
        for _ in range(2)
    ]
    monitor = DriftMonitor(2)
    for row in x:
        ratios = monitor.update(row)
        monitor = DriftMonitor.restore(pickle.loads(pickle.dumps(monitor.state())))
        for peer, value, ratio in zip(peers, row.tolist(), ratios, strict=True):
            if not np.isnan(value):
                peer.update(value)
            assert peer.drift_detected == (abs(ratio) > 1.0)


def test_tests_of_drift_go_with_their_series():
    monitor = DriftMonitor(2)
    for _ in range(100):
        monitor.update(np.array([0.0, 1.0]))
    rises = [monitor.update(np.array([0.0, 9.0])) for _ in range(5)][-1]
    relaid = monitor.relaid(np.array([1, -1, 0]))
    # What is no number moves nothing.
    assert relaid.update(np.full(3, np.nan)).tolist() == [rises[1], 0.0, rises[0]]


def test_the_flat_forest_ranks_outliers_as_well_as_river_in_a_fraction_of_the_bytes():
    random = np.random.default_rng(7)
    ours = HalfSpaceForest(3)
    peer = anomaly.HalfSpaceTrees(n_trees=8, height=6, window_size=250, seed=1)
    for x in np.clip(random.normal(0.5, 0.06, size=(1000, 3)), 0, 1):
        ours.learn_one(x)
        peer.learn_one(dict(enumerate(x.tolist())))
    usual = np.clip(random.normal(0.5, 0.06, size=(200, 3)), 0, 1)
    strange = random.uniform(0, 1, size=(200, 3))

    def area(score) -> float:
        low = np.array([score(x) for x in usual])
        high = np.array([score(x) for x in strange])
        return float((high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean())

    theirs = area(lambda x: peer.score_one(dict(enumerate(x.tolist()))))
    assert area(ours.score_one) > theirs - 0.03
    assert 10 * len(pickle.dumps(ours.state())) < len(pickle.dumps(peer))
    again = HalfSpaceForest.restore(pickle.loads(pickle.dumps(ours.state())))
    assert [again.score_one(x) for x in usual] == [ours.score_one(x) for x in usual]


def counts(value: float) -> np.ndarray:
    return np.array([value])


@pytest.mark.parametrize(
    ("name", "missing", "run", "spikes"),
    [("dropout", 30.0, 1.0, 0.0), ("stuck", 0.0, 200.0, 0.0), ("spike", 0.0, 1.0, 4.0)],
)
def test_each_sensor_fault_has_its_sign(name, missing, run, spikes):
    monitor = SignalMonitor(1)
    for _ in range(10):
        monitor.learn(counts(60.0), counts(0.0), counts(1.0), counts(0.0))
    recent = counts(60.0)
    good = monitor.update(counts(60.0), counts(0.0), counts(1.0), counts(0.0), recent)
    assert max(good.dropout[0], good.stuck[0], good.spike[0]) < 0.5
    bad = monitor.update(counts(60.0), counts(missing), counts(run), counts(spikes), recent)
    found = {n: getattr(bad, n)[0] for n in ("dropout", "stuck", "spike")}
    assert found[name] >= 1.0
    assert max(v for n, v in found.items() if n != name) < 0.5


@pytest.mark.parametrize(
    "model", [Baseline(0, NONE), DriftMonitor(1), HalfSpaceForest(1), SignalMonitor(1)]
)
def test_a_state_of_the_future_is_refused(model):
    with pytest.raises(ValueError, match="schema 99"):
        type(model).restore(model.state() | {"schema": 99})
