"""Check a rule file: everything that is wrong with it, by line, with what to do."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from stream_processor.rules.definitions import (
    KINDS,
    MOST_RULES,
    NAME,
    WORDS,
    AnyRule,
    ChannelTable,
    ModeTable,
    RuleDocument,
    RuleTable,
    is_name,
)
from stream_processor.rules.problems import (
    Place,
    Problem,
    field_lines,
    instead,
    line_of,
    shown,
)
from stream_processor.rules.references import UnknownReferenceError, refer
from stream_processor.rules.rule_checks import RuleError, check_rule
from stream_processor.rules.rule_file import Mode, Rule, RuleFile

LONGEST_TEXT: Final = 64 * 1024
_TOML_PLACE = re.compile(r" ?\(at line (\d+), column (\d+)\)")
_EXPECTED = re.compile(r"Expected `(.+?)`(?:, got `(.+?)`| (.+?))?(?: - at `\$(.*)`)?$")
_SAID: Final = {
    "float": "a number", "float | null": "a number", "int": "a whole number", "str": "text",
    "bool": "true or false", "array": "a list", "object": "a table", "null": "nothing",
}  # fmt: skip
_WORDING: Final = (*RuleTable.WORDING, "id")

Typed = TypeVar("Typed", bound=msgspec.Struct)


def check(text: str) -> tuple[RuleFile | None, list[Problem]]:
    """Return the rule file of a TOML text, or None and all that is wrong with it."""
    if len(text.encode()) > LONGEST_TEXT:
        return None, [Problem(0, "", f"it is longer than {LONGEST_TEXT // 1024} KiB: split it")]
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place else max(text.count("\n"), 1)
        return None, [Problem(line, "", f"this is no TOML: {_TOML_PLACE.sub('', str(error))}")]
    except (ValueError, RecursionError) as error:
        return None, [Problem(0, "", f"this is no TOML: {error}")]
    found = _Check(document)
    file = found.file(text)
    if not found.said:
        return file, []
    lines = field_lines(text)
    problems = {Problem(line_of(lines, place), shown(place), m) for place, m in found.said}
    return None, sorted(problems)


class _Check:
    def __init__(self, document: dict[str, Any]) -> None:
        self.said: list[tuple[Place, str]] = []
        self._document = document
        self._channels: dict[str, ChannelTable] = {}
        self._modes: dict[str, Mode] = {}
        self._undeclared: tuple[str, ...] = ()

    def _say(self, place: Place, message: str) -> None:
        self.said.append((place, message))

    def file(self, text: str) -> RuleFile | None:
        """Return the file if nothing was wrong."""
        document = self._document
        own = {k: v for k, v in document.items() if k not in ("channels", "modes", "rules")}
        head = self._typed((), own, RuleDocument)
        self._check_channels()
        self._check_modes()
        tables = document.get("rules", [])
        if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
            self._say(("rules",), "each rule is a table of its own: [[rules]]")
            tables = []
        if len(tables) > MOST_RULES:
            self._say(("rules",), f"there are {len(tables)} rules, more than {MOST_RULES}")
            return None
        shadow = head is not None and head.mode == "shadow"
        rules = [self._rule(at, table, shadow) for at, table in enumerate(tables)]
        self._check_ids(tables)
        if head is None or self.said:
            return None
        good = tuple(rule for rule in rules if rule is not None)
        return RuleFile(
            text,
            head.equipment_class,
            head.version,
            head.description,
            self._channels,
            self._modes,
            good,
        )

    def _tables(self, name: str) -> dict[str, Any]:
        tables = self._document.get(name, {})
        if isinstance(tables, dict):
            return tables
        self._say((name,), f"each is a table of its own: [{name}.…]")
        return {}

    def _check_channels(self) -> None:
        for name, table in self._tables("channels").items():
            channel = self._typed(("channels", name), table, ChannelTable)
            if channel is not None:
                self._channels[name] = channel
            else:
                # It is said already why it is none.
                self._undeclared = (*self._undeclared, f"the class has no channel {name!r}")

    def _check_modes(self) -> None:
        for name, given in self._tables("modes").items():
            place: Place = ("modes", name)
            if not is_name(name):
                self._say(place, f"{name!r} is no name: {_name_rule()}")
            table = self._typed(place, given, ModeTable)
            if table is None:
                continue
            try:
                reference = refer(table.watch, self._channels, table.unit)
            except UnknownReferenceError as error:
                self._say((*place, "watch"), str(error))
                continue
            if reference.is_wildcard:
                self._say((*place, "watch"), "an operating mode is told by one channel: name it")
            above = -math.inf if table.above is None else table.above
            below = math.inf if table.below is None else table.below
            if table.above is None and table.below is None:
                self._say(place, "`above` or `below` is missing, or both of a range")
            if above >= below:
                self._say(
                    (*place, "above"), f"{above:g} is not less than `below`, which is {below:g}"
                )
            self._modes[name] = Mode(name, reference, above, below, round(table.for_s * 1000))

    def _rule(self, at: int, given: dict[str, Any], shadow: bool) -> Rule | None:
        place: Place = ("rules", at)
        kind = given.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            if "kind" not in given:
                self._say(place, f"`kind` is missing: there are {', '.join(KINDS)}")
            else:
                self._say(
                    (*place, "kind"), f"there is no kind {kind!r}: {instead(str(kind), KINDS)}"
                )
            return None
        own = {name: value for name, value in given.items() if name != "kind"}
        wrong = len(self.said)
        table: Any = self._typed(place, own, KINDS[kind])
        if table is None:
            return None
        before = len(self.said)
        for name in table.when:
            if name not in self._modes and name not in self._document.get("modes", {}):
                self._say(
                    (*place, "when"),
                    f"there is no operating mode {name!r}: {instead(name, self._modes)}"
                    f" (a mode is declared by [modes.{name}])",
                )
        try:
            made = check_rule(table, self._channels)
        except RuleError as problem:
            for field, message in problem.said:
                # What seems to be missing may be there, and wrong.
                spoilt = not field and len(self.said) > wrong
                if not spoilt and not message.startswith(self._undeclared):
                    self._say((*place, *field), message)
            return None
        if len(self.said) > before:
            return None
        return Rule(
            table,
            made.references,
            made.names,
            made.unit,
            made.limit,
            made.expression,
            shadow or table.mode == "shadow",
            self._fingerprint(table, made.references),
        )

    def _fingerprint(self, table: AnyRule, references: Sequence[Any]) -> str:
        """Return what stays the same while the same is judged."""
        judged = {k: v for k, v in msgspec.to_builtins(table).items() if k not in _WORDING}
        modes = [str(self._modes.get(name)) for name in table.when]
        cause = msgspec.json.encode([judged, modes, [repr(r) for r in references]], order="sorted")
        return hashlib.sha256(cause).hexdigest()[:12]

    def _check_ids(self, tables: Sequence[Mapping[str, Any]]) -> None:
        first: dict[str, int] = {}
        for at, table in enumerate(tables):
            name = table.get("id")
            if not isinstance(name, str):
                continue
            if name in first:
                self._say(
                    ("rules", at, "id"),
                    f"rules[{first[name]}] is called {name!r} already: give each its own",
                )
            first.setdefault(name, at)

    def _typed(self, place: Place, given: Any, kind: type[Typed]) -> Typed | None:
        """Return a table as its class after saying all that is wrong with it.

        What is wrong is left out, so that the rest can be checked too; None when it cannot.
        """
        if not isinstance(given, dict):
            self._say(place, "this is a table")
            return None
        known = {field.name: field for field in msgspec.structs.fields(kind)}
        tag = _tag(kind)
        for name in given.keys() - known.keys():
            self._say((*place, name), f"there is no such field; {instead(name, [*tag, *known])}")
        good: dict[str, Any] = dict(tag)
        for name, field in known.items():
            if name not in given:
                if field.required:
                    self._say(place, f"`{name}` is missing")
                continue
            value = given[name]
            wrong = _wrong(name, value, field.type)
            if wrong:
                self._say((*place, name), wrong)
            if not wrong or _harmless(kind, name, value):
                good[name] = value
        if any(field.required and name not in good for name, field in known.items()):
            return None
        return msgspec.convert(good, kind)


def _harmless(kind: type[msgspec.Struct], name: str, value: Any) -> bool:
    """Return whether a wrong word keeps nothing else from being checked."""
    if not issubclass(kind, RuleTable) or not isinstance(value, str):
        return False
    return name in ("severity", "failure_mode")


def _wrong(name: str, value: Any, kind: Any) -> str:
    """Return what is wrong with a field, nothing when it is good."""
    words = WORDS.get(name)
    if words and isinstance(value, str) and value not in words:
        return f"there is no {value!r}: {instead(value, words)}"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return _worded(str(error))
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is no number to compare with"
    return ""


def _tag(kind: type[msgspec.Struct]) -> dict[str, Any]:
    config = kind.__struct_config__
    return {config.tag_field: config.tag} if config.tag_field is not None else {}


def _name_rule() -> str:
    return "letters, digits, `_` and `-`, up to 60, a letter or a digit first"


def _worded(message: str) -> str:
    """Return msgspec's message in our words."""
    said = _EXPECTED.match(message)
    if said is None:
        return message[:1].lower() + message[1:]
    wanted, got, bound, inner = said.groups()
    where = f" (at {inner.lstrip('.')})" if inner else ""
    due = _SAID.get(wanted, wanted)
    if got:
        return f"{due} is due, this is {_SAID.get(got, got)}{where}"
    if bound and "regex" in bound:
        return f"this is no name: {_name_rule()}{where}" if NAME in bound else message
    return f"{due} {bound or ''} is due{where}"
