"""The joint monitor: what it finds, what it does not take for a finding, and how it comes back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from stream_processor.kernels import joint as kernel
from stream_processor.kernels import tails
from stream_processor.models import JointMonitor
from stream_processor.models.joint import Learner

Array = npt.NDArray[np.float64]
MEMORY = 10_000.0
STEP_MS = 1000
CHANNELS = 4


def usual(rows: int, seed: int = 1) -> Array:
    """Rows of four channels: two follow a load, one is slow, one is noise."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(rows, CHANNELS))
    slow = np.zeros(rows)
    for t in range(1, rows):
        slow[t] = 0.9 * slow[t - 1] + noise[t, 2]
    load = generator.normal(size=rows)
    return np.column_stack([load + 0.2 * noise[:, 0], load + 0.2 * noise[:, 1], slow, noise[:, 3]])


def follow(rows: Array, monitor: JointMonitor | None = None) -> tuple[Array, Array, Array]:
    """Return the evidence and the surprise of each row, and the shares of the last."""
    monitor = monitor or JointMonitor(rows.shape[1])
    said = [monitor.update(row, t * STEP_MS, MEMORY) for t, row in enumerate(rows)]
    return (
        np.array([one.evidence for one in said]),
        np.array([one.value for one in said]),
        said[-1].shares,
    )


@pytest.mark.parametrize("freedom", [1.0, 3.0, 20.0])
def test_a_surprise_is_that_of_students_t(freedom: float) -> None:
    for t in (0.5, 2.0, 5.0, 20.0):
        due = -np.log10(2.0 * stats.t.sf(t, freedom))
        assert kernel.surprise_of(t, freedom) == pytest.approx(due, abs=0.02, rel=0.12)


def test_what_is_usual_is_as_rare_as_it_says() -> None:
    _, surprise, _ = follow(usual(12_000))
    late = surprise[2000:]
    for rare in (2.0, 3.0):
        assert 0.4 < np.mean(late > rare) * 10.0**rare < 2.5


@pytest.mark.parametrize("kind", ["level", "together", "frozen", "restless"])
def test_a_change_is_found_and_its_channel_named(kind: str) -> None:
    rows, channel = usual(3000), {"level": 3, "together": 1, "frozen": 3, "restless": 2}[kind]
    end = slice(2900, 3000)
    if kind == "level":
        rows[end, channel] += 1.5
    elif kind == "together":
        # Each by itself is as it was.
        rows[end, channel] = usual(3000, seed=2)[end, channel]
    elif kind == "frozen":
        rows[end, channel] = rows[2900, channel]
    else:
        rows[end, channel] += np.random.default_rng(3).normal(size=100) * 4.0
    evidence, surprise, shares = follow(rows)
    before = evidence[2000:2900]
    assert np.median(evidence[2940:]) > np.quantile(before, 0.99)
    assert surprise[2900:].max() > 3.5
    near = {0, 1} if kind == "together" else {channel}
    assert int(shares.argmax()) in near


def test_units_do_not_matter() -> None:
    rows = usual(2000)
    rows[1900:, 3] += 3.0
    before, _, _ = follow(rows)
    after, _, _ = follow(rows * np.array([1e-3, 50.0, 1e4, 7.0]) + np.array([0.0, -4e3, 1e6, 20.0]))
    assert np.corrcoef(before[200:], after[200:])[0, 1] > 0.98


def test_missing_values_are_no_finding() -> None:
    rows = usual(3000)
    whole, _, _ = follow(rows)
    generator = np.random.default_rng(5)
    gaps = generator.random(rows.shape) < 0.05
    gaps[2000:2040, 2] = True
    rows[gaps] = np.nan
    evidence, surprise, _ = follow(rows)
    assert surprise[1000:].max() < 6.0
    assert np.quantile(evidence[1000:], 0.99) < 1.5 * np.quantile(whole[1000:], 0.99)


def test_what_lasts_becomes_usual() -> None:
    rows = usual(6000)
    rows[2000:, 3] += 3.0
    evidence, _, _ = follow(rows)
    assert np.median(evidence[2000:2200]) > 3.0 * np.median(evidence[1000:2000])
    assert np.median(evidence[5500:]) < 1.5 * np.median(evidence[1000:2000])


def test_modes_that_come_and_go_become_usual() -> None:
    rows = usual(6000)
    mode = (np.arange(6000) // 600) % 2 == 1
    rows[mode, :2] += 20.0
    rows[mode, 2] += 30.0
    late = slice(5600, 5700)
    rows[late, 3] += 5.0
    evidence, _, _ = follow(rows)
    assert np.median(evidence[600:700]) > 5.0
    assert np.median(evidence[4000:5500]) < 1.5
    assert np.median(evidence[late]) > 3.0


def test_one_channel_is_judged_by_itself() -> None:
    rows = usual(1500)[:, 3:]
    rows[1400, 0] += 12.0
    evidence, surprise, shares = follow(rows[:1401])
    assert evidence[1400] == evidence.max()
    assert surprise[1400] > 3.0
    assert shares.tolist() == [1.0]


def test_no_row_is_seen_early() -> None:
    rows = usual(1200)
    whole, _, _ = follow(rows)
    shuffled = rows.copy()
    np.random.default_rng(7).shuffle(shuffled[800:])
    assert (follow(shuffled)[0][:800] == whole[:800]).all()


def test_it_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    rows = usual(1500)
    rows[1300:, 3] += 4.0
    whole = JointMonitor(CHANNELS)
    broken = JointMonitor(CHANNELS)
    for t, row in enumerate(rows):
        if t % 97 == 0:
            broken = JointMonitor.restore(broken.state())
        one, other = (m.update(row, t * STEP_MS, MEMORY) for m in (whole, broken))
        assert (one.evidence, one.value) == (other.evidence, other.value)


def test_moments_are_those_of_the_rows() -> None:
    rows = usual(4000)
    learner = Learner(CHANNELS, 0.0)
    # Deviations of the first rows are from means that are hardly known.
    for row in rows:
        learner.update(row, 1000.0)
    share = 1.0 / 1000.0
    weights = (1.0 - share) ** np.arange(len(rows))[::-1]
    mean = np.average(rows, axis=0, weights=weights)
    assert learner.centre[0] == pytest.approx(mean, abs=0.02)
    spread = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
    assert np.sqrt(learner.centre[1]) == pytest.approx(spread, rel=0.02)
    due = np.cov(rows.T, aweights=weights) / np.outer(spread, spread)
    assert learner.moments[0] == pytest.approx(due, abs=0.06)
    white = learner.maps[0] @ learner.moments[0] @ learner.maps[0].T
    assert white == pytest.approx(np.eye(CHANNELS), abs=0.3)


def test_a_tail_learns_how_rare_its_excesses_are() -> None:
    generator = np.random.default_rng(11)
    tail = tails.new()
    # Twice as surprising as it says of itself.
    for x in 2.0 * generator.exponential(1.0 / np.log(10.0), 40_000):
        tails.learn(float(x), tail)
    assert tails.surprise(8.0, tail) == pytest.approx(4.0, abs=0.4)


def test_what_lasts_is_rare_however_long_it_lasts() -> None:
    generator = np.random.default_rng(12)
    tail = tails.new()
    for x in generator.exponential(1.0 / np.log(10.0), 5000):
        tails.learn(float(x), tail)
    before = tails.surprise(6.0, tail)
    for _ in range(1000):
        tails.learn(6.0, tail)
    assert tails.surprise(6.0, tail) > before - 2.0
