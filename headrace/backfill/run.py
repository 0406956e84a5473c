"""A backfill from its beginning to its end: the log, the messages of the range, the outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from headrace.backfill import reading
from headrace.backfill.past import Past, past
from headrace.backfill.rerun import Outcome, Rerun
from headrace.backfill.span import Span, SpanError, span, warm_up_s
from stream_processor.frames import EquipmentInfo
from stream_processor.messages import Message
from stream_processor.rules.problems import instead
from stream_processor.rules.rule_file import RuleBook, RuleFile
from stream_processor.settings import Settings

# Messages done, how many there are, and how far the log has been read in milliseconds.
Progress = Callable[[int, int, int], None]


class UnknownRuleError(ValueError):
    """There is no such rule among those in force and those that are tried."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be rerun, and of it what is to be judged; what is empty stands for any.

    Times are those of the log, in milliseconds since the epoch. `warm_up_s` is None for as long as
    the rules need, `rate` messages a second at most, None for as many as there can be.
    """

    since_ms: int
    until_ms: int
    warm_up_s: float | None = None
    tried: Mapping[str, RuleFile] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    site: str = ""
    edge_node: str = ""
    equipment: tuple[str, ...] = ()
    rate: float | None = None

    def chosen(self, info: EquipmentInfo) -> bool:
        """Return whether a machine is judged."""
        return not self.equipment or any(fnmatchcase(info.equipment, p) for p in self.equipment)


class Backfill:
    """One run; what it found so far can be asked for when it is interrupted."""

    def __init__(self, settings: Settings, starting: RuleBook, wanted: Wanted) -> None:
        self._settings = settings
        self._starting = starting
        self._wanted = wanted
        self._rerun: Rerun | None = None
        self.span: Span | None = None
        self.reached_ms = 0

    async def run(self, progress: Progress = lambda _done, _of, _ms: None) -> Outcome:
        """Read the range and return what came of it.

        Raises:
            RuleLogError: the log cannot be read.
            SpanError: it does not hold the range.
            UnknownRuleError: a rule that was asked for is not there.
        """
        wanted = self._wanted
        held, older = await reading.held(self._settings)
        # Whenever they were stored: they were in force before the first message that is left.
        before = [replace(message, received_ms=0) for message in older]
        births = reading.birth_subjects(wanted.site, wanted.edge_node)
        async with aclosing(
            reading.read(self._settings, births, None, held.last_sequence)
        ) as messages:
            async for stored in messages:
                before.append(stored.message)
        files = [*self._starting.files.values(), *wanted.tried.values()]
        files += past(before, 0).files
        if wanted.tried:
            files = [file for file in files if file.equipment_class in wanted.tried]
        warm_up = warm_up_s(files) if wanted.warm_up_s is None else wanted.warm_up_s
        self.span = span(held, wanted.since_ms, wanted.until_ms, warm_up)
        await self._read(self.span, past(before, self.span.start_ms), held.last_sequence, progress)
        outcome = self.outcome()
        if not outcome.messages:
            raise SpanError(f"nothing that was asked for was stored in this range: {held}")
        return outcome

    async def _read(self, span: Span, known: Past, last: int, progress: Progress) -> None:
        wanted = self._wanted
        rerun = self._rerun = Rerun(
            span.since_ms, known, self._starting, wanted.tried, self._settings.lateness_s,
            wanted.chosen,
        )  # fmt: skip
        there = rerun.rules | {rule.id for file in known.files for rule in file.rules}
        for rule in wanted.rules:
            if rule not in there:
                raise UnknownRuleError(f"there is no {rule!r}: {instead(rule, sorted(there))}")
        subjects = reading.subjects(wanted.site, wanted.edge_node)
        batch = max(1, min(reading.BATCH, round(wanted.rate or reading.BATCH)))
        begun = time.monotonic()
        async with aclosing(
            reading.read(self._settings, subjects, span.start_ms, last, batch)
        ) as messages:
            done = 0
            async for stored in messages:
                message: Message = stored.message
                if message.received_ms >= span.until_ms:
                    break
                rerun.take(message)
                done += 1
                self.reached_ms = message.received_ms
                progress(done, done + stored.pending, message.received_ms)
                if wanted.rate is not None:
                    await asyncio.sleep(max(0.0, begun + done / wanted.rate - time.monotonic()))
        self.reached_ms = span.until_ms

    def outcome(self) -> Outcome:
        """Return what came of the range as far as it was read, by the rules that are wanted."""
        if self._rerun is None:
            return Outcome()
        found = self._rerun.finish(self.reached_ms)
        if self._wanted.rules:
            found.now = [a for a in found.now if a.said.rule in self._wanted.rules]
            found.then = [a for a in found.then if a.said.rule in self._wanted.rules]
        return found
