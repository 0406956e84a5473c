"""Messages of the log through acquisition and stages once more, judged by two versions of rules.

Nothing here reaches the world, and the only clock is the log's: a message is taken at the time at
which the log stored it. What acquisition would do (ask, acknowledge, set aside) is counted or left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from headrace.backfill.alarms import Alarm, Episodes
from headrace.backfill.past import Past
from headrace.rule_testing import Front, asks_models, statements
from stream_processor import sparkplug
from stream_processor.acquisition import Acquisition, Output
from stream_processor.acquisition_step import take
from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.messages import Message, SetAside
from stream_processor.rules.in_force import InForce, is_rules
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import RuleBook, RuleFile
from stream_processor.sparkplug import BadInputError
from stream_processor.stage_step import GuardedStage
from stream_processor.stages import RuleEvaluation
from stream_processor.stages.items import Outlook

RECEIPT = "REPLAYED"
STAGE_FAILED = "STAGE_FAILED"

log = structlog.get_logger(__name__)


@dataclass
class Outcome:
    """What came of a range: alarms by the rules in force then, and by those that are tried.

    `counts` are those of acquisition within the range, `dead_letters` are by reason; `spans` are
    the first and last event time judged of each machine by `{site}/{equipment}`. `waiting` batches
    were still held when the range ended. `unbound` maps machine and rule to why it does not apply.
    """

    then: list[Alarm] = field(default_factory=list)
    now: list[Alarm] = field(default_factory=list)
    messages: int = 0
    observations: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    unbound: dict[tuple[str, str], str] = field(default_factory=dict)


class Rerun:
    """A range of the log, message by message, with the state of before it begun anew.

    `tried` maps classes to the files that are tried on them; when there are none, the rules that
    were in force then are judged by, of all classes. `chosen` says which machines are judged.
    """

    def __init__(
        self,
        since_ms: int,
        past: Past,
        starting: RuleBook,
        tried: Mapping[str, RuleFile],
        lateness_s: float = 0.0,
        chosen: Callable[[EquipmentInfo], bool] = lambda _: True,
    ) -> None:
        self.outcome = Outcome()
        self._since_ms = since_ms
        self._tried = tried
        self._lateness_s = lateness_s
        self._chosen = chosen
        self._in_force = InForce(starting)
        self._models = {
            file.equipment_class
            for file in (*starting.files.values(), *past.files, *tried.values())
            if asks_models(file)
        }
        self._nodes: dict[str, Acquisition] = {}
        self._later = dict(past.later)
        self._fronts: dict[str, Front] = {}
        self._then, self._now = _Version(since_ms), _Version(since_ms)
        self._before: Counter[str] | None = None
        for message in past.rules:
            with suppress(RuleFileError):
                self._in_force.take(message.subject, message.payload)
        for message in past.births:
            self._node(message).acquaint(message)

    @property
    def rules(self) -> set[str]:
        """The ids of all rules that are in force at this place, or tried."""
        files = [*self._in_force.book.files.values(), *self._tried.values()]
        return {rule.id for file in files for rule in file.rules}

    def take(self, message: Message) -> None:
        """Take the next message of the log."""
        if self._before is None and message.received_ms >= self._since_ms:
            self._before = self._counts()
        if message.received_ms >= self._since_ms:
            self.outcome.messages += 1
        if is_rules(message.subject):
            try:
                self._in_force.take(message.subject, message.payload)
            except RuleFileError:
                self._set_aside("INVALID_RULES", message.received_ms)
            return
        self._recall(message)
        node, now = self._node(message), message.received_ms / 1000
        self._tick(node, now)
        self._follow(take(node, message, now), message.received_ms)

    def finish(self, until_ms: int) -> Outcome:
        """Let the time of the log come to `until_ms`, and return what came of the range."""
        for node in self._nodes.values():
            self._tick(node, until_ms / 1000)
        outcome = self.outcome
        counts = self._counts()
        outcome.counts = counts - (counts if self._before is None else self._before)
        outcome.waiting = sum(node.held for node in self._nodes.values())
        outcome.now = self._now.episodes.alarms()
        outcome.then = self._then.episodes.alarms() if self._tried else outcome.now
        outcome.unbound = self._now.unbound()
        return outcome

    def _counts(self) -> Counter[str]:
        return sum((node.counts for node in self._nodes.values()), Counter[str]())

    def _node(self, message: Message) -> Acquisition:
        key = message.node_key
        if key not in self._nodes:
            self._nodes[key] = Acquisition(self._lateness_s)
        return self._nodes[key]

    def _recall(self, message: Message) -> None:
        """Read the first data of a node by later births of the same boot, if the log lost its."""
        if not self._later or message.levels[1] not in ("DDATA", "NDATA"):
            return
        births = self._later.pop(message.node_key, None)
        if births is None:
            return
        node = self._node(message)
        try:
            payload = sparkplug.parse(message.payload)
            epoch = sparkplug.numbers(payload, node.births.aliases).epoch
        except BadInputError:
            self._later[message.node_key] = births
            return
        for boot_epoch, birth in births:
            _, kind, _, *equipment = birth.levels
            known = (
                node.births.boot_epoch is not None
                if kind == "NBIRTH"
                else node.births.of("".join(equipment), boot_epoch or 0) is not None
            )
            if boot_epoch == epoch and not known:
                node.acquaint(birth)

    def _tick(self, node: Acquisition, now: float) -> None:
        """Do what is due up to `now`, each at its time, as the clock of the live flow has it."""
        while (due := node.due()) is not None and due <= now:
            self._follow(node.tick(due), due * 1000)

    def _follow(self, found: list[Output], stored_ms: float) -> None:
        for item in found:
            if isinstance(item, SetAside):
                self._set_aside(item.reason, stored_ms)
            elif isinstance(item, Frame) and not item.late:
                self._judge(item, stored_ms)

    def _set_aside(self, reason: str, stored_ms: float) -> None:
        if stored_ms >= self._since_ms and reason != RECEIPT:
            self.outcome.dead_letters[reason] += 1

    def _judge(self, frame: Frame, stored_ms: float) -> None:
        info = frame.info
        name = info.equipment_class
        if not self._chosen(info) or (self._tried and name not in self._tried):
            return
        front = self._fronts.get(info.key)
        if front is None:
            front = self._fronts[info.key] = Front(name in self._models, _guarded)
        book = self._in_force.book
        try:
            outlook = front.feed(frame)
            if self._tried:
                self._then.judge(outlook, book.of(name), stored_ms)
            self._now.judge(outlook, self._tried.get(name) or book.of(name), stored_ms)
        except Exception:
            log.exception("a stage failed", equipment=info.key, log=frame.log_sequence)
            self._set_aside(STAGE_FAILED, stored_ms)
            return
        if stored_ms >= self._since_ms:
            times = [o.time_ms for o in outlook.assessment.detections.features.observations]
            self.outcome.observations += len(times)
            if times:
                first, last = self.outcome.spans.get(info.key, (times[0], times[0]))
                self.outcome.spans[info.key] = min(first, *times), max(last, *times)


@dataclass
class _Version:
    """What one version of the rules says of all machines."""

    since_ms: int
    episodes: Episodes = field(init=False)
    _stages: dict[str, GuardedStage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.episodes = Episodes(self.since_ms)

    def judge(self, outlook: Outlook, file: RuleFile, stored_ms: float) -> None:
        """Judge a machine's frame by a file."""
        key = outlook.assessment.detections.features.frame.info.key
        stage = self._stages.get(key)
        if stage is None:
            stage = self._stages[key] = _guarded("rule_evaluation", RuleEvaluation)
        for said in statements(stage.update(_ruled(outlook, file))):
            self.episodes.hear(said, stored_ms)

    def unbound(self) -> dict[tuple[str, str], str]:
        """Return which rules do not apply to which machine, and why."""
        evaluations: dict[str, Any] = {key: s.restore() for key, s in self._stages.items()}
        return {
            (key, rule): reason
            for key, evaluation in evaluations.items()
            for rule, reason in evaluation.unbound.items()
        }


def _guarded(name: str, kind: type) -> GuardedStage:
    return GuardedStage(kind, name, None)


def _ruled(outlook: Outlook, file: RuleFile) -> Outlook:
    """Return the outlook with the rules that its frame is judged by."""
    assessment = outlook.assessment
    detections = assessment.detections
    features = detections.features
    ruled = replace(features, frame=replace(features.frame, rules=file))
    return replace(
        outlook,
        assessment=replace(assessment, detections=replace(detections, features=ruled)),
    )
