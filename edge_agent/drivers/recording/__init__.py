"""Recordings of sensor data as if they came from a machine."""

from __future__ import annotations

import asyncio

from edge_agent.drivers.base import Driver, Point
from edge_agent.drivers.recording.browsing import columns_of
from edge_agent.drivers.recording.driver import RecordingDriver
from edge_agent.drivers.recording.options import Options
from edge_agent.drivers.recording.table import RecordingError

__all__ = ["Options", "RecordingDriver", "RecordingError", "browse", "open_driver"]


def open_driver(options: Options) -> Driver:
    """Return a driver that replays the file.

    Raises:
        ValueError: the file cannot be read as sensor data; the message names the option.
    """
    try:
        return RecordingDriver(options)
    except RecordingError as error:
        raise ValueError(f"{error.option}: {error}") from error


async def browse(options: Options) -> list[Point]:
    """Return the columns of the file with their first values.

    Raises:
        RecordingError: the file cannot be read.
    """
    return await asyncio.to_thread(columns_of, options)
