"""Devices behind other edge nodes that speak Sparkplug B."""

from __future__ import annotations

from edge_agent.drivers.base import Driver, Point
from edge_agent.drivers.sparkplug.options import Options

__all__ = ["Options", "browse", "open_driver"]


def open_driver(options: Options) -> Driver:
    """Return a driver that is a host application to the edge nodes of a group.

    Raises:
        ValueError: there is no device, two have the same tag, or a file is missing or no such.
    """
    from edge_agent.drivers.sparkplug.driver import SparkplugDriver

    return SparkplugDriver(options)


async def browse(options: Options) -> list[Point]:
    """Return the metrics of the edge nodes that are heard of within `browse_s`.

    Raises:
        OSError: the broker cannot be reached, or refused.
        ValueError: a password, certificate or key is missing or no such.
    """
    from edge_agent.drivers.sparkplug.browsing import browse as listed

    return await listed(options)
