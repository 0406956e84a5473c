"""What a driver found at its devices, in a file: they are known before they are heard of again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edge_agent import durable

T = TypeVar("T", bound=msgspec.Struct)


class LayoutLearnedError(RuntimeError):
    """The devices are known now; the agent begins anew with them."""


class _Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and the digest of the options that it was found for."""

    asked: str
    devices: list[Any]


def place(given: str, kind: str, source: str) -> Path:
    """Return the file as it was given, else one in the data folder for what a kind reads from."""
    if given:
        return Path(given)
    folder = Path(os.environ.get("HEADRACE_DATA_DIR", ".headrace"))
    return folder / "edge" / f"{kind}-{_digest(source.encode())[:12]}.json"


def load(path: Path, asked: object, device: type[T]) -> list[T] | None:
    """Return the devices that were found earlier for the same options, or None.

    Raises:
        ValueError: the file cannot be read.
    """
    try:
        layout = msgspec.json.decode(path.read_bytes(), type=_Layout)
        if layout.asked != _digest(msgspec.json.encode(asked)):
            return None
        return [msgspec.convert(found, device) for found in layout.devices]
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"layout_file: {path}: {error}; delete it to have it made anew") from error


def save(path: Path, asked: object, devices: Sequence[msgspec.Struct]) -> None:
    """Keep what was found for these options; the file is whole at any time.

    Raises:
        OSError: the disk refused.
    """
    layout = _Layout(asked=_digest(msgspec.json.encode(asked)), devices=list(devices))
    durable.write(path, msgspec.json.format(msgspec.json.encode(layout)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
