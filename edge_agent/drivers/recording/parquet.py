"""Replay a Parquet file that may be larger than the memory: it is read a stretch at a time.

polars is loaded here only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.recording.table import LABELS, RecordingError, spacing
from edge_agent.drivers.recording.times import MILLISECONDS, SECONDS, time_ms

if TYPE_CHECKING:
    import polars as pl

# Rows in memory at a time.
STRETCH: Final = 65_536
_Times = npt.NDArray[np.int64]


class ParquetRecording:
    """A recording on an even grid that stays in its file; see `Recording`.

    Times are datetimes or dates (UTC without a zone), numbers or texts as in a CSV; channels are
    columns of numbers.
    """

    def __init__(
        self,
        path: Path,
        time_column: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        """Read the times, twice: for their spacing, and for what falls on a taken place.

        Raises:
            RecordingError: the file has no rows, no times or no numbers, or polars is missing.
        """
        self._file = ParquetFile(path)
        self._path, schema = path, self._file.schema
        self._time = self._file.time_column() if time_column is None else time_column
        for name, option in ((self._time, "time"), *((c, "columns") for c in columns or ())):
            if name not in schema:
                raise RecordingError(
                    f"{path}: no column {name!r}; the columns are {', '.join(schema)}", option
                )
        if columns is None:
            columns = [
                name
                for name, dtype in schema.items()
                if name != self._time and name.lower() not in LABELS and dtype.is_numeric()
            ]
        for name in columns:
            if not (schema[name].is_numeric() or str(schema[name]) == "Boolean"):
                raise RecordingError(
                    f"{path}: column {name!r} holds {schema[name]}, no numbers", "columns"
                )
        if not columns:
            raise RecordingError(f"{path}: no column holds numbers beside the times")
        self.channels = tuple(columns)
        self._survey()

    def _survey(self) -> None:
        """Find out where the rows lie."""
        first: int | None = None
        newest = kept = 0
        steps: dict[int, int] = {}
        for times, _ in self._forward(()):
            if first is None:
                first = newest = int(times[0])
            sizes, counts = np.unique(np.diff(times, prepend=newest), return_counts=True)
            for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
                if size:
                    steps[size] = steps.get(size, 0) + count
            newest, kept = int(times[-1]), kept + len(times)
        if first is None or self._file.rows < 2:
            raise RecordingError(f"{self._path}: two rows at least are needed")
        self.start_ms, self.rows = first, self._file.rows
        self.backward = self.rows - kept
        self.period_ms = spacing(self._path, steps, newest - first, kept)
        self.places = round((newest - first) / self.period_ms) + 1
        self.duplicates = kept - sum(len(places) for places, _ in self._placed(()))

    @property
    def end_ms(self) -> int:
        """Event time of the last row."""
        return self.start_ms + round((self.places - 1) * self.period_ms)

    def spans(self, count: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield `count` places after another, as `Recording` says; those without a row are not.

        Raises:
            RecordingError: the file cannot be read any more.
        """
        first, span = -1, np.empty((0, len(self.channels)), np.float32)
        for places, values in self._placed(self.channels):
            firsts = places // count * count
            for part in np.split(np.arange(len(places)), np.flatnonzero(np.diff(firsts)) + 1):
                if firsts[part[0]] != first:
                    if first >= 0:
                        yield first, span
                    first = int(firsts[part[0]])
                    length = min(count, self.places - first)
                    span = np.full((length, len(self.channels)), np.nan, np.float32)
                span[places[part] - first] = values[part]
        if first >= 0:
            yield first, span

    def _placed(
        self, columns: Sequence[str]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield places, each once and ascending, and the values of the first row of each."""
        last = -1
        for times, values in self._forward(columns):
            all_places = np.rint((times - self.start_ms) / self.period_ms).astype(np.int64)
            places, rows = np.unique(all_places, return_index=True)
            fresh = places > last
            if fresh.any():
                places, rows = places[fresh], rows[fresh]
                last = int(places[-1])
                yield places, values[rows]

    def _forward(self, columns: Sequence[str]) -> Iterator[tuple[_Times, npt.NDArray[np.float32]]]:
        """Yield times and values of the rows that do not step back in time."""
        newest: int | None = None
        for first, frame in self._file.stretches([self._time, *columns]):
            times = self._file.times(frame[self._time], first)
            values = self._file.numbers(frame, columns)
            so_far = np.maximum.accumulate(times if newest is None else np.r_[newest, times])
            is_forward = times >= so_far[-len(times) :]
            newest = int(so_far[-1])
            if is_forward.any():
                yield times[is_forward], values[is_forward]


class ParquetFile:
    """Columns and rows of a Parquet file."""

    def __init__(self, path: Path) -> None:
        """Read what stands at its end.

        Raises:
            RecordingError: it is none, or polars is missing.
        """
        try:
            import polars
        except ImportError as error:
            raise RecordingError(
                f"{path}: Parquet is read with polars: pip install 'headrace[edge-parquet]'"
            ) from error
        self._polars, self._path = polars, path
        if not path.is_file():
            raise RecordingError(f"{path}: there is no such file")
        with self._reading():
            self._rows = polars.scan_parquet(path, glob=False, hive_partitioning=False)
            self.schema = dict(self._rows.collect_schema())
            self.rows: int = self._rows.select(polars.len()).collect().item()
            self.first: dict[str, Any] = {}
            if self.rows:
                self.first = self._rows.head(1).collect().row(0, named=True)

    def time_column(self) -> str:
        """Return the first column whose first value is a time.

        Raises:
            RecordingError: there is none.
        """
        for name, dtype in self.schema.items():
            value = self.first.get(name)
            if value is None or str(dtype) == "Boolean":
                continue
            if str(dtype).startswith(("Datetime", "Date")) or time_ms(str(value)) is not None:
                return name
        raise RecordingError(
            f"{self._path}: no column holds times; the columns are {', '.join(self.schema)}: "
            "name it with `time`",
            "time",
        )

    def stretches(self, columns: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield the number of a row and it with those that follow.

        Raises:
            RecordingError: the file cannot be read.
        """
        for first in range(0, self.rows, STRETCH):
            with self._reading():
                frame = self._rows.slice(first, STRETCH).select(columns).collect()
            yield first, frame

    def times(self, column: pl.Series, first: int) -> _Times:
        """Return a column's times in milliseconds since the epoch; `first` is its first row.

        Raises:
            RecordingError: a cell is no time.
        """
        polars, dtype = self._polars, column.dtype
        if dtype in (polars.Datetime, polars.Date):
            known = column.is_not_null().to_numpy()
            microseconds = column.cast(polars.Datetime("us")) if dtype == polars.Date else column
            times = np.rint(microseconds.dt.timestamp("us").fill_null(0).to_numpy() / 1000)
        elif dtype.is_numeric():
            numbers = column.cast(polars.Float64).fill_null(np.nan).to_numpy()
            is_seconds = (numbers >= SECONDS[0]) & (numbers < SECONDS[1])
            known = is_seconds | (numbers >= MILLISECONDS[0]) & (numbers < MILLISECONDS[1])
            times = np.rint(np.where(is_seconds, numbers * 1000, np.where(known, numbers, 0)))
        else:
            cells = [None if cell is None else time_ms(str(cell)) for cell in column]
            known = np.array([cell is not None for cell in cells], np.bool_)
            times = np.array([cell or 0 for cell in cells], np.float64)
        if not known.all():
            row = int(np.argmin(known))
            raise RecordingError(
                f"{self._path}: row {first + row + 1}, column {column.name!r}: {column[row]!r} "
                "is no time",
                "time",
            )
        return times.astype(np.int64)

    def numbers(self, frame: pl.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return columns of numbers, shape (rows, columns); null is NaN."""
        values = np.empty((frame.height, len(columns)), np.float32)
        with np.errstate(over="ignore"), self._reading():
            for i, name in enumerate(columns):
                values[:, i] = frame[name].cast(self._polars.Float64).fill_null(np.nan).to_numpy()
        return values

    @contextmanager
    def _reading(self) -> Iterator[None]:
        errors = self._polars.exceptions
        try:
            yield
        except (errors.PolarsError, errors.PanicException, OSError) as error:
            text = str(error).partition("\n")[0] or type(error).__name__
            raise RecordingError(f"{self._path}: {text}") from error
