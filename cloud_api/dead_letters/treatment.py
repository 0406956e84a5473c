"""What is done about a dead letter, in one unit of work each: replay, discard, and their outcome.

States: OPEN → REPLAYED or DISCARDED; a discarded one may still be replayed. Of a replay the outcome
is WAITING, then TAKEN, or SET_ASIDE when it became a dead letter again, or REFUSED: open again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from cloud_api.dead_letters.decoding import NAMESPACE, Birth
from cloud_api.dead_letters.fixing import Fixed, FixRefused, content_hash, fixed
from cloud_api.dead_letters.log import levels_of
from cloud_api.dead_letters.models import LetterRow, StepRow
from cloud_api.dead_letters.repository import LetterRepository, StepRepository
from cloud_api.v1 import dead_letters_pb2 as pb
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import FailedPrecondition, InvalidArgument
from erp_modules.kernel.ids import derived_id
from stream_processor.v1.dead_letter_pb2 import DeadLetter

MAX_WHY = 1000
# Kinds of messages that can be told again; deaths and commands were of their moment.
REPLAYABLE = frozenset({"NBIRTH", "DBIRTH", "NDATA", "DDATA"})


def refusal(row: LetterRow) -> str:
    """Return why a dead letter cannot be replayed, empty when it can."""
    if row.state == "REPLAYED":
        return {
            "WAITING": "its replay is under way",
            "SET_ASIDE": "its replay was set aside: go on with that one",
        }.get(row.outcome, "its replay took effect")
    if row.reason == "REJECTED":
        return ""
    if row.reason == "INVALID_RULES":
        return "put a mended rule file in force instead"
    kind = levels_of(row.topic)[1]
    if not row.topic.startswith(NAMESPACE) or not kind:
        return "only what the plant sent can be replayed"
    if kind not in REPLAYABLE:
        return f"a message {kind} was of its moment"
    return ""


def fix_of(row: LetterRow, letter: DeadLetter, fix: pb.DeadLetterFix, birth: Birth) -> Fixed:
    """Return what is to be replayed.

    Raises:
        InvalidArgument: the fix cannot be made; the error names its field.
    """
    if row.reason == "REJECTED" and fix != pb.DeadLetterFix():
        raise InvalidArgument.field("fix", "an advisory is replayed as it is")
    try:
        return fixed(letter.topic, letter.payload, fix, birth)
    except FixRefused as error:
        raise InvalidArgument.field(f"fix.{error.field}", str(error)) from error


def replay(
    ctx: Context,
    row: LetterRow,
    letter: DeadLetter,
    made: Fixed,
    why: str,
    *,
    etag: str = "",
    run: str = "",
) -> bool:
    """Decide that a dead letter is replayed with the content `made`; it is sent after the commit.

    Returns False, and changes nothing, when the same content was replayed before.

    Raises:
        FailedPrecondition: its state or its kind does not allow it.
        Aborted: `etag` is out of date.
    """
    steps = StepRepository(ctx)
    id = derived_id("rpl", row.id, content_hash(made.topic, made.payload))
    step = steps.find(id)
    if step is not None and step.outcome != "REFUSED":
        return False
    LetterRepository(ctx).check_etag(row, etag)
    if reason := refusal(row):
        raise FailedPrecondition(f"deadLetters/{row.id}: {reason}")
    if step is None:
        changed = made.payload != letter.payload
        steps.add(
            StepRow(
                id=id,
                site=row.site,
                letter_id=row.id,
                run_id=run,
                action="REPLAYED",
                principal=ctx.principal.id,
                why=why,
                topic=made.topic,
                payload=made.payload if changed else None,
                original=letter.payload if changed else None,
                changes=pb.DeadLetterStep(changes=made.changes),
                outcome="WAITING",
                outcome_detail="",
                log_sequence=0,
                next_id="",
            )
        )
    else:
        step.outcome, step.outcome_detail = "WAITING", ""
        step.why, step.principal = why, ctx.principal.id
    row.state, row.outcome = "REPLAYED", "WAITING"
    _record(ctx, "replay", row, why, run, letter.payload, made.changes)
    ctx.session.flush()
    return True


def discard(ctx: Context, row: LetterRow, why: str, *, etag: str = "", run: str = "") -> bool:
    """Say that a dead letter is not wanted; return False when that was said before.

    Raises:
        FailedPrecondition: it was replayed.
        Aborted: `etag` is out of date.
    """
    if row.state == "DISCARDED":
        return False
    LetterRepository(ctx).check_etag(row, etag)
    if row.state == "REPLAYED":
        raise FailedPrecondition(f"deadLetters/{row.id}: {refusal(row)}")
    StepRepository(ctx).add(
        StepRow(
            id=ctx.new_id("dsc"),
            site=row.site,
            letter_id=row.id,
            run_id=run,
            action="DISCARDED",
            principal=ctx.principal.id,
            why=why,
            topic=row.topic,
            changes=pb.DeadLetterStep(),
            outcome="",
            outcome_detail="",
            log_sequence=0,
            next_id="",
        )
    )
    row.state, row.outcome = "DISCARDED", ""
    _record(ctx, "discard", row, why, run, None, ())
    ctx.session.flush()
    return True


def _record(
    ctx: Context,
    verb: str,
    row: LetterRow,
    why: str,
    run: str,
    original: bytes | None,
    changes: Sequence[pb.PayloadChange],
) -> None:
    detail: dict[str, object] = {"reason": why}
    if run:
        detail["run"] = f"replayRuns/{run}"
    if original is not None:
        detail["original"] = {
            "bytes": len(original),
            "sha256": hashlib.sha256(original).hexdigest(),
        }
    if changes:
        detail["changes"] = [
            {"what": c.what, "before": c.before, "after": c.after} for c in changes
        ]
    ctx.record(
        f"dead_letter.{verb}",
        f"deadLetters/{row.id}",
        site=row.site,
        detail=json.dumps(detail, ensure_ascii=False),
    )


def sent(ctx: Context, step_id: str, log_sequence: int) -> None:
    """Note where a replay is in the log."""
    step = StepRepository(ctx).find(step_id)
    if step is None or step.log_sequence:
        return
    step.log_sequence = log_sequence
    ctx.session.flush()
    # The flow may have been faster than we are.
    became = LetterRepository(ctx).set_aside_at(log_sequence, but=step.letter_id)
    if became is not None:
        set_aside_again(ctx, became)


def taken(ctx: Context, step_id: str, detail: str) -> None:
    """Note that a replay took effect."""
    step = StepRepository(ctx).find(step_id)
    if step is not None and step.outcome == "WAITING":
        _settle(ctx, step, "TAKEN", detail)


def refused(ctx: Context, step_id: str, detail: str) -> None:
    """Note that who a replay was for refused it: the dead letter is open again."""
    step = StepRepository(ctx).find(step_id)
    if step is not None and step.outcome == "WAITING":
        _settle(ctx, step, "REFUSED", detail)


def set_aside_again(ctx: Context, became: LetterRow) -> None:
    """Note that a replay became the dead letter `became`, which then names the first."""
    steps = StepRepository(ctx)
    # Other streams count too, and a log that was made anew counts from 1 again.
    is_telemetry = became.id == f"telemetry-{became.log_sequence}"
    step = steps.replayed_at(became.log_sequence) if is_telemetry else None
    if step is None and became.replay_of:
        replays = [s for s in steps.of(became.replay_of) if s.action == "REPLAYED"]
        step = next((s for s in reversed(replays) if not s.log_sequence), None)
    if step is None or step.letter_id == became.id or step.topic != became.topic:
        return
    became.replay_of, step.next_id = step.letter_id, became.id
    _settle(ctx, step, "SET_ASIDE", became.detail)


def _settle(ctx: Context, step: StepRow, outcome: str, detail: str) -> None:
    step.outcome, step.outcome_detail = outcome, detail
    row = LetterRepository(ctx).find(step.letter_id)
    if row is not None and row.state == "REPLAYED":
        row.outcome = outcome
        if outcome == "REFUSED":
            row.state = "OPEN"
    ctx.session.flush()
