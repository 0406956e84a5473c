"""Load a user's own driver by its name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from edge_agent.drivers.base import Driver


class PluginError(ValueError):
    """There is no such factory, or it refused its options."""


def load(factory: str, options: Mapping[str, Any]) -> Driver:
    """Return the driver that `module:function` makes of `options`.

    Raises:
        PluginError: the name has not that form, nothing is there, or the factory refused.
    """
    module_name, separator, function = factory.partition(":")
    if not separator:
        raise PluginError(f"factory: {factory!r} is not of the form module:function")
    try:
        make = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"factory: {factory}: {error}") from error
    try:
        driver: Driver = make(dict(options))
    except (ValueError, KeyError, TypeError) as error:
        raise PluginError(f"options: {factory}: {error}") from error
    return driver
