"""Read a CSV of sensor data into an equally spaced table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.recording.times import time_ms

LABELS: Final = frozenset({"anomaly", "changepoint", "label", "labels", "is_anomaly", "event"})
_SEPARATORS: Final = ",;\t|"
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})


class RecordingError(ValueError):
    """A file is no recording of sensor data; the message names file, line and column.

    `option` is the one to look at.
    """

    def __init__(self, message: str, option: str = "path") -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True)
class Table:
    """A recording on an even grid.

    `values` has shape (rows, channels); row `i` lies at `start_ms + i * period_ms`; a place without
    a row in the file is NaN. `duplicates` counts rows that fell on a taken place and `backward`
    those that stepped back in time; both were left out.
    """

    channels: tuple[str, ...]
    start_ms: int
    period_ms: float
    values: npt.NDArray[np.float32]
    rows: int
    duplicates: int
    backward: int

    @property
    def places(self) -> int:
        """Rows of the grid."""
        return len(self.values)

    @property
    def end_ms(self) -> int:
        """Event time of the last row."""
        return self.start_ms + round((len(self.values) - 1) * self.period_ms)

    def spans(self, count: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield `count` places after another: the first one and the values."""
        for first in range(0, len(self.values), count):
            yield first, self.values[first : first + count]


def read(
    path: Path,
    time_column: str | None = None,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """Read a CSV with a header; times without an offset are UTC.

    The column of times is the named one, else the first whose first value is a time; the channels
    are the named ones, else every other column whose values are numbers, but for known labels.

    Raises:
        RecordingError: the file has no rows, no times or no numbers, or a cell is neither.
    """
    sheet = sheet_of(path, separator)
    header, rows = sheet.header, sheet.rows
    if time_column is None:
        place = next((i for i, cell in enumerate(rows[0]) if time_ms(cell) is not None), None)
        if place is None:
            raise RecordingError(
                f"{path}: no column holds times; the columns are {', '.join(header)}: "
                "name it with `time`",
                "time",
            )
    else:
        place = sheet.place(time_column, "time")
    if time_ms(header[place]) is not None:
        raise RecordingError(f"{path}: line 1: a header with the columns' names is needed")
    times = np.array([sheet.time_ms(i, place) for i in range(len(rows))])
    if columns is None:
        wanted = [
            i
            for i, name in enumerate(header)
            if i != place and name.lower() not in LABELS and sheet.is_number(rows[0][i])
        ]
    else:
        wanted = [sheet.place(name, "columns") for name in columns]
    if not wanted:
        raise RecordingError(f"{path}: no column holds numbers beside the times")
    with np.errstate(over="ignore"):
        values = np.array(
            [[sheet.number(i, j) for j in wanted] for i in range(len(rows))], dtype=np.float32
        )
    return _on_grid(path, tuple(header[j] for j in wanted), times, values)


@dataclass(frozen=True)
class Sheet:
    """The cells of a file; `lines` has the line of each row."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    decimal_comma: bool

    def place(self, name: str, option: str) -> int:
        """Return the number of a column that `option` names."""
        if name not in self.header:
            raise RecordingError(
                f"{self.path}: no column {name!r}; the columns are {', '.join(self.header)}", option
            )
        return self.header.index(name)

    def time_ms(self, i: int, j: int) -> int:
        """Return a cell's time in milliseconds since the epoch."""
        time = time_ms(self.rows[i][j])
        if time is None:
            raise self._wrong(i, j, "time")
        return time

    def is_number(self, cell: str) -> bool:
        """Return True of a number, and of a cell that says that there is none."""
        try:
            self._parse(cell)
        except ValueError:
            return False
        return True

    def number(self, i: int, j: int) -> float:
        """Return a cell's number; NaN when there is none."""
        try:
            return self._parse(self.rows[i][j])
        except ValueError as error:
            raise self._wrong(i, j, "number") from error

    def _parse(self, cell: str) -> float:
        cell = cell.strip()
        if cell.lower() in _MISSING:
            return float("nan")
        return float(cell.replace(",", ".") if self.decimal_comma else cell)

    def _wrong(self, i: int, j: int, what: str) -> RecordingError:
        return RecordingError(
            f"{self.path}: line {self.lines[i]}, column {self.header[j]!r}: "
            f"{self.rows[i][j]!r} is no {what}"
        )


def sheet_of(path: Path, separator: str | None) -> Sheet:
    """Read the cells of a CSV.

    Raises:
        RecordingError: it cannot be read, or has too few rows or columns, or uneven ones.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: {error}") from error
    first = text.partition("\n")[0]
    if separator is None:
        separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        table = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise RecordingError(f"{path}: line {reader.line_num}: {error}") from error
    if len(table) < 3:
        raise RecordingError(f"{path}: a header and two rows at least are needed")
    header = [name.strip() for name in table[0][1]]
    if len(header) < 2:
        raise RecordingError(f"{path}: line 1: one column only; name the separator")
    if len(set(header)) != len(header):
        raise RecordingError(f"{path}: line 1: a column's name stands twice")
    for line, row in table[1:]:
        if len(row) != len(header):
            raise RecordingError(
                f"{path}: line {line}: {len(row)} cells where {len(header)} are due"
            )
    rows, lines = [row for _, row in table[1:]], [line for line, _ in table[1:]]
    return Sheet(path, header, rows, lines, decimal_comma=separator != ",")


def _on_grid(
    path: Path,
    channels: tuple[str, ...],
    times: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
) -> Table:
    """Snap rows to multiples of the median spacing after the first row."""
    newest = np.maximum.accumulate(times)
    forward = times >= newest
    backward = int(np.count_nonzero(~forward))
    times, values = times[forward], values[forward]
    sizes, counts = np.unique(np.diff(times), return_counts=True)
    steps = {s: n for s, n in zip(sizes.tolist(), counts.tolist(), strict=True) if s}
    period = spacing(path, steps, int(times[-1] - times[0]), len(times))
    index = np.rint((times - times[0]) / period).astype(np.int64)
    kept, first = np.unique(index, return_index=True)
    grid = np.full((int(index[-1]) + 1, len(channels)), np.nan, np.float32)
    grid[kept] = values[first]
    return Table(
        channels,
        int(times[0]),
        period,
        grid,
        rows=len(times) + backward,
        duplicates=len(index) - len(kept),
        backward=backward,
    )


def spacing(path: Path, steps: Mapping[int, int], covered_ms: int, rows: int) -> float:
    """Return the median of `steps`, which maps milliseconds to how often they lie between rows.

    Raises:
        RecordingError: there are none, or the rows cover far more than there are.
    """
    if not steps:
        raise RecordingError(f"{path}: all rows have the same time", "time")
    sizes = sorted(steps)
    ends = np.cumsum([steps[size] for size in sizes])
    middles = np.searchsorted(ends, [(ends[-1] - 1) // 2, ends[-1] // 2], side="right")
    period: float = (sizes[middles[0]] + sizes[middles[1]]) / 2
    if (periods := round(covered_ms / period)) > 50 * rows:
        raise RecordingError(
            f"{path}: the rows cover {periods} periods of {period / 1000:g} s, far more than "
            f"the {rows} rows there are; are the times right?",
            "time",
        )
    return period
