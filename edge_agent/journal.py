"""Which commands were carried out, on disk: a command is carried out once, also over a restart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from edge_agent import durable

log = structlog.get_logger(__name__)

REMEMBERED: Final = 1000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one metric of a command; `outcome` is the contract's number."""

    device: str
    metric: str
    outcome: int
    reason: str = ""
    value: float | bool | str | None = None
    time_ms: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A command and its answers; none while it is carried out."""

    id: str
    answers: list[Answer] = []


class Journal:
    """The newest commands, one JSON line each time one begins or ends. Not for several threads."""

    def __init__(self, path: Path, remembered: int = REMEMBERED) -> None:
        """Read the file; what a power cut tore off is left out."""
        self._path, self._remembered = path, remembered
        self._entries: dict[str, Entry] = {}
        self._lines = 0
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        for line in content.splitlines():
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            self._keep(entry)
            self._lines += 1
        # A torn line has no end, and the next one must not be glued to it.
        self._torn = bool(content) and not content.endswith(b"\n")

    def find(self, id: str) -> Entry | None:
        """Return a command that was taken before."""
        return self._entries.get(id)

    def write(self, entry: Entry) -> None:
        """Remember a command, durably.

        Raises:
            OSError: the disk refused.
        """
        if self._lines >= 3 * self._remembered:
            durable.write(self._path, b"".join(map(_line, self._entries.values())))
            self._lines, self._torn = len(self._entries), False
        is_new = not self._path.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(b"\n" * self._torn + _line(entry))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            durable.sync_folder(self._path.parent)
        self._torn = False
        self._lines += 1
        self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        self._entries.pop(entry.id, None)
        self._entries[entry.id] = entry
        while len(self._entries) > self._remembered:
            del self._entries[next(iter(self._entries))]


def _line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"
