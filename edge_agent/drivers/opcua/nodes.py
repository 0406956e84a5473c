"""Say which node is meant, so that it stays the same node when a server counts otherwise."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

IdKind = Literal["i", "s", "g", "b"]
Identifier = int | str | UUID | bytes

_ID = re.compile(r"(?:(?:nsu=(?P<uri>.*?)|ns=(?P<index>\d+));)?(?P<kind>[isgb])=(?P<id>.*)", re.S)
# A step of a path: `&` makes the next character an ordinary one, as in the standard's paths.
_STEP = re.compile(r"(?:&.|[^/&])+")
_ESCAPED = re.compile(r"&(.)")
MAX_INDEX = 0xFFFF
MAX_NUMBER = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node by its identifier, in a namespace by URI, or by the index that the server gives it.

    Both `uri` and `index` None is the standard's own namespace.
    """

    kind: IdKind
    identifier: Identifier
    uri: str | None = None
    index: int | None = None

    @property
    def is_lasting(self) -> bool:
        """False when it means another node once the server numbers its namespaces otherwise."""
        return self.uri is not None or self.index in (None, 0)

    def index_in(self, namespaces: Sequence[str]) -> int:
        """Return the index of its namespace in the server's array.

        Raises:
            LookupError: the server has no such namespace.
        """
        if self.uri is None:
            return self.index or 0
        if self.uri not in namespaces:
            raise LookupError(f"the server has no namespace {self.uri}")
        return namespaces.index(self.uri)

    def __str__(self) -> str:
        match self.identifier:
            case bytes():
                identifier = base64.b64encode(self.identifier).decode()
            case _:
                identifier = str(self.identifier)
        space = ""
        if self.uri is not None:
            space = f"nsu={self.uri.replace('%', '%25').replace(';', '%3B')};"
        elif self.index:
            space = f"ns={self.index};"
        return f"{space}{self.kind}={identifier}"


@dataclass(frozen=True, slots=True)
class BrowsePath:
    """A node by the browse names on the way to it from the Objects folder, whatever namespace."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join("/" + name.replace("&", "&&").replace("/", "&/") for name in self.names)


Address = NodeAddress | BrowsePath


def parse(text: str) -> Address:
    """Read `nsu=<uri>;s=…` (or `i=`, `g=`, `b=`), `ns=<index>;…`, or a path `/Name/Name`.

    In a URI `%3B` stands for a semicolon and `%25` for a per cent sign (OPC 10000-6, 5.3.1.11);
    in a path `&/` for a slash and `&&` for an ampersand (OPC 10000-4, A.2).

    Raises:
        ValueError: it is none of them.
    """
    if text.startswith("/"):
        return _path(text)
    found = _ID.fullmatch(text)
    if not found:
        raise ValueError(
            f"{text!r} is no node: write nsu=<namespace URI>;s=<name> (or i=, g=, b=), "
            "or the path /Name/Name below Objects"
        )
    kind: IdKind = found["kind"]  # type: ignore[assignment]
    uri, index = found["uri"], found["index"]
    if uri is not None:
        if not uri:
            raise ValueError(f"{text!r}: the namespace URI is empty")
        uri = uri.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")
    if index is not None and int(index) > MAX_INDEX:
        raise ValueError(f"{text!r}: a namespace index ends at {MAX_INDEX}")
    identifier = _identifier(text, kind, found["id"])
    return NodeAddress(kind, identifier, uri, None if index is None else int(index))


def _identifier(text: str, kind: IdKind, given: str) -> Identifier:
    if kind == "s":
        if not given:
            raise ValueError(f"{text!r}: the name is empty")
        return given
    if kind == "i":
        if not (given.isascii() and given.isdigit() and int(given) <= MAX_NUMBER):
            raise ValueError(f"{text!r}: {given!r} is no number from 0 to {MAX_NUMBER}")
        return int(given)
    if kind == "g":
        try:
            return UUID(given)
        except ValueError as error:
            raise ValueError(f"{text!r}: {given!r} is no GUID") from error
    try:
        return base64.b64decode(given, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text!r}: {given!r} is not base64") from error


def _path(text: str) -> BrowsePath:
    steps = _STEP.findall(text)
    if not steps or "/" + "/".join(steps) != text:
        raise ValueError(f"{text!r}: a path is /Name/Name, with &/ for a slash in a name")
    return BrowsePath(tuple(_ESCAPED.sub(r"\1", step) for step in steps))
