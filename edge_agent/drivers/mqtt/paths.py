"""Paths into JSON: which values of a document are meant.

| path | means |
|---|---|
| empty | the document itself |
| `motor.temperature` | the member `temperature` of the member `motor` |
| `"a.b".c`, `motor."drive end"` | names with a dot, bracket, star, quote or white space |
| `samples[0]`, `samples[-1]` | an element of an array, counted from 0, or from its end with -1 |
| `sensors[*].value` | of each element of an array, in order |
| `*.value` | of each member of an object, in order |

Quoted names are JSON strings. A path that leads nowhere finds nothing; it is no error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

Step = str | int | None
# Every element or member.
ALL: Final = None

_STEP: Final = re.compile(
    r"""(?P<quoted>"(?:[^"\\\x00-\x1f]|\\.)*")
    |(?P<star>\*)
    |\[(?P<index>-?[0-9]{1,9}|\*)\]
    |(?P<bare>[^.\[\]*"\s]+)""",
    re.VERBOSE,
)


class PathError(ValueError):
    """A path is none."""


def parse(text: str) -> tuple[Step, ...]:
    """Return the steps of a path.

    Raises:
        PathError: it is none; the message says from where on.
    """
    steps: list[Step] = []
    place = 0
    while place < len(text):
        is_index = text[place] == "["
        if steps and not is_index:
            if text[place] != ".":
                raise PathError(f"path {text!r}: a dot is due before {text[place:]!r}")
            place += 1
        found = _STEP.match(text, place)
        if found is None or (steps and not is_index and found["index"] is not None):
            raise PathError(f"path {text!r}: {text[place:]!r} is no step of a path")
        steps.append(_step(text, found))
        place = found.end()
    return tuple(steps)


def _step(text: str, found: re.Match[str]) -> Step:
    if found["quoted"] is not None:
        try:
            name = json.loads(found["quoted"])
        except ValueError as error:
            raise PathError(f"path {text!r}: {found['quoted']} is no JSON string") from error
        return str(name)
    if found["star"] is not None or found["index"] == "*":
        return ALL
    return int(found["index"]) if found["index"] is not None else found["bare"]


def text_of(steps: Sequence[Step]) -> str:
    """Return the path that `parse` makes these steps of."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step is ALL:
            text += "[*]"
        else:
            found = _STEP.fullmatch(step)
            name = step if found and found["bare"] is not None else json.dumps(step)
            text += f".{name}" if text else name
    return text


def find(document: Any, steps: Sequence[Step]) -> list[Any]:
    """Return the values that a path means, in their order; none when it leads nowhere."""
    found = [document]
    for step in steps:
        below: list[Any] = []
        for value in found:
            if step is ALL:
                if isinstance(value, list):
                    below += value
                elif isinstance(value, dict):
                    below += value.values()
            elif isinstance(step, int):
                if isinstance(value, list) and -len(value) <= step < len(value):
                    below.append(value[step])
            elif isinstance(value, dict) and step in value:
                below.append(value[step])
        found = below
    return found


def leaves(document: Any, limit: int = 200, depth: int = 16) -> list[tuple[str, Any]]:
    """Return paths and values of everything that is no object, `limit` at most.

    Arrays of numbers are one value; of other arrays the elements are looked into.
    """
    found: list[tuple[str, Any]] = []
    _gather(document, (), found, limit, depth)
    return found


def _gather(
    value: Any, at: tuple[Step, ...], found: list[tuple[str, Any]], limit: int, depth: int
) -> None:
    below: list[tuple[Step, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        below = list(enumerate(value))
    if not below or len(at) >= depth:
        if len(found) < limit:
            found.append((text_of(at), value))
        return
    for step, one in below:
        if len(found) >= limit:
            return
        _gather(one, (*at, step), found, limit, depth)
