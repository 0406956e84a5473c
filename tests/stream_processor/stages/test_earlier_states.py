"""A machine that earlier code followed is followed on: nothing learnt anew, nothing told again."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

from stream_processor.counters import Counters
from stream_processor.frames import Frame
from stream_processor.models import HalfSpaceForest
from stream_processor.stage_step import Carried, StageLogic
from stream_processor.stages import STAGES

FRAMES = 70


@pytest.fixture
def earlier(earlier_state: Callable[[str], Any]) -> dict[str, Any]:
    return dict(earlier_state("stages-0f89f99"))


@pytest.fixture
def steps(earlier: dict[str, Any]) -> list[StageLogic]:
    """The steps of the flow, resumed from snapshots of earlier code."""
    resumed = {
        name: {"schema": 1, "stage": pickle.dumps(state), "part": "", "counts": {}}
        for name, state in earlier["stages"].items()
    }
    return [StageLogic(kind, name, Counters(), resumed.get(name)) for name, kind in STAGES]


def test_the_trees_of_before_go_on(earlier: dict[str, Any]) -> None:
    state = earlier["stages"]["state_detection"]["forest"]
    for again in range(2):
        forest = HalfSpaceForest.restore(state)
        for k in range(80):
            if k == 40 * again:
                forest = HalfSpaceForest.restore(pickle.loads(pickle.dumps(forest.state())))
            forest.learn_one(np.full(9, 0.4 + 0.0025 * k))
        assert forest.ready
        assert [[at, forest.score_one(np.full(9, at))] for at, _ in earlier["forest"]] == (
            earlier["forest"]
        )


def test_a_finding_that_is_open_goes_on(
    steps: list[StageLogic],
    earlier: dict[str, Any],
    scenario_frames: Callable[..., Iterator[Frame]],
) -> None:
    begin = earlier["frame"] + 1
    told, learnt = [], []
    frames = scenario_frames("bearing-wear", minutes=begin + FRAMES)
    for i, frame in enumerate(islice(frames, begin, None), begin):
        item: Any = Carried(frame, frame)
        for step in steps:
            ((item,), _) = step.on_batch([item])
            deviations = getattr(item.item, "deviations", None)
            if deviations:
                learnt.append(float(np.abs(deviations[0].ratio).max()))
        told += [
            (i, a.state, a.revision, a.failure_mode, a.advisory_id) for a in item.item.advisories
        ]
    # The very next frame is judged, and far from what the baseline of before expects.
    assert learnt[0] > 1.0
    assert told == [(*said, earlier["advisory_id"]) for said in map(tuple, earlier["then"])]
