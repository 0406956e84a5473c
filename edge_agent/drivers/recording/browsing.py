"""List the columns of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_agent.drivers.base import Point
from edge_agent.drivers.recording.options import Options
from edge_agent.drivers.recording.table import LABELS, sheet_of
from edge_agent.drivers.recording.times import time_ms


def columns_of(options: Options) -> list[Point]:
    """Return the columns with their kind and first value: time, number, text, or the file's type.

    Raises:
        RecordingError: the file cannot be read.
    """
    cells = _of_parquet if options.is_parquet else _of_csv
    return [
        Point(name, name, kind, value=value, description="label" if name.lower() in LABELS else "")
        for name, kind, value in cells(options)
    ]


def _of_csv(options: Options) -> Iterator[tuple[str, str, str]]:
    sheet = sheet_of(Path(options.path), options.separator)
    for name, cell in zip(sheet.header, sheet.rows[0], strict=True):
        kind = (
            "time" if time_ms(cell) is not None else "number" if sheet.is_number(cell) else "text"
        )
        yield name, kind, cell.strip()


def _of_parquet(options: Options) -> Iterator[tuple[str, str, str]]:
    from edge_agent.drivers.recording.parquet import ParquetFile

    file = ParquetFile(Path(options.path))
    for name, dtype in file.schema.items():
        value = file.first.get(name)
        yield name, str(dtype), "" if value is None else str(value)
