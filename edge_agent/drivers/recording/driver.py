"""Replay a recording block by block."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import structlog

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.drivers.recording.table import RecordingError, Table, read

log = structlog.get_logger(__name__)

# Rows a block when the recording is slow; a fast one has a minute of rows.
SLOW_ROWS = 12
BLOCK_S = 60.0


def tag_of(path: Path) -> str:
    """Return an equipment tag for a file: its name without what a topic may not hold."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-") or "recording"


class RecordingDriver:
    """A machine of class `recording` with a channel a column."""

    def __init__(self, table: Table, tag: str, speed: float | None, rows_per_block: int) -> None:
        """Replay `table`; `speed` is a factor of real time, None for as fast as the flow takes."""
        self.table = table
        self._tag, self._speed, self._rows = tag, speed, rows_per_block

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Make a driver from the options of a gateway file.

        Options: `path`, `time`, `separator`, `columns`, `speed` (a factor or `"max"`), `tag`,
        `rows_per_block`.

        Raises:
            RecordingError: the file cannot be read, or an option is wrong; the message names it.
        """
        known = {"path", "time", "separator", "columns", "speed", "tag", "rows_per_block"}
        unknown = set(options) - known
        if unknown:
            raise RecordingError(f"{min(unknown)}: no such option")
        if "path" not in options:
            raise RecordingError("path: is required")
        path = Path(str(options["path"]))
        speed = options.get("speed", "max")
        number = isinstance(speed, int | float) and not isinstance(speed, bool)
        if speed != "max" and not (number and speed > 0):
            raise RecordingError(f"speed: {speed!r} is neither a positive factor nor `max`")
        separator, columns = options.get("separator"), options.get("columns")
        if separator is not None and (not isinstance(separator, str) or len(separator) != 1):
            raise RecordingError(f"separator: {separator!r} is not one character")
        if columns is not None and (isinstance(columns, str) or not isinstance(columns, Sequence)):
            raise RecordingError(f"columns: {columns!r} is not a list of names")
        table = read(path, options.get("time"), separator, columns)
        rows = options.get("rows_per_block")
        if rows is None:
            rows = max(SLOW_ROWS, round(BLOCK_S * 1000 / table.period_ms))
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise RecordingError(f"rows_per_block: {rows!r} is not a positive whole number")
        return cls(
            table,
            str(options.get("tag") or tag_of(path)),
            None if speed == "max" else float(speed),
            rows,
        )

    @property
    def row_count(self) -> int:
        """Rows of the file."""
        return self.table.rows

    @property
    def block_count(self) -> int:
        """Blocks to come at most; a gap of a whole block is left out."""
        return -(-len(self.table.values) // self._rows)

    @property
    def first_time_ms(self) -> int:
        """Event time of the first row."""
        return self.table.start_ms

    @property
    def last_time_ms(self) -> int:
        """Event time of the last row."""
        return self.table.end_ms

    def devices(self) -> Sequence[Device]:
        """Return the one machine."""
        rate_hz = 1000.0 / self.table.period_ms
        channels = tuple(Channel(name, "1", rate_hz) for name in self.table.channels)
        return [
            Device(self._tag, "recording", "recordings", channels, "A recording", "recording")
        ]  # fmt: skip

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the rows, `rows_per_block` at a time; a gap as long as that is left out."""
        table = self.table
        if table.duplicates or table.backward:
            log.warning(
                "rows left out", duplicates=table.duplicates, backward_in_time=table.backward
            )
        loop = asyncio.get_running_loop()
        began = loop.time()
        for first in range(0, len(table.values), self._rows):
            rows = table.values[first : first + self._rows]
            if self._speed is not None:
                due = began + (first + len(rows)) * table.period_ms / 1000 / self._speed
                await asyncio.sleep(max(0.0, due - loop.time()))
            if np.isnan(rows).all():
                continue
            yield Block(
                self._tag,
                table.start_ms + round(first * table.period_ms),
                {name: rows[:, j] for j, name in enumerate(table.channels)},
            )

    async def close(self) -> None:
        """Let go of nothing: the recording is in memory."""
