"""Tables: what was set aside, what was done about it, and runs over many.

The bytes stay in the log; here is what lists and counts need, and what people decided.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from cloud_api.v1 import dead_letters_pb2 as pb
from erp_modules.kernel.columns import ProtoMessage, UtcDateTime
from erp_modules.kernel.models import NAMING, Resource


class DeadLetterBase(DeclarativeBase):
    """Base of these tables, which have migrations of their own."""

    metadata = MetaData(naming_convention=NAMING)


class LetterRow(Resource, DeadLetterBase):
    """A dead letter; its id is the one that the flow gave it."""

    __tablename__ = "dead_letters"

    # Where it is in the stream DEADLETTER.
    stream_sequence: Mapped[int] = mapped_column(BigInteger, index=True)
    reason: Mapped[str] = mapped_column(String(32), index=True)
    detail: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)
    edge_node: Mapped[str] = mapped_column(Text)
    equipment: Mapped[str] = mapped_column(Text)
    log_sequence: Mapped[int] = mapped_column(BigInteger, index=True)
    trace_id: Mapped[str] = mapped_column(Text)
    receive_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    size_bytes: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), index=True)
    outcome: Mapped[str] = mapped_column(String(16))
    replay_of: Mapped[str] = mapped_column(String(128))


class StepRow(Resource, DeadLetterBase):
    """A replay or a discard; a replay's id is a pure function of dead letter and content.

    `payload` is what is replayed and `original` what came, both None where they are the same.
    """

    __tablename__ = "dead_letter_steps"

    letter_id: Mapped[str] = mapped_column(String(128), index=True)
    run_id: Mapped[str] = mapped_column(String(128))
    action: Mapped[str] = mapped_column(String(16))
    principal: Mapped[str] = mapped_column(String(128))
    why: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    original: Mapped[bytes | None] = mapped_column(LargeBinary)
    changes: Mapped[pb.DeadLetterStep] = mapped_column(ProtoMessage(pb.DeadLetterStep))
    outcome: Mapped[str] = mapped_column(String(16), index=True)
    outcome_detail: Mapped[str] = mapped_column(Text)
    # In the telemetry log; 0 before it is there.
    log_sequence: Mapped[int] = mapped_column(BigInteger, index=True)
    next_id: Mapped[str] = mapped_column(String(128))


class RunRow(Resource, DeadLetterBase):
    """A run over all that a filter finds, up to the newest when it began."""

    __tablename__ = "dead_letter_runs"

    principal: Mapped[str] = mapped_column(String(128))
    request: Mapped[pb.StartReplayRunRequest] = mapped_column(
        ProtoMessage(pb.StartReplayRunRequest)
    )
    rate: Mapped[int] = mapped_column(Integer)
    discard: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(String(16), index=True)
    total: Mapped[int] = mapped_column(Integer)
    done: Mapped[int] = mapped_column(Integer)
    skipped: Mapped[int] = mapped_column(Integer)
    skip_detail: Mapped[str] = mapped_column(Text)
    # In the stream DEADLETTER: the last one taken, and the last one to take.
    position: Mapped[int] = mapped_column(BigInteger)
    bound: Mapped[int] = mapped_column(BigInteger)
