"""What the stages say of a recording: online, in replay, and without a look ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream_processor.evaluation.recording import Recording
from stream_processor.evaluation.run import run


@pytest.fixture(scope="module")
def recording() -> Recording:
    generator = np.random.default_rng(7)
    values = generator.normal(size=(900, 3)).cumsum(axis=0) * 0.02 + generator.normal(size=(900, 3))
    values[600:640, 1] += 9.0
    values[300:330, 0] = values[300, 0]
    values[generator.random((900, 3)) < 0.03] = np.nan
    values[450:455] = np.nan
    out = Recording.even("dirty", values, 60.0, ["a", "b", "c"])
    time = out.time_ms.copy()
    time[200] = time[199]
    time[250] = time[240]
    time[700:] += 3_600_000
    return replace(out, time_ms=time)


def test_every_row_has_a_score_and_the_step_is_found(recording: Recording) -> None:
    outcome = run(recording)
    assert outcome.scores.shape == (900,)
    assert np.isfinite(outcome.scores).all()
    assert outcome.scores[200] == outcome.scores[199]
    assert any(600 <= a.raised_row < 640 and a.channel == "b" for a in outcome.alarms)
    assert all(a.raised_ms == recording.time_ms[a.raised_row] for a in outcome.alarms)


@pytest.mark.parametrize(("rows_per_frame", "restart_every"), [(1, 0), (12, 1), (100, 3)])
def test_scores_are_identical_online_and_in_replay(
    recording: Recording, rows_per_frame: int, restart_every: int
) -> None:
    online, replayed = run(recording), run(recording, rows_per_frame=rows_per_frame,
                                           restart_every=restart_every)  # fmt: skip
    assert np.array_equal(online.scores, replayed.scores)
    assert online.alarms == replayed.alarms


@pytest.mark.parametrize("cut", [150, 455, 605])
def test_no_row_is_seen_before_its_turn(recording: Recording, cut: int) -> None:
    before = run(recording)
    generator = np.random.default_rng(cut)
    shuffled, replaced = recording.values.copy(), recording.values.copy()
    shuffled[cut:] = generator.permutation(shuffled[cut:])
    replaced[cut:] = generator.normal(1e6, 1e5, replaced[cut:].shape)
    times = recording.time_ms.copy()
    times[cut:] = np.sort(generator.integers(times[cut], times[cut] + 10**9, 900 - cut))
    for other in (
        replace(recording, values=shuffled),
        replace(recording, values=replaced, time_ms=times),
    ):
        after = run(other)
        assert np.array_equal(before.scores[:cut], after.scores[:cut])
        early = [a.raised_row for a in before.alarms if a.raised_row < cut]
        assert early == [a.raised_row for a in after.alarms if a.raised_row < cut]


def test_a_clock_that_was_put_back_does_not_end_the_recording(recording: Recording) -> None:
    time = recording.time_ms.copy()
    time[400:] -= 86_400_000
    outcome = run(replace(recording, time_ms=time))
    assert len(set(outcome.scores[500:].tolist())) > 300
