"""Read a CSV of any kind into a recording.

Dirty data is the normal case: what is no number in a column of numbers is missing, a time that
cannot be read lies one interval after the row before. Every row of the file stays a row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.framing import HEAD
from stream_processor.evaluation.recording import Channel, Flags, Recording

_SEPARATORS = ",;\t|"
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
_TRUE = frozenset({"1", "true", "yes", "y", "t", "anomaly", "anomalous", "abnormal", "fault"})
_FALSE = frozenset({"0", "false", "no", "n", "f", "normal", "ok"})
# Milliseconds since the epoch, from 1990 on; smaller numbers are seconds.
_MILLISECONDS = (6.3e11, 1e13)
# Interval of rows without times.
ROW_MS = 60_000
# Cells at the start of a column that decide whether it holds numbers.
_SAMPLE = 1000
Cells = Sequence[str]


class TableError(ValueError):
    """A file is no recording; the message names it, what was wrong and what to do."""


def read(
    path: Path,
    time: str | None = None,
    labels: str | None = None,
    ignore: Sequence[str] = (),
    train_rows: int = 0,
) -> Recording:
    """Return the recording in a CSV with a header, separated by what stands most in it.

    `time` names the column of times: ISO 8601 (UTC without an offset), seconds or milliseconds
    since the epoch, or seconds from anywhere; without one rows are a minute apart. `labels` names
    that of 0 and 1, which no detector sees, as those in `ignore`. A column is one of numbers when
    half of its first cells that are not empty are; others are left out, with a notice.

    Raises:
        TableError: there is no such file or column, no column of numbers, or a label is none.
    """
    names, columns, notices = _columns(path)
    for name, option in (
        (time, "--time"),
        (labels, "--labels"),
        *((i, "--ignore") for i in ignore),
    ):
        if name is not None and name not in names:
            raise TableError(f"{option}: {path} has no column {name!r}; it has {', '.join(names)}")
    rows = len(columns[0])
    if not 0 <= train_rows <= rows:
        raise TableError(f"--train-rows: {train_rows} is not between 0 and the {rows} rows")
    times = _times(path, columns[names.index(time)], notices) if time else _without_times(rows)
    known = _labels(path, labels, columns[names.index(labels)]) if labels else None
    left, values, kept = {time, labels, *ignore}, [], []
    for name, cells in zip(names, columns, strict=True):
        if name in left:
            continue
        numbers, text = _numbers(cells)
        if numbers is None:
            notices.append(f"column {name!r} holds no numbers and is left out")
            continue
        if text:
            notices.append(f"column {name!r}: {text} cells are no numbers and taken as missing")
        kept.append(Channel(name))
        values.append(numbers)
    if not values:
        raise TableError(f"{path}: no column of numbers is left to look at")
    return Recording(
        name=path.stem,
        time_ms=times,
        channels=tuple(kept),
        values=np.column_stack(values),
        labels=known,
        train_rows=train_rows,
        notices=tuple(notices),
    )


def _columns(path: Path) -> tuple[list[str], list[Cells], list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}") from error
    header_line = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=header_line.count)
    try:
        table = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
                 if row]  # fmt: skip
    except csv.Error as error:
        raise TableError(f"{path}: {error}; is it a CSV?") from error
    if len(table) < 2:
        raise TableError(f"{path}: a header and a row at least are needed")
    names: list[str] = []
    for place, cell in enumerate(table[0], 1):
        name = cell.strip() or f"column {place}"
        names.append(name if name not in names else f"{name} ({place})")
    width, body = len(names), table[1:]
    uneven = sum(len(row) != width for row in body)
    if uneven:
        body = [(row + [""] * width)[:width] for row in body]
    notices = [f"{uneven} rows have not {width} cells: cut or filled"] if uneven else []
    columns: list[Cells] = list(zip(*body, strict=True))
    if separator != ",":
        columns = [[cell.replace(",", ".") for cell in cells] for cells in columns]
    return names, columns, notices


def _numbers(cells: Cells) -> tuple[npt.NDArray[np.float64] | None, int]:
    """Return the numbers, None when it is a column of something else, and how many were none."""
    numbers = np.full(len(cells), np.nan)
    good = text = 0
    for i, cell in enumerate(cells):
        try:
            numbers[i] = float(cell)
            good += 1
        except ValueError:
            text += cell.strip().lower() not in _MISSING
        if good + text == _SAMPLE and good < text:
            return None, text
    numbers[~np.isfinite(numbers)] = np.nan
    if good + text < _SAMPLE and good < text:
        return None, text
    return numbers, text


def _labels(path: Path, name: str, cells: Cells) -> Flags:
    out = np.zeros(len(cells), np.bool_)
    for i, cell in enumerate(cells):
        word = cell.strip().lower()
        if word in _MISSING or word in _FALSE:
            continue
        if word in _TRUE:
            out[i] = True
            continue
        try:
            out[i] = float(word) > 0.0
        except ValueError:
            raise TableError(
                f"{path}: row {i + 1}, column {name!r}: {cell!r} is no label; 0 or 1 is due"
            ) from None
    return out


def _without_times(rows: int) -> npt.NDArray[np.int64]:
    times: npt.NDArray[np.int64] = 1_577_836_800_000 + ROW_MS * np.arange(rows, dtype=np.int64)
    return times


def _times(path: Path, cells: Cells, notices: list[str]) -> npt.NDArray[np.int64]:
    found = np.array([_moment(cell) for cell in cells])
    good = np.isfinite(found)
    if not good.any():
        raise TableError(f"--time: {path} has no time that can be read, the first is {cells[0]!r}")
    if not good.all():
        notices.append(f"{int((~good).sum())} times cannot be read: taken as one interval later")
    steps = np.diff(found[good][: HEAD + 1])
    forward = steps[steps > 0]
    step = float(np.median(forward)) if forward.size else 1000.0
    last = float(found[good][0]) - step
    for i in range(len(found)):
        if not good[i]:
            found[i] = last + step
        last = float(found[i])
    out: npt.NDArray[np.int64] = np.rint(found).astype(np.int64)
    return out


def _moment(cell: str) -> float:
    """Return milliseconds since the epoch, NaN when the cell holds no time."""
    cell = cell.strip()
    try:
        number = float(cell)
    except ValueError:
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            return float("nan")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() * 1000.0
    if _MILLISECONDS[0] <= number < _MILLISECONDS[1]:
        return number
    # Seconds since the epoch, or from anywhere: a counter begins in 1970.
    return number * 1000.0 if abs(number) < _MILLISECONDS[0] else float("nan")
