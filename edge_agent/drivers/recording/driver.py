"""Replay a recording block by block."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.drivers.recording.options import Options
from edge_agent.drivers.recording.source import open_recording

log = structlog.get_logger(__name__)

# Rows a block when the recording is slow; a fast one has a minute of rows.
SLOW_ROWS: Final = 12
BLOCK_S: Final = 60.0


def tag_of(path: Path) -> str:
    """Return an equipment tag for a file: its name without what a topic may not hold."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-") or "recording"


class RecordingDriver:
    """A machine of class `recording` with a channel a column."""

    def __init__(self, options: Options) -> None:
        """Open the recording.

        Raises:
            RecordingError: the file cannot be read as sensor data.
        """
        self._recording = open_recording(options)
        self._tag = options.tag or tag_of(Path(options.path))
        self._speed = None if options.speed == "max" else options.speed
        usual = max(SLOW_ROWS, round(BLOCK_S * 1000 / self._recording.period_ms))
        self._rows = options.rows_per_block or usual

    @property
    def row_count(self) -> int:
        """Rows of the file."""
        return self._recording.rows

    @property
    def block_count(self) -> int:
        """Blocks to come at most; a gap of a whole block is left out."""
        return -(-self._recording.places // self._rows)

    @property
    def first_time_ms(self) -> int:
        """Event time of the first row."""
        return self._recording.start_ms

    @property
    def last_time_ms(self) -> int:
        """Event time of the last row."""
        return self._recording.end_ms

    def devices(self) -> Sequence[Device]:
        """Return the one machine."""
        rate_hz = 1000.0 / self._recording.period_ms
        channels = tuple(Channel(name, "1", rate_hz) for name in self._recording.channels)
        return [
            Device(self._tag, "recording", "recordings", channels, "A recording", "recording")
        ]  # fmt: skip

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the rows, `rows_per_block` at a time; a gap as long as that is left out."""
        recording = self._recording
        if recording.duplicates or recording.backward:
            log.warning(
                "rows left out",
                duplicates=recording.duplicates,
                backward_in_time=recording.backward,
            )
        loop = asyncio.get_running_loop()
        began = loop.time()
        for first, rows in recording.spans(self._rows):
            if self._speed is not None:
                due = began + (first + len(rows)) * recording.period_ms / 1000 / self._speed
                await asyncio.sleep(max(0.0, due - loop.time()))
            if np.isnan(rows).all():
                continue
            yield Block(
                self._tag,
                recording.start_ms + round(first * recording.period_ms),
                {name: rows[:, j] for j, name in enumerate(recording.channels)},
            )

    async def close(self) -> None:
        """Let go of nothing: a file is open only while it is read."""
