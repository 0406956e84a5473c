"""Load a user's own driver by its name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import msgspec

from edge_agent.drivers import split_path
from edge_agent.drivers.base import Driver


class PluginError(ValueError):
    """There is no such factory, or it refused its options."""


def load(factory: str, options: Mapping[str, Any]) -> Driver:
    """Return the driver that `module:function` makes of `options`.

    When the module has a `msgspec.Struct` named `Options`, the function is given that, checked;
    else a dict.

    Raises:
        PluginError: the name has not that form, nothing is there, the options are not those of
            the module's `Options`, or the factory refused them.
    """
    module_name, separator, function = factory.partition(":")
    if not separator or not module_name or not function:
        raise PluginError(f"factory: {factory!r} is not of the form module:function")
    try:
        module = importlib.import_module(module_name)
        make = getattr(module, function)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"factory: {factory}: {error}") from error
    given = _given(factory, getattr(module, "Options", None), options)
    try:
        driver: Driver = make(given)
    except (ValueError, KeyError, TypeError) as error:
        raise PluginError(f"options: {factory}: {error}") from error
    return driver


def _given(factory: str, wanted: Any, options: Mapping[str, Any]) -> Any:
    if not (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)):
        return dict(options)
    try:
        return msgspec.convert(options, wanted)
    except msgspec.ValidationError as error:
        message, path = split_path(str(error))
        where = f"options.{path}" if path else "options"
        raise PluginError(f"{where}: {message} ({factory})") from error
