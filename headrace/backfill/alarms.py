"""Alarms from their beginning to their end, and two versions of them side by side; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from headrace.rule_testing import Said

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a rule raised on a machine; `cleared_ms` is event time, None while it stands.

    `before` is whether it was raised before the range, in which it stood.
    """

    said: Said
    cleared_ms: int | None = None
    before: bool = False

    @property
    def key(self) -> Key:
        """Site, equipment and rule: at most one alarm of them stands at a time."""
        return self.said.site, self.said.equipment, self.said.rule

    @property
    def raised_ms(self) -> int:
        """Event time at which it was raised, in milliseconds since the epoch."""
        return self.said.time_ms

    @property
    def end_ms(self) -> float:
        """Event time at which it ended; infinite while it stands."""
        return math.inf if self.cleared_ms is None else self.cleared_ms


@dataclass
class Episodes:
    """The alarms of a range of the log, gathered from what rules say message by message.

    Times of the log are given in milliseconds since the epoch; the range begins at `since_ms`.
    What ended before it is forgotten.
    """

    since_ms: float
    ended: list[Alarm] = field(default_factory=list)
    _standing: dict[Key, Alarm] = field(default_factory=dict)

    def hear(self, said: Said, stored_ms: float) -> None:
        """Take what a rule said when the log stored the message at `stored_ms`."""
        key = said.site, said.equipment, said.rule
        standing = self._standing.pop(key, None)
        if said.transition == "update" and standing is not None:
            worded = replace(standing.said, severity=said.severity)
            self._standing[key] = replace(standing, said=worded)
            return
        if standing is not None and stored_ms >= self.since_ms:
            self.ended.append(replace(standing, cleared_ms=said.time_ms))
        if said.transition == "raise":
            self._standing[key] = Alarm(said, before=stored_ms < self.since_ms)

    def alarms(self) -> list[Alarm]:
        """Return all that stood in the range, in the order they were raised."""
        return in_order([*self.ended, *self._standing.values()])


def in_order(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Return alarms in the order in which they were raised."""
    return sorted(alarms, key=lambda alarm: (alarm.raised_ms, alarm.key))


What = Literal["added", "gone", "same"]


@dataclass(frozen=True, slots=True)
class Match:
    """Alarms of one rule and machine that overlap in event time, of now and of then.

    One of them may stand for several of the other: two alarms become one by a lower limit.
    """

    then: tuple[Alarm, ...]
    now: tuple[Alarm, ...]

    @property
    def what(self) -> What:
        """What became of them: `added` was not there then, `gone` is not there now."""
        if not self.then:
            return "added"
        return "same" if self.now else "gone"

    @property
    def first(self) -> Alarm:
        """The alarm it is told by."""
        return (self.now or self.then)[0]

    @property
    def later_ms(self) -> int:
        """By how much later it is raised now; 0 of what has nothing to be compared with."""
        if not (self.then and self.now):
            return 0
        return self.now[0].raised_ms - self.then[0].raised_ms


def compare(then: Sequence[Alarm], now: Sequence[Alarm]) -> list[Match]:
    """Return which alarms are the same, which are added and which are gone.

    Alarms are the same when rule and machine are and they overlap in event time, shadow or not.
    Every alarm is in one match.
    """
    marked = sorted(
        [(alarm, False) for alarm in then] + [(alarm, True) for alarm in now],
        key=lambda pair: (pair[0].key, pair[0].raised_ms),
    )
    found: list[Match] = []
    for _, pairs in groupby(marked, key=lambda pair: pair[0].key):
        group: list[tuple[Alarm, bool]] = []
        end_ms = -math.inf
        for alarm, is_now in pairs:
            if group and alarm.raised_ms > end_ms:
                found.append(_match(group))
                group = []
            group.append((alarm, is_now))
            end_ms = max(end_ms, alarm.end_ms) if len(group) > 1 else alarm.end_ms
        found.append(_match(group))
    return sorted(found, key=lambda match: (match.first.raised_ms, match.first.key))


def _match(group: list[tuple[Alarm, bool]]) -> Match:
    return Match(
        tuple(alarm for alarm, is_now in group if not is_now),
        tuple(alarm for alarm, is_now in group if is_now),
    )
