"""The verdict on a new model, from scores and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.updates.trial import Trial, shift_of

SCORES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


def trial(windows: int = 10) -> Trial:
    return Trial(windows, shift=0.2, latency_factor=3.0, latency_ms=1.0)


@given(SCORES)
def test_a_sample_is_not_apart_from_itself_in_another_order(scores: list[float]) -> None:
    assert shift_of(scores, scores[::-1]) == 0


@given(SCORES, st.data())
def test_the_shift_is_a_distance_between_0_and_1(scores: list[float], data: st.DataObject) -> None:
    others = st.lists(st.floats(0, 1e6), min_size=len(scores), max_size=len(scores))
    a, b = data.draw(others), data.draw(others)

    assert 0 <= shift_of(scores, a) <= 1
    assert shift_of(scores, a) == shift_of(a, scores)
    assert shift_of(scores, b) <= shift_of(scores, a) + shift_of(a, b) + 1e-12


def test_two_that_find_a_machine_very_ill_do_not_differ_much() -> None:
    assert shift_of([50.0] * 5, [500.0] * 5) < 0.02 < 0.3 < shift_of([0.4] * 5, [4.0] * 5)


def test_a_model_like_the_old_one_stays() -> None:
    new = trial()
    for n in range(10):
        assert new.verdict() is None
        assert new.progress == (n, 10)
        new.observe(0.5 + n / 100, 100_000, 0.52 + n / 100, 150_000)

    verdict = new.verdict()

    assert verdict is not None
    assert (verdict.reason, verdict.windows) == ("", 10)
    assert verdict.shift == pytest.approx(0.0085, abs=0.001)
    assert (verdict.latency_ms, verdict.old_latency_ms) == (0.15, 0.1)


@pytest.mark.parametrize(
    ("old", "new", "new_ns", "reason"),
    [
        (0.5, 3.0, 100_000, "scores: shifted by 0.417, at most 0.2"),
        (0.5, 0.5, 2_000_000, "latency: 2.00 ms, the old model 0.10 ms; at most 1.00 ms"),
        (None, 0.5, 2_000_000, "latency: 2.00 ms; at most 1.00 ms"),
        (0.5, None, 100_000, "10 of 10 windows were left without a score"),
        (0.5, float("nan"), 100_000, "a score is no number"),
        (None, 0.5, 100_000, ""),
    ],
)
def test_what_is_worse_goes(old: float | None, new: float | None, new_ns: int, reason: str) -> None:
    candidate = trial()
    for _ in range(10):
        candidate.observe(old, 100_000, new, new_ns)

    verdict = candidate.verdict()

    assert verdict is not None
    assert verdict.reason == reason


def test_a_window_that_nobody_can_score_counts_for_nothing() -> None:
    candidate = trial()
    for _ in range(30):
        candidate.observe(None, 1, None, 1)

    assert candidate.progress == (0, 10)
    assert candidate.verdict() is None


def test_a_failure_ends_it_at_once() -> None:
    candidate = trial()
    candidate.fail("RuntimeError: no tensor")

    verdict = candidate.verdict()

    assert verdict is not None
    assert verdict.reason == "RuntimeError: no tensor"
