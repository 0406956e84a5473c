"""Devices that publish JSON, numbers or text over plain MQTT."""

from __future__ import annotations

from edge_agent.drivers.base import Driver, Point
from edge_agent.drivers.mqtt.options import Options

__all__ = ["Options", "browse", "open_driver"]


def open_driver(options: Options) -> Driver:
    """Return a driver that listens to the broker.

    Raises:
        ValueError: there is nothing to listen to, or a password, certificate or key is missing.
    """
    from edge_agent.drivers.mqtt.driver import MqttDriver

    return MqttDriver(options)


async def browse(options: Options) -> list[Point]:
    """Return what is published within `browse_s`: topics, paths and values.

    Raises:
        OSError: the broker cannot be reached, or refused.
        ValueError: a password, certificate or key is missing or no such.
    """
    from edge_agent.drivers.mqtt.browsing import browse as listed

    return await listed(options)
