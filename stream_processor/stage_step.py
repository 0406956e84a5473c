"""Run a stage of ISO 13374 as a step of the dataflow, so that its failure is one dead letter."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from bytewax.operators import StatefulBatchLogic

from stream_processor.counters import DEAD_LETTERS, SHADOW_ADVISORIES, Counters
from stream_processor.frames import Frame, Stage
from stream_processor.messages import SetAside
from stream_processor.schema import Schema
from stream_processor.v1 import dead_letter_pb2 as dl

SCHEMA = Schema("a stage's step")
# How many items lie between two checkpoints at most, besides the engine's.
CHECKPOINT_ITEMS = 32

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Carried:
    """What a stage made, with the frame it was made of: a failure must be able to name it."""

    frame: Frame
    item: Any


class GuardedStage:
    """A stage that a bad item cannot corrupt.

    After a failure the stage is in the state it had before the item: it is restored from the last
    checkpoint and takes again what it took since, which gives the same since stages are
    deterministic. If that fails too, it begins anew.
    """

    def __init__(self, kind: type[Stage[Any, Any]], name: str, state: bytes | None) -> None:
        self._kind = kind
        self._name = name
        # None until the first item: most machines say nothing in the second after a start.
        self._stage = kind() if state is None else None
        self._checkpoint = state
        self._since: list[Any] = []

    def restore(self) -> Stage[Any, Any]:
        """Return the stage, as it was at the checkpoint when nothing was asked of it yet.

        Raises:
            StateError: its schema is none that this code reads.
        """
        if self._stage is None:
            self._stage = self._as_it_was()
        return self._stage

    def _as_it_was(self) -> Stage[Any, Any]:
        state = self._checkpoint
        return self._kind() if state is None else self._kind.restore(pickle.loads(state))

    def update(self, item: Any) -> Any:
        """Return what the stage makes of the item; what it raises leaves its state as it was."""
        stage = self.restore()
        if len(self._since) >= CHECKPOINT_ITEMS:
            self.checkpoint()
        try:
            made = stage.update(item)
        except Exception:
            self._roll_back()
            raise
        self._since.append(item)
        return made

    def checkpoint(self) -> bytes:
        """Return the state, pickled, and remember it."""
        if self._since or self._checkpoint is None:
            self._checkpoint = pickle.dumps(self.restore().state(), pickle.HIGHEST_PROTOCOL)
            self._since.clear()
        return self._checkpoint

    def _roll_back(self) -> None:
        try:
            self._stage = self._as_it_was()
            for item in self._since:
                self._stage.update(item)
        except Exception:
            log.exception("a stage could not be restored and begins anew", stage=self._name)
            self._stage = self._kind()
            self._checkpoint = None
            self._since.clear()


class StageLogic(StatefulBatchLogic[Carried, Carried | SetAside, dict[str, Any]]):
    """One stage for one piece of equipment."""

    def __init__(
        self,
        kind: type[Stage[Any, Any]],
        name: str,
        counters: Counters,
        resume: dict[str, Any] | None,
    ) -> None:
        resume = None if resume is None else SCHEMA.current(resume)
        self._name = name
        self._stage = GuardedStage(kind, name, resume["stage"] if resume else None)
        self._part = resume["part"] if resume else ""
        self._counters = counters
        self._counts: Counter[str] = Counter(resume["counts"] if resume else {})
        if resume:
            counters.put(self._part, self._counts)

    def on_batch(self, values: list[Carried]) -> tuple[list[Carried | SetAside], bool]:
        """Return what the stage makes of each item; a dead letter of what it fails on.

        Raises:
            StateError: the schema of the state is none that this code reads: the flow ends rather
                than forgetting it.
        """
        self._stage.restore()
        return [self._update(carried) for carried in values], StatefulBatchLogic.RETAIN

    def _update(self, carried: Carried) -> Carried | SetAside:
        frame = carried.frame
        try:
            made = self._stage.update(carried.item)
        except Exception as error:
            log.exception("a stage failed", stage=self._name, trace_id=frame.trace_id)
            return self._failed(frame, error)
        for rule in getattr(made, "would_raise", ()):
            self._count(frame, SHADOW_ADVISORIES)
            log.info("a rule in shadow would have raised", rule=rule, equipment=frame.info.key)
        return Carried(frame, made)

    def _failed(self, frame: Frame, error: Exception) -> SetAside:
        info = frame.info
        letter = dl.DeadLetter(
            dead_letter_id=f"telemetry-{frame.log_sequence}",
            reason=dl.DEAD_LETTER_REASON_STAGE_FAILED,
            detail=f"{self._name} of {info.key} failed: {type(error).__name__}: {error}",
            topic=f"spBv1.0/{info.site}/DDATA/{info.edge_node}/{info.equipment}",
            log_sequence=frame.log_sequence,
            trace_id=frame.trace_id,
        )
        self._count(frame, f"{DEAD_LETTERS}STAGE_FAILED")
        return SetAside(info.site, info.edge_node, letter)

    def _count(self, frame: Frame, name: str) -> None:
        self._part = f"{self._name}/{frame.info.key}"
        self._counts[name] += 1
        self._counters.put(self._part, self._counts)

    def notify_at(self) -> datetime | None:
        """Return None: stages know no clock."""
        return None

    def snapshot(self) -> dict[str, Any]:
        """Return the state, copied."""
        return {
            "schema": SCHEMA.version,
            "stage": self._stage.checkpoint(),
            "part": self._part,
            "counts": dict(self._counts),
        }
