from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erp_modules.maintenance.reliability import SurvivalError, fit_weibull

SHAPE, LOCATION, EFFECT = 2.0, np.log(60.0), -0.7


@pytest.fixture(scope="module")
def fleet():
    random = np.random.default_rng(1)
    x = np.stack([random.normal(size=4000), np.full(4000, 3.0)], axis=1)
    failure = np.exp(LOCATION + EFFECT * x[:, 0]) * random.weibull(SHAPE, 4000)
    end = random.uniform(10.0, 90.0, 4000)
    return np.minimum(failure, end), failure <= end, x, failure


def test_shape_and_effects_are_found_in_spite_of_censoring(fleet):
    days, failed, x, _ = fleet
    life = fit_weibull(days, failed, x, ("load", "constant"))
    assert 0.3 < failed.mean() < 0.8
    assert life.shape == pytest.approx(SHAPE, rel=0.05)
    assert life.weights[1] / life.scale[0] == pytest.approx(EFFECT, rel=0.05)
    assert life.weights[0] == pytest.approx(LOCATION + EFFECT * x[:, 0].mean(), abs=0.05)


def test_probabilities_are_what_comes_to_pass(fleet):
    days, failed, x, failure = fleet
    said = fit_weibull(days, failed, x, ("load", "constant")).failure_within(x, 30.0)
    for part in np.array_split(np.argsort(said), 5):
        assert said[part].mean() == pytest.approx((failure[part] <= 30.0).mean(), abs=0.05)


@settings(max_examples=30, deadline=None)
@given(load=st.floats(-3, 3), days=st.floats(0.1, 300), chance=st.floats(0.01, 0.99))
def test_later_is_likelier_and_quantiles_are_the_inverse(fleet, load, days, chance):
    ended, failed, x, _ = fleet
    life = fit_weibull(ended[:500], failed[:500], x[:500], ("load", "constant"))
    row = np.array([[load, 3.0]])
    assert life.failure_within(row, 1.1 * days)[0] >= life.failure_within(row, days)[0]
    within = float(life.quantile(row, chance)[0])
    assert life.failure_within(row, within)[0] == pytest.approx(chance)


def test_covariates_that_are_the_same_or_split_the_failures_do_no_harm():
    random = np.random.default_rng(2)
    first = random.normal(size=200)
    days = random.weibull(1.5, 200) * 20.0
    failed = days < 15.0
    x = np.stack([first, first, failed.astype(float)], axis=1)
    life = fit_weibull(np.minimum(days, 15.0), failed, x, ("a", "a again", "oracle"))
    assert np.isfinite(life.weights).all()
    assert life.failure_within(x[failed], 15.0).mean() > 0.9
    assert life.failure_within(x[~failed], 15.0).mean() < 0.1


def test_it_agrees_with_lifelines(fleet):
    lifelines = pytest.importorskip("lifelines", reason="lifelines is not installed")
    import pandas as pd

    days, failed, x, _ = fleet
    ours = fit_weibull(days, failed, x[:, :1], ("load",))
    frame = pd.DataFrame({"days": days, "failed": failed, "load": x[:, 0]})
    theirs = lifelines.WeibullAFTFitter().fit(frame, "days", "failed").params_
    assert ours.weights[1] / ours.scale[0] == pytest.approx(theirs["lambda_", "load"], rel=0.01)
    assert np.log(ours.shape) == pytest.approx(theirs["rho_", "Intercept"], abs=0.01)


@pytest.mark.parametrize("days", [0.0, -1.0])
def test_times_that_are_none_are_refused(days):
    with pytest.raises(SurvivalError, match="above 0"):
        fit_weibull(np.full(20, days), np.ones(20, bool), np.zeros((20, 1)), ("a",))


def test_too_few_failures_are_refused():
    with pytest.raises(SurvivalError, match="2 failures"):
        fit_weibull(np.ones(20), np.arange(20) < 2, np.zeros((20, 1)), ("a",))
