from __future__ import annotations

import pickle
from typing import Any, Self

import pytest

from stream_processor.counters import Counters
from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.messages import SetAside
from stream_processor.stage_step import CHECKPOINT_ITEMS, Carried, GuardedStage, StageLogic
from stream_processor.v1 import dead_letter_pb2 as dl


class Sum:
    """Adds up batches; spoils its state before it fails on 13, and cannot be restored at 1000."""

    def __init__(self) -> None:
        self.total = 0

    def update(self, item: Frame) -> int:
        self.total += item.batch
        if item.batch == 13:
            self.total = 10**9
            raise ValueError("thirteen")
        return self.total

    def state(self) -> dict[str, Any]:
        return {"schema": 1, "total": self.total}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        if state["total"] >= 1000:
            raise ValueError("too large")
        self = cls()
        self.total = state["total"]
        return self


def carried(*batches: int) -> list[Carried]:
    return [Carried(frame(batch), frame(batch)) for batch in batches]


def items(step: StageLogic, *batches: int) -> list[Any]:
    made, _ = step.on_batch(carried(*batches))
    return [m.item if isinstance(m, Carried) else m for m in made]


def frame(batch: int) -> Frame:
    info = EquipmentInfo("s", "n", "e", "fan", "", "live", {})
    return Frame(info, 1, 2, {}, batch=batch, log_sequence=batch + 100, trace_id="t")


@pytest.mark.parametrize("before", [0, 1, CHECKPOINT_ITEMS, CHECKPOINT_ITEMS + 3])
def test_a_failure_leaves_the_state_as_it_was(before: int) -> None:
    stage = GuardedStage(Sum, "sum", None)
    for _ in range(before):
        stage.update(frame(1))
    with pytest.raises(ValueError, match="thirteen"):
        stage.update(frame(13))
    assert stage.update(frame(1)) == before + 1


def test_a_stage_that_cannot_be_restored_begins_anew() -> None:
    stage = GuardedStage(Sum, "sum", None)
    stage.update(frame(2000))
    stage.checkpoint()
    with pytest.raises(ValueError, match="thirteen"):
        stage.update(frame(13))
    assert stage.update(frame(1)) == 1


def test_a_step_sets_aside_what_its_stage_fails_on_and_is_recovered_with_its_counts() -> None:
    counters = Counters()
    step = StageLogic(Sum, "sum", counters, None)
    first, failed, last = items(step, 1, 13, 2)
    assert (first, last) == (1, 3)
    assert isinstance(failed, SetAside)
    assert failed.letter.reason == dl.DEAD_LETTER_REASON_STAGE_FAILED
    assert failed.letter.dead_letter_id == "telemetry-113"
    assert failed.letter.detail == "sum of s/e failed: ValueError: thirteen"
    assert counters.totals()["dead_letters"] == {"STAGE_FAILED": 1}

    recovered = Counters()
    state = pickle.loads(pickle.dumps(step.snapshot()))
    again = StageLogic(Sum, "sum", recovered, state)
    assert recovered.totals()["dead_letters"] == {"STAGE_FAILED": 1}
    assert items(again, 4) == [7]
    with pytest.raises(ValueError, match="run the version that wrote it"):
        StageLogic(Sum, "sum", recovered, state | {"schema": 99})


def test_a_snapshot_shares_nothing_with_the_stage() -> None:
    step = StageLogic(Sum, "sum", Counters(), None)
    items(step, 1)
    state = step.snapshot()
    items(step, 5)
    assert items(StageLogic(Sum, "sum", Counters(), state), 1) == [2]


def test_a_state_is_read_at_the_first_item_and_one_that_cannot_be_ends_the_flow() -> None:
    step = StageLogic(Sum, "sum", Counters(), None)
    items(step, 999)
    kept = step.snapshot()
    # Nothing was asked of it: it is stored again as it was.
    assert StageLogic(Sum, "sum", Counters(), kept).snapshot() == kept
    items(step, 1)
    unreadable = StageLogic(Sum, "sum", Counters(), step.snapshot())
    for _ in range(2):
        with pytest.raises(ValueError, match="too large"):
            unreadable.on_batch(carried(1))
    assert unreadable.snapshot() == step.snapshot()
