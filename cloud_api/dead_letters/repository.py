"""All SQL of dead letters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import ColumnElement, delete, func, select

from cloud_api.dead_letters.models import LetterRow, RunRow, StepRow
from cloud_api.v1 import dead_letters_pb2 as pb
from erp_modules.kernel.fields import time_of
from erp_modules.kernel.repository import Repository


def found_by(given: pb.DeadLetterFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter; what it leaves out lets everything pass."""
    where: list[ColumnElement[bool]] = []
    if given.site:
        where.append(LetterRow.site == given.site)
    if given.reasons:
        where.append(LetterRow.reason.in_(sorted(given.reasons)))
    if given.edge_node:
        where.append(LetterRow.edge_node == given.edge_node)
    if given.HasField("start_time"):
        where.append(LetterRow.receive_time >= time_of(given.start_time))
    if given.HasField("end_time"):
        where.append(LetterRow.receive_time < time_of(given.end_time))
    return where


class LetterRepository(Repository[LetterRow]):
    """Dead letters by their place in the stream."""

    model = LetterRow
    collection = "deadLetters"
    order_fields: ClassVar = {"stream_sequence": LetterRow.stream_sequence}
    default_order = "stream_sequence desc"

    def of(self, ids: Collection[str]) -> dict[str, LetterRow]:
        """Return those that are known of some ids."""
        return {row.id: row for row in self.all(LetterRow.id.in_(sorted(ids)))}

    def set_aside_at(self, log_sequence: int, but: str) -> LetterRow | None:
        """Return what a message of the telemetry log became, other than `but`."""
        return self.first(
            LetterRow.log_sequence == log_sequence,
            LetterRow.id == f"telemetry-{log_sequence}",
            LetterRow.id != but,
        )

    def counts(self, *where: ColumnElement[bool]) -> Sequence[tuple[str, str, str, str, int]]:
        """Return reason, state, site, edge node and how many there are."""
        columns = (LetterRow.reason, LetterRow.state, LetterRow.site, LetterRow.edge_node)
        statement = (
            select(*columns, func.count()).where(*where).group_by(*columns).order_by(*columns)
        )
        return [
            (r, s, site, node, int(n)) for r, s, site, node, n in self.session.execute(statement)
        ]

    def newest(self) -> int:
        """Return the place of the newest, 0 when there is none."""
        return int(self.session.scalar(select(func.max(LetterRow.stream_sequence))) or 0)

    def next_open(self, run: RunRow, size: int) -> Sequence[LetterRow]:
        """Return what a run takes next, oldest first."""
        statement = (
            self.select(
                LetterRow.stream_sequence > run.position,
                LetterRow.stream_sequence <= run.bound,
                LetterRow.state == "OPEN",
                *found_by(run.request.filter),
            )
            .order_by(LetterRow.stream_sequence)
            .limit(size)
        )
        return self.session.scalars(statement).all()

    def forget_before(self, stream_sequence: int) -> None:
        """Forget what the stream does not hold any more."""
        self.session.execute(delete(LetterRow).where(LetterRow.stream_sequence < stream_sequence))


class StepRepository(Repository[StepRow]):
    """What was done, and by whom."""

    model = StepRow
    collection = "deadLetterSteps"

    def of(self, letter_id: str) -> Sequence[StepRow]:
        """Return what was done about a dead letter, oldest first."""
        return self.all(StepRow.letter_id == letter_id, order_by=(StepRow.create_time, StepRow.id))

    def unsent(self, size: int) -> Sequence[StepRow]:
        """Return replays that are not in the log yet, oldest first."""
        statement = (
            self.select(StepRow.outcome == "WAITING", StepRow.log_sequence == 0)
            .order_by(StepRow.create_time, StepRow.id)
            .limit(size)
        )
        return self.session.scalars(statement).all()

    def replayed_at(self, log_sequence: int) -> StepRow | None:
        """Return the replay that is a message of the telemetry log."""
        return self.first(StepRow.log_sequence == log_sequence) if log_sequence else None

    def forget_orphans(self) -> None:
        """Forget what was done about dead letters that are forgotten; the audit trail has it."""
        known = select(LetterRow.id).where(LetterRow.id == StepRow.letter_id).exists()
        self.session.execute(delete(StepRow).where(~known))


class RunRepository(Repository[RunRow]):
    """Runs over many."""

    model = RunRow
    collection = "replayRuns"

    def running(self) -> Sequence[RunRow]:
        """Return those that are not at their end."""
        return self.all(RunRow.state == "RUNNING")
