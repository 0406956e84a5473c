"""A user's own driver, named by `module:function`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edge_agent.drivers.base import Driver, Point, Writer
from edge_agent.drivers.plugin.loading import PluginError, load

__all__ = ["Options", "PluginError", "browse", "load", "open_driver"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which function makes the driver, and what it is told."""

    factory: Annotated[str, Meta(description="`module:function`.")]
    options: Annotated[dict[str, Any], Meta(description="What the function is told.")] = (
        msgspec.field(default_factory=dict)
    )


def open_driver(options: Options) -> Driver:
    """Return the user's driver."""
    return load(options.factory, options.options)


async def browse(options: Options) -> list[Point]:
    """Return what the user's driver declares: its channels, and what can be written to.

    Raises:
        PluginError: there is no such factory, or it refused its options.
    """
    driver = load(options.factory, options.options)
    points: list[Point] = []
    for device in driver.devices():
        units = dict(driver.writable(device.tag)) if isinstance(driver, Writer) else {}
        points += (
            Point(
                f"{device.tag} {channel.name}",
                channel.name,
                f"{channel.sample_rate_hz:g} Hz",
                channel.unit,
                writable=units.pop(channel.name, None) is not None,
                description=device.equipment_class,
            )
            for channel in device.channels
        )
        points += (
            Point(f"{device.tag} {name}", name, "set-point", unit, writable=True)
            for name, unit in units.items()
        )
    return points
