"""Explain every error of a gateway file by its line.

The schema comes from the very classes that read the file, so that it cannot say something else.
`jsonschema` is loaded here only; an agent that runs does without it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonschema
import msgspec

from edge_agent import analytics, drivers, settings
from edge_agent.drivers import OptionsError
from edge_agent.drivers.base import Driver
from edge_agent.settings import Gateway, SettingsError
from edge_agent.writes import Writes

SCHEMA_ID: Final = "https://headrace.dev/schemas/gateway.json"
Path_ = tuple[str | int, ...]
_LINE: Final = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error of a gateway file; `line` counts from 1, 0 when it is not in one line."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.field}: {self.message}" if self.field else f"{where}{self.message}"


def gateway_schema() -> dict[str, Any]:
    """Return the JSON Schema of a gateway file, with the options of every kind of driver."""
    kinds = {name: drivers.kind(name).Options for name in drivers.KINDS if name != "plugin"}
    (root, *options), definitions = msgspec.json.schema_components(
        [Gateway, *kinds.values()], ref_template="#/$defs/{name}"
    )
    table = definitions["DriverTable"]
    table["properties"]["kind"]["enum"] = list(drivers.KINDS)
    table["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"properties": {"options": reference}},
        }
        for kind, reference in zip(kinds, options, strict=True)
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Gateway file of a Headrace edge agent",
        **root,
        "$defs": definitions,
    }


def check(path: Path) -> list[Problem]:
    """Return everything that is wrong with a gateway file, by line; nothing when it is good.

    What a driver finds out only from its device is not looked for: nothing touches the network.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _LINE.search(str(error))
        # Without a place it is the end of the file.
        return [Problem(int(place[1]) if place else text.count("\n") + 1, "", str(error))]
    except (OSError, ValueError, RecursionError) as error:
        return [Problem(0, "", str(error))]
    lines = field_lines(text)
    found = sorted(
        Problem(_line_of(lines, place), shown(place), message)
        for place, message in _problems(document)
    )
    return list(dict.fromkeys(found))


def shown(place: Path_) -> str:
    """Return a place as people write it: `drivers[0].options.port`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _problems(document: Mapping[str, Any]) -> Iterator[tuple[Path_, str]]:
    validator = jsonschema.Draft202012Validator(gateway_schema())
    clean = True
    for error in validator.iter_errors(document):
        clean = False
        yield from _said(error)
    if not clean:
        return
    # What a schema cannot say: names that a topic takes, and fields that hang together.
    try:
        gateway = settings.gateway_of(document)
    except SettingsError as error:
        yield _place(error.path), _without(str(error), error.path)
        return
    opened: list[Driver] = []
    for number, table in enumerate(gateway.drivers):
        try:
            opened.append(drivers.open_driver(*table.chosen))
        except OptionsError as error:
            # A plug-in's factory stands beside its options.
            outer: Path_ = ("drivers", number)
            outer = outer if table.kind == "plugin" else (*outer, "options")
            yield (*outer, *_place(error.path)), _without(str(error), error.path)
    if len(opened) == len(gateway.drivers):
        yield from _bound(gateway, opened)


def _bound(gateway: Gateway, opened: Sequence[Driver]) -> Iterator[tuple[Path_, str]]:
    """Yield what is wrong with the tables that are about the drivers' devices."""
    tables = gateway.analytics, gateway.capture, gateway.report
    found = list(analytics.problems(opened, *tables)) if any(tables) else []
    for problem in found:
        yield _place(problem.path), _without(str(problem), problem.path)
    if found or not gateway.writes:
        return
    # Behind the stages, which have points to write to themselves.
    staged = [analytics.stages(driver, *tables)[0] for driver in opened]
    try:
        Writes(gateway.writes, {device.tag: d for d in staged for device in d.devices()})
    except ValueError as error:
        message, path = drivers.split_path(str(error))
        yield _place(path), message


def _said(error: jsonschema.ValidationError) -> Iterator[tuple[Path_, str]]:
    """Yield a schema's error in words of our own, at the field that it is about."""
    place: Path_ = tuple(error.absolute_path)
    given: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        known = schema.get("properties", {})
        for name in sorted(set(given) - set(known)):
            yield (*place, name), f"no such field; there are {', '.join(known) or 'none'}"
    elif error.validator == "required":
        for name in wanted:
            if name not in given:
                yield place, f"`{name}` is missing"
    elif error.validator == "enum":
        several = ", ".join(json.dumps(value) for value in wanted)
        yield place, f"{json.dumps(given, default=str)} is none of {several}"
    elif error.validator == "anyOf" and error.context:
        # `null` stands for a field that was left out; nobody can write it in TOML.
        meant = [other for other in error.context if other.validator_value != "null"]
        if len(meant) == 1:
            yield from _said(meant[0])
            return
        best = jsonschema.exceptions.best_match([error])
        yield tuple(best.absolute_path), best.message
    else:
        yield place, error.message


def _place(path: str) -> Path_:
    """Return `devices[0].tag` as its parts."""
    return tuple(
        int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path) if part
    )


def _without(message: str, path: str) -> str:
    return message.removeprefix(f"{path}: ") if path else message


def _line_of(lines: Mapping[Path_, int], place: Path_) -> int:
    """Return the line of a place, or of what it is in."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def field_lines(text: str) -> dict[Path_, int]:
    """Return the line, counted from 1, on which each table and field of a sound TOML text begins.

    A statement is the shortest run of lines that TOML's own parser takes by itself, so that strings
    and arrays over several lines need no second grammar. Fields inside an inline table or array
    have the line of their statement.
    """
    rows = text.splitlines()
    found: dict[Path_, int] = {}
    newest: dict[Path_, int] = {}
    table: Path_ = ()
    at = 0
    while at < len(rows):
        end = at + 1
        while (statement := _parsed(rows[at:end])) is None and end < len(rows):
            end += 1
        names = tuple(_names(statement or {}))
        if rows[at].lstrip().startswith("[["):
            outer = _numbered(names[:-1], newest)
            array = (*outer, names[-1])
            newest[array] = newest.get(array, -1) + 1
            table = (*array, newest[array])
            found.setdefault(array, at + 1)
            found[table] = at + 1
        elif rows[at].lstrip().startswith("["):
            table = _numbered(names, newest)
            found[table] = at + 1
        elif names:
            for depth in range(1, len(names) + 1):
                found.setdefault((*table, *names[:depth]), at + 1)
        at = end
    return found


def _parsed(rows: Sequence[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(rows))
    except tomllib.TOMLDecodeError:
        return None


def _names(statement: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a one-field document, outermost first."""
    value: Any = statement
    while isinstance(value, dict) and len(value) == 1:
        name, value = next(iter(value.items()))
        yield name


def _numbered(names: Sequence[str], newest: Mapping[Path_, int]) -> Path_:
    """Return the place of a table: in an array of tables it belongs to the newest one."""
    place: Path_ = ()
    for name in names:
        place = (*place, name)
        if place in newest:
            place = (*place, newest[place])
    return place
