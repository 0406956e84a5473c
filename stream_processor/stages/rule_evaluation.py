"""Rule evaluation: what users' rules say of one machine, beside what the models found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from stream_processor.frames import EquipmentInfo
from stream_processor.rules.binding import BoundRule, Gauge, Moment, Source, bind, bind_mode
from stream_processor.rules.condition import Condition, Transition
from stream_processor.rules.definitions import (
    CrossChannel,
    ExpressionRule,
    RateOfChange,
)
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import Rule, RuleFile, unpack
from stream_processor.rules.vocabulary import FAILURE_MODES, SEVERITIES
from stream_processor.rules.windows import Window
from stream_processor.schema import Schema
from stream_processor.stages.identity import advisory_id
from stream_processor.stages.items import Catalogue, Outlook, Reading, Verdict

SCHEMA = Schema("rule evaluation")


@dataclass
class _Held:
    """What is remembered of a rule on this machine.

    `fingerprint` is of what was judged, `wording` what was told last, `windows` are those of each
    gauge by its key. All three are the rule's own words, so that it can be ended when it is gone.
    """

    condition: Condition
    fingerprint: str
    version: str
    wording: tuple[str, str, str]
    windows: dict[str, list[Window]]


class RuleEvaluation:
    """Judge one machine by the rules of its class.

    The rules come with the frames: a frame without any goes on with those of the frame before. A
    rule that is judged as before goes on where it was, whatever the version of its file; one that
    is judged otherwise keeps an alarm that stands, and ends it by its new limit; one that is gone
    ends it.
    """

    def __init__(self) -> None:
        self._file: RuleFile | None = None
        self._held: dict[str, _Held] = {}
        self._mode_since: dict[str, int] = {}
        self._known: Catalogue | None = None
        self._bound: tuple[BoundRule, ...] = ()
        self._modes: dict[str, Source | str] = {}
        self._adopted = False

    @property
    def unbound(self) -> dict[str, str]:
        """The rules that do not apply to this machine, and why."""
        return {b.rule.id: b.reason for b in self._bound if not b.gauges}

    def update(self, item: Outlook) -> Outlook:
        """Return the outlook with what the rules say."""
        features = item.assessment.detections.features
        frame = features.frame
        if not features.observations:
            return item
        if frame.rules is not None and frame.rules is not self._file:
            self._file, self._adopted = frame.rules, False
        if self._file is None or not (self._file.rules or self._held):
            return item
        verdicts: list[Verdict] = []
        if not self._adopted:
            self._adopt(self._file, frame.info, verdicts)
        if not self._adopted or features.catalogue is not self._known:
            self._bind(self._file, features.catalogue)
            self._adopted = True
        shadows: dict[str, list[float]] = {
            b.rule.id: [] for b in self._bound if b.rule.shadow and b.gauges
        }
        for at, (deviation, condition, remaining) in enumerate(
            zip(
                item.assessment.detections.deviations,
                item.assessment.conditions,
                item.remaining,
                strict=True,
            )
        ):
            moment = Moment(frame, deviation, condition, remaining)
            there = self._follow_modes(self._file, moment)
            for bound in self._bound:
                if bound.gauges:
                    self._judge(bound, moment, at, there, verdicts)
            for rule, values in shadows.items():
                values.append(float(self._held[rule].condition.raised))
        if not verdicts and not shadows:
            return item
        return replace(
            item,
            verdicts=tuple(verdicts),
            shadows={rule: tuple(values) for rule, values in shadows.items()},
        )

    def _adopt(self, file: RuleFile, info: EquipmentInfo, verdicts: list[Verdict]) -> None:
        """Go over to a file: end what is gone, tell what is told otherwise."""
        version = f"{file.equipment_class}/{file.version}"
        rules = {rule.id: rule for rule in file.rules if rule.concerns(info.equipment)}
        for name in [name for name in self._held if name not in rules]:
            held = self._held.pop(name)
            if held.condition.told:
                verdicts.append(self._say(name, held, "clear", 0, ()))
        for name, rule in rules.items():
            held = self._held.setdefault(
                name, _Held(Condition(), rule.fingerprint, version, rule.wording, {})
            )
            if held.fingerprint != rule.fingerprint:
                held.fingerprint = rule.fingerprint
                held.windows = {}
                held.condition.wait()
            reworded, held.wording = held.wording != rule.wording, rule.wording
            condition = held.condition
            if condition.told and rule.shadow:
                verdicts.append(self._say(name, held, "clear", 0, ()))
            elif condition.told and reworded:
                verdicts.append(self._say(name, held, "update", 0, ()))
            held.version = version
            if condition.raised and not condition.told and not rule.shadow:
                self._begin(name, held, info)
                verdicts.append(self._say(name, held, "raise", 0, ()))
        modes = file.modes
        self._mode_since = {n: since for n, since in self._mode_since.items() if n in modes}

    def _bind(self, file: RuleFile, known: Catalogue) -> None:
        self._known = known
        self._modes = {name: bind_mode(mode, known) for name, mode in file.modes.items()}
        self._bound = tuple(bind(rule, known, self._modes) for rule in file.rules)

    def _follow_modes(self, file: RuleFile, moment: Moment) -> Mapping[str, bool]:
        """Return in which operating modes the machine is; what is not known changes nothing."""
        there = {}
        for name, source in self._modes.items():
            if isinstance(source, str):
                continue
            mode, value = file.modes[name], source.read(moment)
            if math.isfinite(value):
                if mode.above < value < mode.below:
                    since = self._mode_since.setdefault(name, moment.time_ms)
                    self._mode_since[name] = min(since, moment.time_ms)
                else:
                    self._mode_since.pop(name, None)
            begun = self._mode_since.get(name)
            there[name] = begun is not None and moment.time_ms - begun >= mode.for_ms
        return there

    def _judge(
        self,
        bound: BoundRule,
        moment: Moment,
        at: int,
        there: Mapping[str, bool],
        verdicts: list[Verdict],
    ) -> None:
        rule = bound.rule
        held = self._held[rule.id]
        condition = held.condition
        if not all(there[name] for name in rule.table.when):
            # What is measured in another mode says nothing of this one.
            condition.wait()
            held.windows.clear()
            return
        measured = [(gauge, *_measure(gauge, moment, held.windows)) for gauge in bound.gauges]
        gauge, value, values = _worst(rule, measured)
        over, back = _judged(rule, value)
        transition = condition.step(over, back, moment.time_ms, rule.on_ms, rule.off_ms)
        if transition == "none":
            return
        if transition == "raise":
            condition.channel = next((s.channel for s in gauge.sources if s.channel), "")
            condition.advisory_id = ""
            if not rule.shadow:
                self._begin(rule.id, held, moment.frame.info)
        elif not condition.told and not rule.shadow:
            return
        readings = _readings(rule, gauge, value, values)
        verdicts.append(self._say(rule.id, held, transition, at, readings, rule.shadow))

    def _begin(self, name: str, held: _Held, info: EquipmentInfo) -> None:
        """Give a finding its id, a function of rule, version, machine and window start."""
        condition = held.condition
        condition.told, condition.revision = True, 0
        condition.advisory_id = advisory_id(
            f"rule/{name}", info, condition.window_start_ms, held.version
        )

    @staticmethod
    def _say(
        name: str,
        held: _Held,
        transition: Transition,
        at: int,
        readings: tuple[Reading, ...],
        shadow: bool = False,
    ) -> Verdict:
        assert transition != "none"
        condition = held.condition
        if not shadow:
            condition.revision += 1
        if transition == "clear":
            condition.told = False
        severity, failure_mode, summary = held.wording
        return Verdict(
            at,
            name,
            f"rules/{held.version}",
            transition,
            shadow,
            condition.advisory_id,
            condition.revision,
            SEVERITIES[severity],
            FAILURE_MODES[failure_mode],
            summary,
            condition.window_start_ms,
            condition.channel,
            readings,
        )

    def state(self) -> dict[str, Any]:
        """Return the rules in force, as text, and what is remembered of each."""
        return {
            "schema": SCHEMA.version,
            "file": None if self._file is None else self._file.packed,
            "modes": dict(self._mode_since),
            "rules": {
                name: {
                    "condition": held.condition.state(),
                    "fingerprint": held.fingerprint,
                    "version": held.version,
                    "wording": held.wording,
                    "windows": {k: [w.state() for w in ws] for k, ws in held.windows.items()},
                }
                for name, held in self._held.items()
            },
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the stage in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        stage = cls()
        try:
            stage._file = None if state["file"] is None else unpack(state["file"])
        except RuleFileError:
            # Rules of older code that are none any more; the next frame brings those in force.
            stage._file = None
        stage._mode_since = dict(state["modes"])
        for name, held in state["rules"].items():
            stage._held[name] = _Held(
                Condition.restore(held["condition"]),
                held["fingerprint"],
                held["version"],
                held["wording"],
                {k: [Window.restore(w) for w in ws] for k, ws in held["windows"].items()},
            )
        return stage


def _measure(
    gauge: Gauge, moment: Moment, windows: dict[str, list[Window]]
) -> tuple[float, list[float]]:
    """Return the number a gauge comes to, and what it read."""
    values = [source.read(moment) for source in gauge.sources]
    own: list[Window] = []
    if gauge.spans:
        own = windows.setdefault(gauge.key, [Window(seconds) for seconds in gauge.spans])
    return gauge.compute(values, moment.time_ms, own), values


def _worst(
    rule: Rule, measured: list[tuple[Gauge, float, list[float]]]
) -> tuple[Gauge, float, list[float]]:
    """Return the gauge that is furthest out; one that is not known only when none is."""
    side = rule.limit.side if rule.limit else 1
    known = [found for found in measured if math.isfinite(found[1])]
    return max(known, key=lambda found: side * found[1]) if known else measured[0]


def _judged(rule: Rule, value: float) -> tuple[bool | None, bool | None]:
    """Return whether a value is over its limit, and whether it is back; None when not known."""
    if not math.isfinite(value):
        return None, None
    if rule.limit is None:
        return value > 0.0, value <= 0.0
    return rule.limit.over(value), rule.limit.back(value)


def _readings(rule: Rule, gauge: Gauge, value: float, values: list[float]) -> tuple[Reading, ...]:
    """Return what was read, that which was compared with the limit first."""
    table, limit = rule.table, rule.limit
    on = limit.on if limit else math.nan
    read = [
        Reading(s.channel, s.feature, s.unit, v) for s, v in zip(gauge.sources, values, strict=True)
    ]
    if limit is None:
        return tuple(read)
    if isinstance(table, RateOfChange | CrossChannel | ExpressionRule):
        name = {RateOfChange: "rate_of_change", ExpressionRule: "expression"}.get(type(table))
        what = table.relation if isinstance(table, CrossChannel) else str(name)
        return (Reading(gauge.sources[0].channel, what, rule.unit, value, on), *read)
    return (replace(read[0], limit=on), *read[1:])
