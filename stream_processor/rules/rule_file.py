"""A rule file that was checked, and the book of those in force; immutable, told by their text."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from stream_processor.rules.definitions import AnyRule, ChannelTable
from stream_processor.rules.expression import Expression
from stream_processor.rules.problems import Problem, RuleFileError, field_lines
from stream_processor.rules.references import Reference

SHIPPED = Path(__file__).with_name("shipped")
# Files of a class are read again by their text; more classes than this are read twice.
REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Limit:
    """Where an alarm begins and where it ends, in the rule's unit.

    `side` is 1 when what lies above is abnormal, -1 when what lies below is.
    """

    side: int
    on: float
    off: float

    def over(self, value: float) -> bool:
        """Return whether the value is beyond where the alarm begins."""
        return self.side * (value - self.on) > 0.0

    def back(self, value: float) -> bool:
        """Return whether the value is back where the alarm ends."""
        return self.side * (value - self.off) <= 0.0


@dataclass(frozen=True, slots=True)
class Mode:
    """An operating mode: a feature between two limits, for a while."""

    name: str
    reference: Reference
    above: float
    below: float
    for_ms: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked rule.

    `names` are the inputs of an expression, in the order of `references`; `limit` is None of a
    condition that is true or false. `fingerprint` changes with what is judged, not with its words.
    """

    table: AnyRule
    references: tuple[Reference, ...]
    names: tuple[str, ...]
    unit: str
    limit: Limit | None
    expression: Expression | None
    shadow: bool
    fingerprint: str

    @property
    def id(self) -> str:
        """The name of the rule in its file."""
        return self.table.id

    @property
    def on_ms(self) -> int:
        """The on-delay."""
        return round(self.table.on_delay_s * 1000)

    @property
    def off_ms(self) -> int:
        """The off-delay."""
        return round(self.table.off_delay_s * 1000)

    @property
    def wording(self) -> tuple[str, str, str]:
        """What is told of it."""
        return self.table.severity, self.table.failure_mode, self.table.summary

    def concerns(self, equipment: str) -> bool:
        """Return whether the rule is for a machine, by its tag."""
        wanted = self.table.equipment
        return not wanted or any(fnmatchcase(equipment, pattern) for pattern in wanted)


@dataclass(frozen=True, eq=False)
class RuleFile:
    """The rules of an equipment class. Pickled, it is its text; of a text there is one."""

    text: str = ""
    equipment_class: str = ""
    version: int = 0
    description: str = ""
    channels: Mapping[str, ChannelTable] = field(default_factory=dict)
    modes: Mapping[str, Mode] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return rule_file, (self.text,)

    @cached_property
    def packed(self) -> bytes:
        """The text as a snapshot keeps it."""
        return zlib.compress(self.text.encode(), 9) if self.text else b""


NO_RULES = RuleFile()
"""What is in force for a class without a file."""


@lru_cache(maxsize=REMEMBERED)
def rule_file(text: str) -> RuleFile:
    """Return the rule file of a text, the same object each time.

    Raises:
        RuleFileError: it has errors.
    """
    # Checking needs what is defined here.
    from stream_processor.rules.checking import check

    if not text:
        return NO_RULES
    found, problems = check(text)
    if found is None:
        raise RuleFileError(problems)
    return found


def read(path: Path) -> RuleFile:
    """Return the rules of a file.

    Raises:
        RuleFileError: it has errors; the message names the file and the lines.
        OSError: it cannot be read.
    """
    try:
        return rule_file(path.read_text(encoding="utf-8"))
    except RuleFileError as error:
        raise RuleFileError(error.problems, str(path)) from error
    except UnicodeDecodeError as error:
        raise RuleFileError([Problem(0, "", f"it is no UTF-8: {error}")], str(path)) from error


def in_shadow(text: str) -> str:
    """Return the text of a sound rule file with all of its rules in shadow."""
    said = 'mode = "shadow"'
    at = field_lines(text).get(("mode",))
    rows = text.splitlines()
    if at is None:
        return "\n".join([said, *rows]) + "\n"
    return "\n".join([*rows[: at - 1], said, *rows[at:]]) + "\n"


def unpack(packed: bytes) -> RuleFile:
    """Return what `RuleFile.packed` was of."""
    return rule_file(zlib.decompress(packed).decode()) if packed else NO_RULES


@dataclass(frozen=True, eq=False)
class RuleBook:
    """The rule files in force, by equipment class."""

    files: Mapping[str, RuleFile] = field(default_factory=dict)

    @classmethod
    def starting(cls, folder: Path = SHIPPED) -> Self:
        """Return the files of a folder: what is in force before any came through the log.

        Raises:
            RuleFileError: a file has errors, or two are for one class.
            OSError: the folder cannot be read.
        """
        found: dict[str, RuleFile] = {}
        for path in sorted(folder.glob("*.toml")):
            file = read(path)
            if file.equipment_class in found:
                twice = f"another file is for {file.equipment_class!r} already: keep one"
                raise RuleFileError([Problem(1, "equipment_class", twice)], str(path))
            found[file.equipment_class] = file
        return cls._of(found.values())

    @classmethod
    def _of(cls, files: Iterable[RuleFile]) -> Self:
        return cls(MappingProxyType({file.equipment_class: file for file in files}))

    def of(self, equipment_class: str) -> RuleFile:
        """Return the rules of a class."""
        return self.files.get(equipment_class, NO_RULES)

    def having(self, *newer: RuleFile) -> Self:
        """Return a book in which these files are in force for their classes."""
        return self._of([*self.files.values(), *newer])

    def __reduce__(self) -> tuple[Any, ...]:
        return _book, (tuple(file.text for file in self.files.values()),)


def _book(texts: tuple[str, ...]) -> RuleBook:
    return RuleBook().having(*(rule_file(text) for text in texts))
