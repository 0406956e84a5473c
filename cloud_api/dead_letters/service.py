"""Dead letters for a caller: listed, inspected, fixed, replayed and discarded."""

from __future__ import annotations

from cloud_api.dead_letters.decoding import NO_BIRTH, decode
from cloud_api.dead_letters.log import DeadLetterLog
from cloud_api.dead_letters.mapping import (
    count_message,
    letter_message,
    run_message,
    state_name,
    step_message,
)
from cloud_api.dead_letters.models import LetterRow, RunRow
from cloud_api.dead_letters.reasons import reason_of
from cloud_api.dead_letters.repository import (
    LetterRepository,
    RunRepository,
    StepRepository,
    found_by,
)
from cloud_api.dead_letters.treatment import MAX_WHY, discard, fix_of, refusal, replay
from cloud_api.v1 import dead_letters_pb2 as pb
from cloud_api.v1 import historian_pb2
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import FailedPrecondition, InvalidArgument, NotFound
from erp_modules.kernel.fields import require
from erp_modules.kernel.identifiers import check_lengths
from erp_modules.kernel.service import Service
from stream_processor.v1.dead_letter_pb2 import DeadLetter

SetAsideMessage = historian_pb2.SetAsideMessage
# Letters a second of a run, unless it says so, and at most.
USUAL_RATE = 50
MAX_RATE = 1000


