"""A recording on an even grid, whatever file it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.recording.options import Options
from edge_agent.drivers.recording.table import read


class Recording(Protocol):
    """Rows of numbers at equal distances: place `i` lies at `start_ms + i * period_ms`."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        ...

    @property
    def start_ms(self) -> int:
        """Event time of the first row."""
        ...

    @property
    def end_ms(self) -> int:
        """Event time of the last row."""
        ...

    @property
    def period_ms(self) -> float:
        """Distance of the places."""
        ...

    @property
    def places(self) -> int:
        """How many there are, with and without a row."""
        ...

    @property
    def rows(self) -> int:
        """Rows of the file."""
        ...

    @property
    def duplicates(self) -> int:
        """Rows that fell on a taken place, and were left out."""
        ...

    @property
    def backward(self) -> int:
        """Rows that stepped back in time, and were left out."""
        ...

    def spans(self, count: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield `count` places after another: the first one and the values, (places, channels).

        A place without a row is NaN; a span without any row may be left out.
        """
        ...


def open_recording(options: Options) -> Recording:
    """Open a recording: a CSV is read whole, of Parquet only the times.

    Raises:
        RecordingError: the file cannot be read as sensor data, or needs a library that is not
            installed.
    """
    path = Path(options.path)
    if not options.is_parquet:
        return read(path, options.time, options.separator, options.columns)
    from edge_agent.drivers.recording.parquet import ParquetRecording

    return ParquetRecording(path, options.time, options.columns)
