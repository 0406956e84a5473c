"""Machines behind an OPC UA server."""

from __future__ import annotations

from edge_agent.drivers.base import Driver, Point
from edge_agent.drivers.opcua.options import Options

__all__ = ["Options", "browse", "open_driver"]


def open_driver(options: Options) -> Driver:
    """Return a driver that keeps a session with the server.

    Raises:
        ValueError: a file with a certificate, key, password or layout is missing or no such.
    """
    # asyncua takes some 30 MiB: an agent that checks a file does not need it.
    from edge_agent.drivers.opcua.driver import OpcUaDriver
    from edge_agent.drivers.opcua.library import give_memory_back

    give_memory_back()
    return OpcUaDriver(options)


async def browse(options: Options) -> list[Point]:
    """Return the variables below Objects, depth first.

    Raises:
        OSError: the server cannot be reached, or refused.
        ValueError: a file with a certificate, key or password is missing or no such.
    """
    from edge_agent.drivers.opcua.browsing import points_of
    from edge_agent.drivers.opcua.session import connected

    async with connected(options) as session:
        return await points_of(session)
