from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.kernels.first_passage import passage_probability, passage_quantiles
from stream_processor.models.degradation import MOST_HOURS, Degradation

distances = st.floats(0.1, 100.0)
drifts = st.floats(-2.0, 5.0)
spreads = st.floats(0.0, 2.0)
diffusions = st.floats(1e-9, 10.0)
hours = st.floats(1e-3, 1e3)


@settings(deadline=None)
@given(distance=st.floats(0.5, 20.0), drift=st.floats(0.2, 5.0), diffusion=st.floats(0.01, 2.0))
def test_a_known_drift_is_the_inverse_gaussian_distribution(distance, drift, diffusion):
    # Chhikara and Folks 1989: its mean, and its density, which integrates to one.
    t = np.geomspace(1e-4, 1e4, 20_001) * distance / drift
    density = (
        distance
        / np.sqrt(2.0 * np.pi * diffusion * t**3)
        * np.exp(-((distance - drift * t) ** 2) / (2.0 * diffusion * t))
    )
    grown = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(t) * (density[1:] + density[:-1]))])
    assert grown[-1] == pytest.approx(1.0, abs=1e-3)
    ours = [passage_probability(at, distance, drift, 0.0, diffusion) for at in t[::1000]]
    assert np.allclose(ours, grown[::1000], atol=1e-3)


@settings(deadline=None)
@given(distances, drifts, spreads, diffusions, hours, st.floats(1.01, 10.0))
def test_later_is_likelier_and_further_is_less_likely(
    distance, drift, spread, diffusion, at, factor
):
    now = passage_probability(at, distance, drift, spread, diffusion)
    assert 0.0 <= now <= 1.0
    assert passage_probability(factor * at, distance, drift, spread, diffusion) >= now - 1e-9
    assert passage_probability(at, factor * distance, drift, spread, diffusion) <= now + 1e-9


def test_an_uncertain_drift_is_the_mean_over_drifts():
    drawn = np.random.default_rng(1).normal(0.5, 0.3, 20_000)
    known = np.mean([passage_probability(8.0, 5.0, d, 0.0, 0.4) for d in drawn.tolist()])
    assert passage_probability(8.0, 5.0, 0.5, 0.3, 0.4) == pytest.approx(known, abs=5e-3)


def test_quantiles_are_where_the_probability_is_the_chance():
    chances, found = np.array([0.05, 0.5, 0.95]), np.empty(3)
    passage_quantiles(chances, np.array([5.0]), 0.5, 0.05, 0.4, 1e4, found)
    back = [passage_probability(t, 5.0, 0.5, 0.05, 0.4) for t in found.tolist()]
    assert back == pytest.approx(chances, abs=1e-5)


def test_what_may_never_come_is_told_as_the_longest_time():
    found = np.empty(1)
    passage_quantiles(np.array([0.95]), np.array([5.0]), -0.5, 0.1, 0.1, 100.0, found)
    assert found[0] == pytest.approx(100.0)


def test_intervals_hold_the_truth_of_simulated_paths():
    random = np.random.default_rng(3)
    held, told, errors = 0, 0, []
    for _ in range(120):
        drift, threshold = random.lognormal(-1.0, 0.3), float(random.lognormal(np.log(20), 0.2))
        path = 2.0 + np.cumsum(random.normal(drift * 0.1, 0.1 * np.sqrt(0.1), 6000))
        failed = int(np.argmax(path >= threshold))
        model = Degradation(20.0, 0.2)
        now = int(random.uniform(0.3, 0.9) * failed)
        for i in range(now):
            found = model.update(0.1 * i, float(path[i] + random.normal(0.0, 0.3)))
        if found is None:
            continue
        told += 1
        truth = 0.1 * (failed - now)
        held += found.lower <= truth <= found.upper
        errors.append(abs(found.median - truth) / (0.1 * failed))
    assert told > 100
    # The drift is allowed to change, which these paths do not use.
    assert 0.85 <= held / told <= 1.0
    assert np.median(errors) < 0.25


@settings(deadline=None, max_examples=40)
@given(low=st.floats(5.0, 30.0), factor=st.floats(1.05, 4.0))
def test_a_higher_level_is_reached_later(low, factor):
    models = [Degradation(low, 0.3), Degradation(factor * low, 0.3)]
    random = np.random.default_rng(4)
    for i in range(60):
        index = 2.0 + 0.05 * i + 0.2 * random.normal()
        found = [model.update(0.1 * i, index) for model in models]
    near, far = found
    assert near is not None
    assert far is not None
    assert near.lower < far.lower
    assert near.median < far.median <= MOST_HOURS


def test_noise_alone_is_seldom_a_trend():
    random = np.random.default_rng(5)
    told = 0
    for _ in range(200):
        model = Degradation(20.0, 0.4)
        for i in range(60):
            found = model.update(float(i), 5.0 + random.normal())
        told += found is not None
    assert told < 0.12 * 200


def test_how_often_it_was_measured_hardly_matters():
    found = []
    for step in (1, 5):
        model, random = Degradation(20.0, 0.3), np.random.default_rng(6)
        for i in range(0, 1000, step):
            left = model.update(0.01 * i, 2.0 + 0.01 * i + 0.1 * random.normal())
        assert left is not None
        found.append(left.median)
    assert found[1] == pytest.approx(found[0], rel=0.05)
