"""Run acquisition as a step of the dataflow: the clock, the snapshots and the counters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from bytewax.operators import StatefulBatchLogic

from stream_processor.acknowledgement import Ledger
from stream_processor.acquisition import Acquisition, Output
from stream_processor.counters import DEAD_LETTERS, Counters
from stream_processor.frames import Frame
from stream_processor.messages import Mark, Message, set_aside
from stream_processor.rules.rule_file import RuleBook
from stream_processor.v1 import dead_letter_pb2 as dl

log = structlog.get_logger(__name__)


def take(acquisition: Acquisition, message: Message, now: float) -> list[Output]:
    """Return what acquisition makes of a message; a dead letter of one that it fails on."""
    try:
        return acquisition.update(message, now)
    except Exception as error:
        # The log would hand the message over again after every start.
        log.exception("acquisition failed", topic=message.topic, log=message.log_sequence)
        aside = set_aside(
            message, dl.DEAD_LETTER_REASON_STAGE_FAILED, f"acquisition failed: {error!r}"
        )
        acquisition.counts[f"{DEAD_LETTERS}{aside.reason}"] += 1
        return [aside]


class AcquisitionLogic(StatefulBatchLogic[Message, Output | Mark, dict[str, Any]]):
    """Acquisition of one edge node."""

    def __init__(
        self,
        counters: Counters,
        ledger: Ledger,
        lateness_s: float,
        tell: Callable[[str, float | None, float], None],
        resume: dict[str, Any] | None,
    ) -> None:
        """Begin, or resume; `tell` takes a device, its watermark and the time in milliseconds."""
        self._counters = counters
        self._tell = tell
        self._rules: RuleBook | None = None
        self._lost = 0
        if resume is None:
            self._acquisition = Acquisition(lateness_s)
        else:
            self._acquisition = Acquisition.restore(resume, time.time(), lateness_s)
            ledger.recovered(self._acquisition.marks())
            self._lost = self._acquisition.counts["lost"]
            self._count()

    def on_batch(self, values: list[Message]) -> tuple[list[Output | Mark], bool]:
        """Take messages in the log's order."""
        now = time.time()
        found: list[Output | Mark] = []
        for message in values:
            self._rules = message.rules
            found += self._ruled(take(self._acquisition, message, now))
        for device, watermark_ms in self._acquisition.watermarks().items():
            self._tell(device, watermark_ms, now * 1000)
        return self._with_marks(found)

    def on_notify(self) -> tuple[list[Output | Mark], bool]:
        """Do what is due."""
        return self._with_marks([*self._ruled(self._acquisition.tick(time.time()))])

    def _ruled(self, found: list[Output]) -> list[Output]:
        """Give frames the rules in force where they are released, however long they were held.

        After a start nothing is known until the next message: frames go on with what they had.
        """
        book = self._rules
        if book is None or not book.files:
            return found
        return [
            replace(item, rules=book.of(item.info.equipment_class))
            if isinstance(item, Frame)
            else item
            for item in found
        ]

    def notify_at(self) -> datetime | None:
        """Return when something is due."""
        due = self._acquisition.due()
        return None if due is None else datetime.fromtimestamp(due, UTC)

    def snapshot(self) -> dict[str, Any]:
        """Return the state; it shares nothing that changes."""
        return self._acquisition.state()

    def _with_marks(self, found: list[Output | Mark]) -> tuple[list[Output | Mark], bool]:
        self._count()
        return [*found, *self._acquisition.marks()], StatefulBatchLogic.RETAIN

    def _count(self) -> None:
        node = f"{self._acquisition.site}/{self._acquisition.edge_node}"
        counts = self._acquisition.counts
        if counts["lost"] > self._lost:
            log.warning(
                "batches are lost",
                node=node,
                batches=counts["lost"] - self._lost,
                marks=self._acquisition.batches.reached(),
            )
            self._lost = counts["lost"]
        self._counters.put(f"acquisition/{node}", counts)
