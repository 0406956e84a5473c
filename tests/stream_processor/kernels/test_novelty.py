"""The nearest value that was seen."""

from __future__ import annotations

import numpy as np

from stream_processor.kernels import novelty


def learnt(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known, count = np.zeros((2, novelty.KNOWN)), np.zeros(novelty.COUNT)
    for x in values:
        novelty.learn(x, known, count)
    return known, count


def distance(value: float, known: np.ndarray, count: np.ndarray) -> float:
    return float(abs(value - known[novelty.VALUE, novelty.nearest(value, known, count)]))


def test_a_value_in_a_gap_is_far_from_all_that_was_seen() -> None:
    random = np.random.default_rng(1)
    states = random.choice([0.0, 20.0], 3000) + random.normal(0, 0.5, 3000)
    known, count = learnt(states)
    assert distance(10.0, known, count) > 5.0
    assert np.median([distance(x, known, count) for x in states]) < 0.2


def test_what_was_seen_is_no_news() -> None:
    known, count = learnt(np.random.default_rng(2).normal(size=2000))
    before = distance(30.0, known, count)
    novelty.learn(30.0, known, count)
    assert before > 20.0
    assert distance(30.0, known, count) == 0.0


def test_nothing_known_has_no_nearest() -> None:
    known, count = np.zeros((2, novelty.KNOWN)), np.zeros(novelty.COUNT)
    assert novelty.nearest(1.0, known, count) == -1


def test_what_was_not_seen_for_longest_is_forgotten() -> None:
    known, count = learnt(np.arange(10.0 * novelty.KNOWN) ** 2)
    assert count[novelty.FILLED] == novelty.KNOWN
    assert known[novelty.VALUE].min() > 0.0
