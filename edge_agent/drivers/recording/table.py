"""Read a CSV of sensor data into an equally spaced table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

LABELS: Final = frozenset({"anomaly", "changepoint", "label", "labels", "is_anomaly", "event"})
_SEPARATORS: Final = ",;\t|"
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
_FORMATS: Final = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
)


class RecordingError(ValueError):
    """A file is no recording of sensor data; the message names file, line and column."""


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
    def end_ms(self) -> int:
        """Event time of the last row."""
        return self.start_ms + round((len(self.values) - 1) * self.period_ms)


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
    sheet = _sheet(path, separator)
    header, rows = sheet.header, sheet.rows
    if time_column is None:
        place = next((i for i, cell in enumerate(rows[0]) if _time_ms(cell) is not None), None)
        if place is None:
            raise RecordingError(
                f"{path}: no column holds times; the columns are {', '.join(header)}: "
                "name one with --time"
            )
    else:
        place = sheet.place(time_column)
    if _time_ms(header[place]) is not None:
        raise RecordingError(f"{path}: line 1: a header with the columns' names is needed")
    times = np.array([sheet.time_ms(i, place) for i in range(len(rows))])
    if columns is None:
        wanted = [
            i
            for i, name in enumerate(header)
            if i != place and name.lower() not in LABELS and sheet.is_number(rows[0][i])
        ]
    else:
        wanted = [sheet.place(name) for name in columns]
    if not wanted:
        raise RecordingError(f"{path}: no column holds numbers beside the times")
    values = np.array(
        [[sheet.number(i, j) for j in wanted] for i in range(len(rows))], dtype=np.float32
    )
    return _on_grid(path, tuple(header[j] for j in wanted), times, values)


@dataclass(frozen=True)
class _Sheet:
    """The cells of a file; `lines` has the line of each row."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    decimal_comma: bool

    def place(self, name: str) -> int:
        if name not in self.header:
            raise RecordingError(
                f"{self.path}: no column {name!r}; the columns are {', '.join(self.header)}"
            )
        return self.header.index(name)

    def time_ms(self, i: int, j: int) -> int:
        time = _time_ms(self.rows[i][j])
        if time is None:
            raise self._wrong(i, j, "time")
        return time

    def is_number(self, cell: str) -> bool:
        try:
            self._parse(cell)
        except ValueError:
            return False
        return True

    def number(self, i: int, j: int) -> float:
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


def _sheet(path: Path, separator: str | None) -> _Sheet:
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
        raise RecordingError(f"{path}: line 1: one column only; name the separator with --sep")
    if len(set(header)) != len(header):
        raise RecordingError(f"{path}: line 1: a column's name stands twice")
    for line, row in table[1:]:
        if len(row) != len(header):
            raise RecordingError(
                f"{path}: line {line}: {len(row)} cells where {len(header)} are due"
            )
    rows, lines = [row for _, row in table[1:]], [line for line, _ in table[1:]]
    return _Sheet(path, header, rows, lines, decimal_comma=separator != ",")


def _time_ms(cell: str) -> int | None:
    """Return a cell's time in milliseconds since the epoch; None when it is no time."""
    cell = cell.strip()
    try:
        number = float(cell)
    except ValueError:
        moment = _moment(cell)
        return None if moment is None else round(moment.timestamp() * 1000)
    # Seconds or milliseconds since the epoch, from 1990 on; anything else is a measurement.
    if 6.3e8 <= number < 1e10:
        return round(number * 1000)
    if 6.3e11 <= number < 1e13:
        return round(number)
    return None


def _moment(cell: str) -> datetime | None:
    """Return a written time, UTC when it has no offset."""
    moment: datetime | None = None
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        for form in _FORMATS:
            try:
                moment = datetime.strptime(cell, form)
                break
            except ValueError:
                continue
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment


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
    steps = np.diff(times)
    steps = steps[steps > 0]
    if steps.size == 0:
        raise RecordingError(f"{path}: all rows have the same time")
    period = float(np.median(steps))
    index = np.rint((times - times[0]) / period).astype(np.int64)
    if index[-1] > 50 * len(times):
        raise RecordingError(
            f"{path}: the rows cover {index[-1]} periods of {period / 1000:g} s, far more than "
            f"the {len(times)} rows there are; are the times right?"
        )
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
