"""What a rule file is expected to raise on a recording or a scenario, and what it is not.

[[expect]]
rule = "bearing-hot"
between = [2013-12-16T00:00:00Z, 2013-12-17T00:00:00Z]

[[expect_none]]                 # of no rule, on no machine, at no time but what is said
between = [2013-12-03T00:00:00Z, 2013-12-10T00:00:00Z]
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.rule_testing import Said
from stream_processor.rules.problems import field_lines, instead, line_of

FIELDS = ("rule", "equipment", "between")


class ExpectationError(ValueError):
    """A file of expectations has an error; the message has its line."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """That something is raised (or not, when `none`) by a rule on a machine in a range of time.

    What is empty or None stands for any.
    """

    none: bool
    rule: str = ""
    equipment: str = ""
    between: tuple[datetime, datetime] | None = None

    def meets(self, said: Said) -> bool:
        """Return whether it is about what was raised."""
        if self.rule not in ("", said.rule) or self.equipment not in ("", said.equipment):
            return False
        return self.between is None or self.between[0] <= said.time <= self.between[1]

    def __str__(self) -> str:
        which = self.rule or "any rule"
        where = f" on {self.equipment}" if self.equipment else ""
        if self.between is None:
            return f"{which}{where}"
        low, high = (f"{time:%Y-%m-%d %H:%M:%S}" for time in self.between)
        return f"{which}{where} between {low} and {high}"


def read(path: Path, known: Sequence[str]) -> list[Expectation]:
    """Return the expectations of a file; `known` are the rules there are.

    Raises:
        ExpectationError: it has an error.
        OSError: it cannot be read.
    """
    text = path.read_text(encoding="utf-8")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExpectationError(f"{path}: this is no TOML: {error}") from error
    lines = field_lines(text)
    found = []
    for kind, tables in document.items():
        if kind not in ("expect", "expect_none") or not isinstance(tables, list):
            line = line_of(lines, (kind,))
            raise ExpectationError(
                f"{path}:{line}: {kind}: there are [[expect]] and [[expect_none]]"
            )
        for at, table in enumerate(tables):
            try:
                found.append(_expectation(kind, table, known))
            except ValueError as error:
                line = line_of(lines, (kind, at))
                raise ExpectationError(f"{path}:{line}: {kind}[{at}]: {error}") from error
    if not found:
        raise ExpectationError(f"{path}: it expects nothing: give [[expect]] or [[expect_none]]")
    return found


def _expectation(kind: str, table: dict[str, Any], known: Sequence[str]) -> Expectation:
    for name in table:
        if name not in FIELDS:
            raise ValueError(f"{name}: there is no such field; {instead(name, FIELDS)}")
    rule = table.get("rule", "")
    if rule and rule not in known:
        raise ValueError(f"rule: the file has no {rule!r}: {instead(str(rule), known)}")
    return Expectation(
        kind == "expect_none",
        rule,
        str(table.get("equipment", "")),
        _range(table["between"]) if "between" in table else None,
    )


def _range(given: Any) -> tuple[datetime, datetime]:
    if not isinstance(given, list) or len(given) != 2:
        raise ValueError("between: give two times, the earlier first")
    times = []
    for each in given:
        time = each if isinstance(each, datetime) else datetime.fromisoformat(str(each))
        times.append(time if time.tzinfo else time.replace(tzinfo=UTC))
    low, high = times
    if low > high:
        raise ValueError("between: the first time is after the second")
    return low, high


def disappointed(expected: list[Expectation], raised: Sequence[Said]) -> list[str]:
    """Return each expectation that does not hold."""
    wrong = []
    for expectation in expected:
        met = [said for said in raised if expectation.meets(said)]
        if expectation.none and met:
            first = met[0]
            wrong.append(
                f"nothing was due of {expectation}; {first.rule} was raised on {first.equipment}"
                f" at {first.time:%Y-%m-%d %H:%M:%S}"
            )
        elif not expectation.none and not met:
            wrong.append(f"{expectation} was not raised")
    return wrong
