"""Recordings of sensor data as if they came from a machine."""

from edge_agent.drivers.recording.driver import RecordingDriver
from edge_agent.drivers.recording.table import RecordingError

__all__ = ["RecordingDriver", "RecordingError"]
