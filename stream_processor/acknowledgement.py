"""Tell each edge node which batches it may forget: those whose effects are durable.

How a batch's durability is known, and why it is right:

1. Acquisition gives a `Mark` when the highest contiguous batch of a node's boot epoch that has left
   it grows. What it still holds (after a gap, or for want of a birth) is not below the mark. The
   mark and the frames it covers leave in the same or an earlier engine epoch, E.
2. The sinks write before E closes, and their `snapshot`, called when E closes, returns only once
   everything written in E was confirmed by its receiver. So when the engine has stored E's
   snapshots, the effects exist, and so do the states and the positions they came from.
3. Marks flow into a sink of their own. Its `write_batch` collects them, its `snapshot` (E closes)
   moves them to `closed`.
4. A source partition that has closed E emits nothing for E + 1 before the engine has stored E: the
   first `next_batch` after `snapshot` runs only then. At that moment the partition itself still
   holds E + 1 open, so the sink cannot have closed it: `closed` has marks of E and before, all
   durable, and none that is not. There `durable` publishes them.

A crash between the storing and the publishing loses only the message: marks are derived again from
the recovered state, which is durable by definition, and published at the start. A node that sends
what is durable already (its spool is older than the acknowledgement) gets it said again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from stream_processor.messages import Mark
from stream_processor.metered_step import MeteredSink
from stream_processor.meters import StepMeter

# Topic, payload.
Publish = Callable[[str, bytes], None]


class Ledger:
    """Marks on their way from open to closed to published, shared by the workers of a process."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str, int], Mark] = {}
        self._closed: dict[tuple[str, str, int], Mark] = {}
        self._newest: dict[tuple[str, str], Mark] = {}

    def collect(self, marks: list[Mark]) -> None:
        """Take marks of the open epoch."""
        with self._lock:
            for mark in marks:
                self._open[mark.site, mark.edge_node, mark.boot_epoch] = mark

    def close(self) -> None:
        """Note that the epoch in which the open marks came is closed."""
        with self._lock:
            self._closed.update(self._open)
            self._open.clear()

    def durable(self) -> None:
        """Publish the closed marks: their epoch is stored."""
        with self._lock:
            self._publish_closed()

    def recovered(self, marks: list[Mark]) -> None:
        """Publish marks of a recovered state, which is durable."""
        with self._lock:
            for mark in marks:
                self._closed[mark.site, mark.edge_node, mark.boot_epoch] = mark
            self._publish_closed()

    def _publish_closed(self) -> None:
        said: dict[tuple[str, str], Mark] = {}
        for mark in sorted(self._closed.values(), key=lambda m: m.boot_epoch):
            self._say(mark)
            said[mark.site, mark.edge_node] = mark
        self._closed.clear()
        # The retained message must be of the newest boot epoch, whichever grew last.
        for node, mark in said.items():
            newest = self._newest.get(node)
            if newest is not None and newest.boot_epoch > mark.boot_epoch:
                self._say(newest)
            else:
                self._newest[node] = mark

    def _say(self, mark: Mark) -> None:
        self._publish(
            f"headrace/ack/{mark.site}/{mark.edge_node}",
            Acknowledgement(boot_epoch=mark.boot_epoch, sequence=mark.batch).SerializeToString(),
        )


class AcknowledgementPartition(StatefulSinkPartition[Mark, None]):
    """Where marks wait for their epoch to close."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def write_batch(self, values: list[Mark]) -> None:
        """Collect marks."""
        self._ledger.collect(values)

    def snapshot(self) -> None:
        """Note that the epoch closed; there is nothing to remember."""
        self._ledger.close()


class AcknowledgementSink(FixedPartitionedSink[Mark, None]):
    """The sink of marks."""

    def __init__(self, ledger: Ledger, meter: StepMeter) -> None:
        self._ledger = ledger
        self._meter = meter

    def list_parts(self) -> list[str]:
        """Return the one partition."""
        return ["acknowledgements"]

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> MeteredSink[Mark]:
        """Return the partition."""
        return MeteredSink(AcknowledgementPartition(self._ledger), self._meter)
