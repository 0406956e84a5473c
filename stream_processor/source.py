"""The telemetry log as a source of the dataflow, one partition each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import structlog
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from stream_processor.acknowledgement import Ledger
from stream_processor.counters import DEAD_LETTERS, Counters
from stream_processor.log_reader import LogReader, Position
from stream_processor.messages import Message
from stream_processor.metered_step import MeteredSource
from stream_processor.meters import Meters, StepMeter
from stream_processor.rules.in_force import InForce, is_rules
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import RuleBook
from stream_processor.schema import Schema
from stream_processor.settings import Settings

# 2: the rules that came through the log; before, none could.
SCHEMA = Schema("telemetry", 2, {1: lambda state: {**state, "rules": None}})
BATCH = 32
POLL = timedelta(milliseconds=4)

log = structlog.get_logger(__name__)


class TelemetryPartition(StatefulSourcePartition[Message, dict[str, Any]]):
    """One partition; its snapshot is the place in the log after the last message it emitted.

    The first `next_batch` after a `snapshot` runs only once the epoch that the snapshot closed is
    durable: that is when the ledger may publish (`stream_processor.acknowledgement`).
    """

    def __init__(
        self,
        settings: Settings,
        partition: int,
        resume: dict[str, Any] | None,
        ledger: Ledger,
        counters: Counters,
        meters: Meters,
        meter: StepMeter,
        stopping: Event,
    ) -> None:
        self._partition = partition
        self._position = Position(resume["created"], resume["sequence"]) if resume else None
        self._ledger = ledger
        self._counters = counters
        self._meter = meter
        self._stopping = stopping
        self._closed_an_epoch = False
        self._idle = False
        came = resume["rules"] if resume else None
        self._rules = InForce(RuleBook.starting(settings.rules_dir), came)
        self._count_refused()
        self._reader = LogReader(settings, partition, self._position)
        meters.reading(partition, self._reader.lag)
        sequence = self._position.sequence if self._position else 0
        counters.position(partition, sequence)
        log.info("reading the log", partition=partition, after=sequence)

    def next_batch(self) -> list[Message]:
        """Return what is there; acknowledge first what has become durable."""
        if self._closed_an_epoch:
            self._closed_an_epoch = False
            self._ledger.durable()
        if self._stopping.is_set():
            self._reader.stop()
            raise StopIteration
        messages, position = self._reader.take(BATCH)
        if position is not None:
            if self._position is not None and self._position.created != position.created:
                self._rules = self._rules.forgotten()
            self._position = position
            self._counters.position(self._partition, position.sequence)
        self._idle = not messages
        return [ruled for message in messages if (ruled := self._ruled(message)) is not None]

    def _ruled(self, message: Message) -> Message | None:
        """Return the message with the rules in force there.

        A rule file comes into force, and is no message any more. One that is wrong goes on to be a
        dead letter, of one partition: all of them read it.
        """
        if not is_rules(message.subject):
            return replace(message, rules=self._rules.book)
        try:
            self._rules.take(message.subject, message.payload)
        except RuleFileError as error:
            if self._partition != 0:
                return None
            log.warning("a rule file was refused", subject=message.subject, why=str(error))
            self._rules.refused += 1
            self._count_refused()
            self._meter.worked(0, 0.0, dead_letters=1)
            return message
        log.info("rules in force", subject=message.subject, log_sequence=message.log_sequence)
        return None

    def _count_refused(self) -> None:
        counts = {f"{DEAD_LETTERS}INVALID_RULES": self._rules.refused}
        self._counters.put(f"rules/{self._partition}", counts if self._rules.refused else {})

    def next_awake(self) -> datetime | None:
        """Return at once for more while there is more."""
        return datetime.now(UTC) + POLL if self._idle else None

    def snapshot(self) -> dict[str, Any]:
        """Return the position, and the rules that came through the log before it."""
        self._closed_an_epoch = True
        position = self._position or Position("", 0)
        return {
            "schema": SCHEMA.version,
            "created": position.created,
            "sequence": position.sequence,
            "rules": self._rules.state(),
        }


class TelemetrySource(FixedPartitionedSource[Message, dict[str, Any]]):
    """One partition of the telemetry log, which is partitioned by edge node."""

    def __init__(
        self,
        settings: Settings,
        partition: int,
        ledger: Ledger,
        counters: Counters,
        meters: Meters,
        meter: StepMeter,
        stopping: Event,
    ) -> None:
        self._settings = settings
        self._partition = partition
        self._ledger = ledger
        self._counters = counters
        self._meters = meters
        self._meter = meter
        self._stopping = stopping

    def list_parts(self) -> list[str]:
        """Return the partition's name."""
        return [str(self._partition)]

    def build_part(
        self, step_id: str, for_part: str, resume_state: dict[str, Any] | None
    ) -> MeteredSource[Message]:
        """Start reading where the snapshot says.

        Raises:
            StateError: the snapshot is none that this code reads.
        """
        resume = SCHEMA.current(resume_state) if resume_state else None
        partition = TelemetryPartition(
            self._settings,
            int(for_part),
            resume if resume and resume["created"] else None,
            self._ledger,
            self._counters,
            self._meters,
            self._meter,
            self._stopping,
        )
        return MeteredSource(partition, self._meter)
