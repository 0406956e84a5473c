"""Modbus TCP and RTU devices."""

from __future__ import annotations

from edge_agent.drivers.base import Driver
from edge_agent.drivers.modbus.browsing import browse
from edge_agent.drivers.modbus.driver import ModbusDriver
from edge_agent.drivers.modbus.options import Options

__all__ = ["ModbusDriver", "Options", "browse", "open_driver"]


def open_driver(options: Options) -> Driver:
    """Return a driver that polls the devices.

    Raises:
        ValueError: a device has no points, or a certificate cannot be read.
    """
    return ModbusDriver(options)
