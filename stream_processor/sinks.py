"""Where effects leave the flow.

Every sink is a `FixedPartitionedSink`: a `DynamicSink` can lose items when recovery is on. Each
writes at once and in `snapshot`, which the engine calls when an epoch closes, waits until all it
wrote is confirmed. So no epoch becomes durable before its effects exist, and nothing waits for a
confirmation otherwise. What a sink counted is its state, so that counts stay right over a crash.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from stream_processor.advisory_client import AdvisoryClient, RejectedError
from stream_processor.counters import DEAD_LETTERS, Counters
from stream_processor.dead_letter_message import dead_letter_message
from stream_processor.jetstream_publisher import JetStreamPublisher, Outgoing
from stream_processor.messages import Command, Rebirth, SetAside
from stream_processor.metered_step import MeteredSink
from stream_processor.meters import StepMeter
from stream_processor.mqtt_publisher import MqttPublisher
from stream_processor.schema import Schema
from stream_processor.sparkplug import rebirth_command, resend_command
from stream_processor.v1 import dead_letter_pb2 as dl
from stream_processor.v1.alert_pb2 import Advisory
from stream_processor.v1.points_pb2 import Points, PointsBatch

SCHEMA = Schema("a sink")
# Unconfirmed writes of a partition; more and the flow waits.
MAX_UNCONFIRMED = 256
# A message of points is no larger, but for a block that is by itself.
MOST_BATCH_BYTES = 256 * 1024

Item = TypeVar("Item")


class ConfirmedPartition(StatefulSinkPartition[Item, dict[str, Any]], Generic[Item]):
    """Write at once, confirm when the epoch closes."""

    def __init__(self, part: str, counters: Counters, resume: dict[str, Any] | None) -> None:
        self._part = part
        self._counters = counters
        self._counts: Counter[str] = Counter(resume["counts"] if resume else {})
        self._unconfirmed: list[Future[str | None]] = []
        counters.put(part, self._counts)

    @abstractmethod
    def send(self, values: list[Item]) -> Sequence[Future[str | None]]:
        """Start writing `values`; a future may end with the name of what to count."""

    def write_batch(self, values: list[Item]) -> None:
        """Write values, waiting only when too many are unconfirmed."""
        self._unconfirmed += self.send(values)
        if len(self._unconfirmed) > MAX_UNCONFIRMED:
            wait(self._unconfirmed)
        self._settle()

    def snapshot(self) -> dict[str, Any]:
        """Wait until everything written is confirmed and return the counts."""
        wait(self._unconfirmed)
        self._settle()
        return {"schema": SCHEMA.version, "counts": dict(self._counts)}

    def _settle(self) -> None:
        """Count what is confirmed; raise what went wrong."""
        waiting = []
        for future in self._unconfirmed:
            if not future.done():
                waiting.append(future)
            elif name := future.result():
                self._count(name)
        self._unconfirmed = waiting
        self._counters.put(self._part, self._counts)

    def _count(self, name: str) -> None:
        self._counts[name] += 1


class PointsPartition(ConfirmedPartition[Points]):
    """Points to the stream POINTS."""

    def __init__(
        self,
        part: str,
        counters: Counters,
        resume: dict[str, Any] | None,
        publisher: JetStreamPublisher,
    ) -> None:
        super().__init__(part, counters, resume)
        self._publisher = publisher

    def send(self, values: list[Points]) -> Sequence[Future[str | None]]:
        """Publish points, those of a site together."""
        self._counts["points"] += len(values)
        return [
            self._publisher.publish(
                [
                    Outgoing(f"points.{batch.points[0].site}", batch.SerializeToString())
                    for batch in batched(values)
                ]
            )
        ]


def batched(values: Iterable[Points]) -> Iterator[PointsBatch]:
    """Yield points in batches, each of one site and of no more bytes than a batch should have."""
    batches: dict[str, tuple[PointsBatch, int]] = {}
    for value in values:
        batch, size = batches.get(value.site, (PointsBatch(), 0))
        if batch.points and size + value.ByteSize() > MOST_BATCH_BYTES:
            yield batch
            batch, size = PointsBatch(), 0
        batch.points.append(value)
        batches[value.site] = batch, size + value.ByteSize()
    for batch, _ in batches.values():
        yield batch


class DeadLetterPartition(ConfirmedPartition[SetAside]):
    """Dead letters to the stream DEADLETTER, with the bytes of the message that caused them."""

    def __init__(
        self,
        part: str,
        counters: Counters,
        resume: dict[str, Any] | None,
        publisher: JetStreamPublisher,
    ) -> None:
        super().__init__(part, counters, resume)
        self._publisher = publisher

    def send(self, values: list[SetAside]) -> Sequence[Future[str | None]]:
        """Publish dead letters."""
        for aside in values:
            self._complete(aside.letter)
        return [self._publisher.publish([dead_letter_message(aside) for aside in values])]

    def _complete(self, letter: dl.DeadLetter) -> None:
        """Add what a stage did not have: the message's bytes and the time it was received."""
        if letter.reason != dl.DEAD_LETTER_REASON_STAGE_FAILED:
            return
        stored = self._publisher.telemetry(letter.log_sequence).result()
        if stored is not None:
            letter.payload = stored.payload
            if stored.time is not None:
                letter.receive_time.FromDatetime(stored.time)


