"""The telemetry log as a source of the dataflow, one partition each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from stream_processor.acknowledgement import Ledger
from stream_processor.counters import Counters
from stream_processor.log_reader import LogReader, Position
from stream_processor.messages import Message
from stream_processor.settings import Settings

SCHEMA = 1
BATCH = 32
POLL = timedelta(milliseconds=4)


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
        stopping: Event,
    ) -> None:
        self._partition = partition
        self._position = Position(resume["created"], resume["sequence"]) if resume else None
        self._ledger = ledger
        self._counters = counters
        self._stopping = stopping
        self._closed_an_epoch = False
        self._idle = False
        self._reader = LogReader(settings, partition, self._position)
        counters.position(partition, self._position.sequence if self._position else 0)

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
            self._position = position
            self._counters.position(self._partition, position.sequence)
        self._idle = not messages
        return messages

    def next_awake(self) -> datetime | None:
        """Return at once for more while there is more."""
        return datetime.now(UTC) + POLL if self._idle else None

    def snapshot(self) -> dict[str, Any]:
        """Return the position."""
        self._closed_an_epoch = True
        position = self._position or Position("", 0)
        return {"schema": SCHEMA, "created": position.created, "sequence": position.sequence}


class TelemetrySource(FixedPartitionedSource[Message, dict[str, Any]]):
    """The telemetry log, partitioned by edge node."""

    def __init__(
        self, settings: Settings, ledger: Ledger, counters: Counters, stopping: Event
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._counters = counters
        self._stopping = stopping

    def list_parts(self) -> list[str]:
        """Return the partitions' names."""
        return [str(i) for i in range(self._settings.partitions)]

    def build_part(
        self, step_id: str, for_part: str, resume_state: dict[str, Any] | None
    ) -> TelemetryPartition:
        """Start reading where the snapshot says.

        Raises:
            ValueError: the snapshot is of newer code.
        """
        if resume_state and resume_state["schema"] > SCHEMA:
            raise ValueError(
                f"the position in the log has schema {resume_state['schema']}, this code knows"
                f" {SCHEMA}: run the version that wrote it"
            )
        return TelemetryPartition(
            self._settings,
            int(for_part),
            resume_state if resume_state and resume_state["created"] else None,
            self._ledger,
            self._counters,
            self._stopping,
        )
