"""What is wrong with a rule file, and on which line."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error of a rule file; `line` counts from 1, 0 when it is in none."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def at(self, path: str) -> str:
        """Return it as `file:line: what`."""
        return f"{path}:{self.line}: {self}"


class RuleFileError(ValueError):
    """A rule file has errors; `path` is where it was read, if it was a file."""

    def __init__(self, problems: Sequence[Problem], path: str = "") -> None:
        said = (p.at(path) if path else f"line {p.line}: {p}" for p in problems)
        super().__init__("\n".join(said))
        self.problems = tuple(problems)


def shown(place: Place) -> str:
    """Return a place as people write it: `rules[0].above`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def instead(given: str, known: Iterable[str]) -> str:
    """Return a hint at the word that was probably meant, and at what there is."""
    words = list(known)
    close = difflib.get_close_matches(given, words, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {', '.join(words)}" if words else "there are none"


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """Return the line of a place, or of what it is in."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def field_lines(text: str) -> dict[Place, int]:
    """Return the line, counted from 1, of every table and field of a sound TOML text.

    A statement is the shortest run of lines that TOML's own parser takes, so that a string over
    several lines needs no grammar of ours.
    """
    rows = text.splitlines()
    found: dict[Place, int] = {}
    newest: dict[Place, int] = {}
    table: Place = ()
    at = 0
    while at < len(rows):
        end = at + 1
        while (statement := _parsed(rows[at:end])) is None and end < len(rows):
            end += 1
        names = _names(statement or {})
        row = rows[at].lstrip()
        if row.startswith("["):
            table = _numbered(names[:-1], newest) + names[-1:]
            if row.startswith("[["):
                newest[table] = newest.get(table, -1) + 1
                found.setdefault(table, at + 1)
                table = (*table, newest[table])
            found[table] = at + 1
        for depth in range(1, len(names) + 1):
            if not row.startswith("["):
                found.setdefault((*table, *names[:depth]), at + 1)
        at = end
    return found


def _parsed(rows: Sequence[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(rows))
    except tomllib.TOMLDecodeError:
        return None


def _names(statement: Any) -> Place:
    """Return the names of a one-field document, outermost first; a header's array is no name."""
    names: list[str | int] = []
    while isinstance(statement, dict) and len(statement) == 1:
        name, statement = next(iter(statement.items()))
        names.append(name)
    return tuple(names)


def _numbered(names: Place, newest: Mapping[Place, int]) -> Place:
    """Return the place of a table: in an array of tables it belongs to the newest one."""
    place: Place = ()
    for name in names:
        place = (*place, name)
        if place in newest:
            place = (*place, newest[place])
    return place
