from __future__ import annotations

import numpy as np
import pytest

from stream_processor.models import life_learning
from stream_processor.models.life_learning import LearningError, Unseen, learn, spread_of
from stream_processor.models.remaining_life import (
    WARM_UP,
    LifeLibrary,
    LifeLibraryError,
    Trajectory,
)
from stream_processor.schema import StateError

Array = np.ndarray
HORIZON = 60.0
CHANNELS = ("Vibration", "Temperature", "Setting", "Current")


def history(random: np.random.Generator) -> Array:
    """A machine that wears exponentially, with a setting that never changes."""
    rows = int(random.uniform(80, 160))
    left = np.arange(rows)[::-1]
    wear = np.exp(-left / 30.0)[:, np.newaxis] * np.array([4.0, 3.0, 0.0, -2.0])
    return (
        10.0
        + random.normal(0.0, 0.2, 4) * [1, 1, 0, 1]
        + wear
        + (random.normal(size=(rows, 4)) * [0.4, 0.4, 0.0, 0.4])
    )


@pytest.fixture(scope="module")
def histories() -> list[Array]:
    random = np.random.default_rng(1)
    return [history(random) for _ in range(24)]


@pytest.fixture(scope="module")
def learnt(histories: list[Array]) -> tuple[LifeLibrary, Unseen]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(life_learning, "NETWORKS", 1)
        return learn(histories, CHANNELS, "pump", HORIZON)


def followed(library: LifeLibrary, unit: Array) -> list[Array]:
    trajectory = Trajectory(len(library.channels))
    return [trajectory.update(row) for row in unit[:, [0, 1, 3]]]


def test_a_machine_that_was_never_seen_is_foretold(learnt):
    library, _ = learnt
    assert library.channels == ("Vibration", "Temperature", "Current")
    random, said, truth, held = np.random.default_rng(2), [], [], []
    for _ in range(30):
        unit = history(random)
        for i in range(WARM_UP, len(unit), 5):
            life = library.remaining(followed(library, unit[: i + 1])[-1])
            left = min(len(unit) - 1 - i, HORIZON)
            said.append(life.mean)
            truth.append(left)
            held.append(life.lower <= left <= life.upper)
            assert life.lower <= life.median <= life.upper
            assert (np.diff(life.quantiles) >= 0.0).all()
    error = np.sqrt(np.mean(np.subtract(said, truth) ** 2))
    assert error < 0.4 * np.std(truth)
    assert 0.8 < np.mean(held) <= 1.0


def test_who_is_far_from_the_end_is_told_no_upper_bound(learnt):
    library, _ = learnt
    life = library.life(HORIZON)
    assert life.upper == float("inf")
    assert life.lower > 0.5 * HORIZON
    assert library.life(1.0).upper < 0.3 * HORIZON


def test_the_proof_is_of_units_left_out(learnt, histories):
    _, unseen = learnt
    assert [len(p) for p in unseen.said] == [len(h) for h in histories]
    assert all(t[-1] == 0.0 and t.max() <= HORIZON for t in unseen.truth)


def test_learning_again_gives_the_same_library(learnt, histories, monkeypatch):
    monkeypatch.setattr(life_learning, "NETWORKS", 1)
    again, _ = learn(histories, CHANNELS, "pump", HORIZON)
    first, _ = learnt
    assert all(np.array_equal(a, b) for a, b in zip(first.layers, again.layers, strict=True))
    assert np.array_equal(first.spread, again.spread)


def test_a_library_is_read_as_it_was_written(learnt, histories, tmp_path):
    library, _ = learnt
    path = tmp_path / "pump.npz"
    library.write(path)
    again = LifeLibrary.read(path)
    last = followed(library, histories[0])[-1]
    assert again.label == "life-pump@1"
    assert again.card == library.card
    assert again.remaining(last).mean == library.remaining(last).mean
    assert '"histories": 24' in path.with_suffix(".json").read_text()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no library"])
def test_what_is_no_library_is_refused(tmp_path, content):
    path = tmp_path / "pump.npz"
    path.write_bytes(content)
    with pytest.raises(LifeLibraryError, match=r"pump\.npz"):
        LifeLibrary.read(path)


def test_a_library_of_newer_code_is_refused(learnt, tmp_path, monkeypatch):
    from stream_processor.models import remaining_life
    from stream_processor.schema import Schema

    library, _ = learnt
    newer = Schema("a life library", 2, {1: lambda state: state})
    with monkeypatch.context() as patch:
        patch.setattr(remaining_life, "LIBRARY", newer)
        library.write(tmp_path / "pump.npz")
    with pytest.raises((LifeLibraryError, StateError), match="newer"):
        LifeLibrary.read(tmp_path / "pump.npz")


def test_a_missing_channel_is_taken_as_it_was(learnt, histories):
    library, _ = learnt
    trajectory, other = Trajectory(3), Trajectory(3)
    for i, row in enumerate(histories[0][:60, [0, 1, 3]]):
        whole = trajectory.update(row)
        part = other.update(np.where([True, i % 2 == 0, True], row, np.nan))
    assert np.array_equal(whole[:, 0], part[:, 0])
    full, half = library.remaining(whole), library.remaining(part)
    assert half.mean == pytest.approx(full.mean, abs=0.35 * HORIZON)


def test_too_few_histories_are_refused(histories):
    with pytest.raises(LearningError, match="3 histories"):
        learn(histories[:3], CHANNELS, "pump", HORIZON)


def test_channels_that_never_change_are_refused():
    with pytest.raises(LearningError, match="no channel"):
        learn([np.ones((50, 2))] * 12, ("a", "b"), "pump", HORIZON)


def test_the_spread_is_that_of_the_truth_near_a_level():
    random = np.random.default_rng(3)
    said = random.uniform(0, 100, 20_000)
    truth = said + random.normal(0.0, 0.1 * said)
    found = spread_of(said, truth, np.array([50.0]), 3.0, 1000)[0]
    assert found[[0, 3, -1]] == pytest.approx([50 - 8.2, 50, 50 + 8.2], abs=0.7)