class AdvisoryPartition(ConfirmedPartition[Advisory]):
    """Advisories to the maintenance module, in order; what it refuses becomes a dead letter."""

    def __init__(
        self,
        part: str,
        counters: Counters,
        resume: dict[str, Any] | None,
        meter: StepMeter,
        client: AdvisoryClient,
        publisher: JetStreamPublisher,
    ) -> None:
        super().__init__(part, counters, resume)
        self._meter = meter
        self._client = client
        self._publisher = publisher

    def send(self, values: list[Advisory]) -> Sequence[Future[str | None]]:
        """Queue advisories for the client's thread."""
        return [self._client.submit(self._report, advisory) for advisory in values]

    def _report(self, advisory: Advisory) -> str:
        try:
            self._client.report(advisory)
        except RejectedError as error:
            aside = _rejected(advisory, error)
            self._publisher.publish([dead_letter_message(aside)]).result()
            return f"{DEAD_LETTERS}{aside.reason}"
        return "advisories"

    def _count(self, name: str) -> None:
        super()._count(name)
        if name.startswith(DEAD_LETTERS):
            self._meter.worked(0, 0.0, dead_letters=1)


def _rejected(advisory: Advisory, error: RejectedError) -> SetAside:
    letter = dl.DeadLetter(
        dead_letter_id=f"advisory-{advisory.advisory_id}-{advisory.revision}",
        reason=dl.DEAD_LETTER_REASON_REJECTED,
        detail=f"the advisory on {advisory.equipment} was refused: {error}",
        payload=advisory.SerializeToString(),
        trace_id=advisory.evidence.trace_id,
    )
    letter.receive_time.CopyFrom(advisory.sent_time)
    return SetAside(advisory.site, advisory.edge_node, letter)


class CommandPartition(StatefulSinkPartition[Command, None]):
    """Commands to edge nodes; not confirmed, for acquisition asks again."""

    def __init__(self, publisher: MqttPublisher) -> None:
        self._publisher = publisher

    def write_batch(self, values: list[Command]) -> None:
        """Publish commands."""
        now_ms = int(time.time() * 1000)
        for command in values:
            payload = (
                rebirth_command(now_ms)
                if isinstance(command, Rebirth)
                else resend_command(now_ms, command.boot_epoch, command.first, command.last)
            )
            self._publisher.command(
                f"spBv1.0/{command.site}/NCMD/{command.edge_node}", payload
            )  # fmt: skip

    def snapshot(self) -> None:
        """Return nothing: there is nothing to remember."""


class Sink(FixedPartitionedSink[Item, Any], Generic[Item]):
    """The sink of a partition's flow, built by `build(name, resume state)`."""

    def __init__(
        self,
        partition: str,
        meter: StepMeter,
        build: Callable[[str, Any], StatefulSinkPartition[Item, Any]],
    ) -> None:
        self._partition = partition
        self._meter = meter
        self._build = build

    def list_parts(self) -> list[str]:
        """Return the one partition's name."""
        return [self._partition]

    def build_part(
        self, step_id: str, for_part: str, resume_state: Any
    ) -> StatefulSinkPartition[Item, Any]:
        """Return a partition in the state it had.

        Raises:
            StateError: the state is none that this code reads.
        """
        resume = None if resume_state is None else SCHEMA.current(resume_state)
        return MeteredSink(self._build(f"{step_id}/{for_part}", resume), self._meter)
