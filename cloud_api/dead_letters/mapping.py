"""From rows to messages, and between the contract's enumerations and ours."""

from __future__ import annotations

from cloud_api.dead_letters.models import LetterRow, RunRow, StepRow
from cloud_api.dead_letters.treatment import refusal
from cloud_api.v1 import dead_letters_pb2 as pb
from cloud_api.v1 import historian_pb2
from erp_modules.kernel.fields import timestamp_of


def state_name(state: pb.DeadLetterState.ValueType) -> str:
    """Return the stored name of a state."""
    return pb.DeadLetterState.Name(state).removeprefix("DEAD_LETTER_STATE_")


def _state(stored: str) -> pb.DeadLetterState.ValueType:
    return pb.DeadLetterState.Value(f"DEAD_LETTER_STATE_{stored}")


def _outcome(stored: str) -> pb.ReplayOutcome.ValueType:
    return pb.ReplayOutcome.Value(f"REPLAY_OUTCOME_{stored or 'UNSPECIFIED'}")


def _name(collection: str, id: str) -> str:
    return f"{collection}/{id}" if id else ""


def letter_message(row: LetterRow) -> historian_pb2.SetAsideMessage:
    """Return a dead letter as lists show it."""
    return historian_pb2.SetAsideMessage(
        name=f"deadLetters/{row.id}",
        reason=row.reason,
        detail=row.detail,
        topic=row.topic,
        receive_time=timestamp_of(row.receive_time),
        site=row.site,
        edge_node=row.edge_node,
        equipment=row.equipment,
        state=_state(row.state),
        outcome=_outcome(row.outcome),
        log_sequence=row.log_sequence,
        trace_id=row.trace_id,
        size_bytes=row.size_bytes,
        replay_of=_name("deadLetters", row.replay_of),
        etag=row.etag,
        replay_refusal=refusal(row),
    )


def step_message(row: StepRow) -> pb.DeadLetterStep:
    """Return what was done about a dead letter."""
    return pb.DeadLetterStep(
        action=row.action,
        principal=row.principal,
        time=timestamp_of(row.create_time),
        reason=row.why,
        changes=row.changes.changes,
        outcome=_outcome(row.outcome),
        outcome_detail=row.outcome_detail,
        log_sequence=row.log_sequence,
        next=_name("deadLetters", row.next_id),
        run=_name("replayRuns", row.run_id),
        payload=row.payload or b"",
    )


def count_message(counted: tuple[str, str, str, str, int]) -> pb.DeadLetterCount:
    """Return how many are alike."""
    reason, state, site, edge_node, count = counted
    return pb.DeadLetterCount(
        reason=reason, state=_state(state), site=site, edge_node=edge_node, count=count
    )


def run_message(row: RunRow) -> pb.ReplayRun:
    """Return how far a run is."""
    return pb.ReplayRun(
        name=f"replayRuns/{row.id}",
        site=row.site,
        filter=row.request.filter,
        fix=row.request.fix if row.request.HasField("fix") else None,
        reason=row.request.reason,
        principal=row.principal,
        create_time=timestamp_of(row.create_time),
        rate=row.rate,
        discard=row.discard,
        state=pb.ReplayRunState.Value(f"REPLAY_RUN_STATE_{row.state}"),
        total=row.total,
        done=row.done,
        skipped=row.skipped,
        skip_detail=row.skip_detail,
    )
