"""Drivers: one package a kind, loaded only when a gateway file names it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from edge_agent.drivers.base import Driver, Point

KINDS: Final[Mapping[str, str]] = {
    "modbus": "edge_agent.drivers.modbus",
    "mqtt": "edge_agent.drivers.mqtt",
    "opcua": "edge_agent.drivers.opcua",
    "plugin": "edge_agent.drivers.plugin",
    "recording": "edge_agent.drivers.recording",
    "sparkplug": "edge_agent.drivers.sparkplug",
}


class OptionsError(ValueError):
    """A driver's options are wrong; `path` says which, such as `devices[0].tag`."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class Kind(Protocol):
    """What the package of a kind offers."""

    Options: type[msgspec.Struct]

    def open_driver(self, options: Any) -> Driver:
        """Return a driver; nothing touches the network yet.

        Raises:
            ValueError: the options are wrong; the message names the one.
        """
        ...

    async def browse(self, options: Any) -> list[Point]:
        """Return what the devices offer, or raise NotImplementedError when they cannot be asked."""
        ...


def kind(name: str) -> Kind:
    """Load the package of a kind.

    Raises:
        OptionsError: there is no such kind, or a library that it needs is not installed.
    """
    if name not in KINDS:
        raise OptionsError(f"{name!r} is none of {', '.join(KINDS)}", "kind")
    try:
        package: Kind = importlib.import_module(KINDS[name])
    except ImportError as error:
        raise OptionsError(f"{name!r} needs a library that is not installed: {error}") from error
    return package


def options_of(name: str, given: Mapping[str, Any]) -> msgspec.Struct:
    """Return the checked options of a kind.

    Raises:
        OptionsError: one is missing, unknown or wrong.
    """
    try:
        return msgspec.convert(given, kind(name).Options)
    except msgspec.ValidationError as error:
        message, path = split_path(str(error))
        raise OptionsError(message, path) from error


def open_driver(name: str, given: Mapping[str, Any]) -> Driver:
    """Return the driver of a kind; nothing touches the network yet.

    Raises:
        OptionsError: the options are wrong, or the driver refused them.
    """
    options = options_of(name, given)
    try:
        return kind(name).open_driver(options)
    except OptionsError:
        raise
    except (ValueError, OSError) as error:
        raise OptionsError(*split_path(str(error))) from error


# `Object missing required field `x`` and `Object contains unknown field `x``.
_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `([^`]+)`")
# What a `__post_init__` says begins with the field: `port: 70000 is no port`.
_OWN: Final = re.compile(
    r"([a-z_][a-z0-9_]*(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*): (.+)", re.DOTALL
)


def split_path(message: str) -> tuple[str, str]:
    """Return what is wrong and where, of what msgspec says: `drivers[0].options.port`."""
    text, _, where = message.partition(" - at `")
    path = where.rstrip("`").removeprefix("key in ").removeprefix("$").removeprefix(".")
    name = ""
    if field := _FIELD.fullmatch(text):
        text = "is missing" if field[1] == "missing required" else "no such field"
        name = field[2]
    elif own := _OWN.fullmatch(text):
        name, text = own[1], own[2]
    return text, ".".join(part for part in (path, name) if part)