class DeadLetterService(Service):
    """What the flow set aside, and what becomes of it."""

    contract = historian_pb2.DESCRIPTOR.services_by_name["DeadLetterService"]

    def __init__(self, log: DeadLetterLog) -> None:
        self._log = log

    def list_dead_letters(
        self, ctx: Context, request: historian_pb2.ListDeadLettersRequest
    ) -> historian_pb2.ListDeadLettersResponse:
        """List, newest first."""
        if request.site:
            ctx.require_site(request.site)
        self._log.catch_up()
        given = pb.DeadLetterFilter(
            site=request.site, reasons=request.reasons, edge_node=request.edge_node
        )
        for name in ("start_time", "end_time"):
            if request.HasField(name):
                getattr(given, name).CopyFrom(getattr(request, name))
        where = found_by(given)
        if request.states:
            where.append(LetterRow.state.in_(sorted(map(state_name, request.states))))
        page = LetterRepository(ctx).page(*where, size=request.page_size, token=request.page_token)
        return historian_pb2.ListDeadLettersResponse(
            dead_letters=map(letter_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def summarise_dead_letters(
        self, ctx: Context, request: pb.SummariseDeadLettersRequest
    ) -> pb.SummariseDeadLettersResponse:
        """Count those that are alike."""
        if request.site:
            ctx.require_site(request.site)
        self._log.catch_up()
        counts = LetterRepository(ctx).counts(*found_by(pb.DeadLetterFilter(site=request.site)))
        return pb.SummariseDeadLettersResponse(counts=map(count_message, counts))

    def get_dead_letter(self, ctx: Context, request: pb.GetDeadLetterRequest) -> SetAsideMessage:
        """Return one with its bytes, decoded, and its history."""
        require(request, "name")
        self._log.catch_up()
        row = LetterRepository(ctx).get_by_name(request.name)
        return self._whole(ctx, row, self._log.letter(row.stream_sequence, row.id))

    def _whole(self, ctx: Context, row: LetterRow, letter: DeadLetter | None) -> SetAsideMessage:
        found = letter_message(row)
        reason = reason_of(row.reason)
        found.explanation, found.advice = reason.explanation, reason.advice
        found.history.extend(map(step_message, StepRepository(ctx).of(row.id)))
        if letter is not None:
            found.payload = letter.payload
            found.decoded.CopyFrom(
                decode(letter.topic, letter.payload, self._log.birth(letter.topic))
            )
        elif not found.replay_refusal:
            found.replay_refusal = "its bytes are no longer in the log"
        return found

    def _letter(self, row: LetterRow) -> DeadLetter:
        letter = self._log.letter(row.stream_sequence, row.id)
        if letter is None:
            raise NotFound(f"deadLetters/{row.id}: its bytes are no longer in the log")
        return letter

    def preview_dead_letter_fix(
        self, ctx: Context, request: pb.PreviewDeadLetterFixRequest
    ) -> pb.PreviewDeadLetterFixResponse:
        """Return what a fix would change."""
        require(request, "name")
        self._log.catch_up()
        row = LetterRepository(ctx).get_by_name(request.name)
        if reason := refusal(row):
            raise FailedPrecondition(f"{request.name}: {reason}")
        letter = self._letter(row)
        birth = self._log.birth(letter.topic)
        made = fix_of(row, letter, request.fix, birth)
        if made.topic != letter.topic:
            birth = self._log.birth(made.topic)
        return pb.PreviewDeadLetterFixResponse(
            changes=made.changes,
            topic=made.topic,
            payload=made.payload,
            decoded=decode(made.topic, made.payload, birth),
        )

    def replay_dead_letter(
        self, ctx: Context, request: pb.ReplayDeadLetterRequest
    ) -> SetAsideMessage:
        """Decide that it is replayed, fixed or as it came; the same content once."""
        require(request, "name", "reason")
        check_lengths(request, prefix="", reason=MAX_WHY)
        row = LetterRepository(ctx).get_by_name(request.name)
        letter = self._letter(row)
        birth = self._log.birth(letter.topic) if request.fix.edits else NO_BIRTH
        made = fix_of(row, letter, request.fix, birth)
        replay(ctx, row, letter, made, request.reason, etag=request.etag)
        return self._whole(ctx, row, letter)

    def discard_dead_letter(
        self, ctx: Context, request: pb.DiscardDeadLetterRequest
    ) -> SetAsideMessage:
        """Say that it is not wanted."""
        require(request, "name", "reason")
        check_lengths(request, prefix="", reason=MAX_WHY)
        row = LetterRepository(ctx).get_by_name(request.name)
        letter = self._log.letter(row.stream_sequence, row.id)
        discard(ctx, row, request.reason, etag=request.etag)
        return self._whole(ctx, row, letter)

    # runs --------------------------------------------------------------------------------------

    def start_replay_run(self, ctx: Context, request: pb.StartReplayRunRequest) -> pb.ReplayRun:
        """Begin a run, or only say how many it would take."""
        require(request, "filter", *(() if request.validate_only else ("reason",)))
        check_lengths(request, prefix="", reason=MAX_WHY)
        if not 0 <= request.rate <= MAX_RATE:
            raise InvalidArgument.field("rate", f"{request.rate} is not between 1 and {MAX_RATE}")
        if request.discard and request.HasField("fix"):
            raise InvalidArgument.field("fix", "what is discarded is not fixed")
        site = _site_of_run(ctx, request.filter.site)
        request.filter.site = site
        letters = LetterRepository(ctx)
        row = RunRow(
            id=ctx.new_id("run"),
            site=site,
            principal=ctx.principal.id,
            request=request,
            rate=request.rate or USUAL_RATE,
            discard=request.discard,
            state="RUNNING",
            total=letters.count(LetterRow.state == "OPEN", *found_by(request.filter)),
            done=0,
            skipped=0,
            skip_detail="",
            position=0,
            bound=letters.newest(),
        )
        if request.validate_only:
            answer = run_message(row)
            answer.name = ""
            answer.state = pb.REPLAY_RUN_STATE_UNSPECIFIED
            return answer
        return run_message(RunRepository(ctx).add(row))

    def get_replay_run(self, ctx: Context, request: pb.GetReplayRunRequest) -> pb.ReplayRun:
        """Return how far a run is."""
        require(request, "name")
        return run_message(_run(ctx, request.name))

    def list_replay_runs(
        self, ctx: Context, request: pb.ListReplayRunsRequest
    ) -> pb.ListReplayRunsResponse:
        """List runs, newest first."""
        where = [] if ctx.sites is None else [RunRow.site.in_(sorted(ctx.sites))]
        page = RunRepository(ctx).page(*where, size=request.page_size, token=request.page_token)
        return pb.ListReplayRunsResponse(
            replay_runs=map(run_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    def cancel_replay_run(self, ctx: Context, request: pb.CancelReplayRunRequest) -> pb.ReplayRun:
        """Let a run take no more."""
        require(request, "name")
        row = _run(ctx, request.name)
        if row.state == "RUNNING":
            row.state = "CANCELLED"
            RunRepository(ctx).flush()
        return run_message(row)


def _run(ctx: Context, name: str) -> RunRow:
    """Return a run; one over every site is for whoever may see them all."""
    row = RunRepository(ctx).get_by_name(name)
    if not row.site and ctx.sites is not None:
        raise NotFound(f"{name} does not exist")
    return row


def _site_of_run(ctx: Context, site: str) -> str:
    """Return the site of a run; who may see some sites only has to say which."""
    if site:
        ctx.require_site(site)
        return site
    if ctx.sites is None:
        return ""
    if len(ctx.sites) == 1:
        return next(iter(ctx.sites))
    raise InvalidArgument.field("filter.site", "say which site: you may see some of them only")
