"""Learn a life library from a CSV of run-to-failure histories."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stream_processor.models.life_learning import LearningError, learn
from stream_processor.models.remaining_life import LifeLibrary


class LifeTrainingError(RuntimeError):
    """A file from which no life can be learnt."""


def _number(cell: str) -> float:
    return float(cell) if cell.strip() else float("nan")


def run(
    path: Path,
    unit_column: str,
    ignored: tuple[str, ...],
    equipment_class: str,
    horizon: float,
    row: str,
    version: str,
    seed: int,
    hours: float,
    progress: Callable[[str, int, int], None],
) -> LifeLibrary:
    """Return the library of the histories in a CSV with a header, empty cells missing.

    Raises:
        LifeTrainingError: a column is missing, a cell is no number, or there is too little.
        OSError: the file cannot be read.
    """
    histories: dict[str, list[list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        header = rows.fieldnames or []
        for column in (unit_column, *ignored):
            if column not in header:
                raise LifeTrainingError(f"{path}: no column {column!r}; it has {', '.join(header)}")
        channels = [c for c in header if c not in (unit_column, *ignored)]
        for cells in rows:
            try:
                values = [_number(cells[c] or "") for c in channels]
            except ValueError as error:
                raise LifeTrainingError(
                    f"{path}: line {rows.line_num}: {error}; leave it out with --ignore COLUMN"
                ) from error
            histories.setdefault(cells[unit_column], []).append(values)
    try:
        library, _ = learn(
            [np.array(h) for h in histories.values()],
            channels,
            equipment_class,
            horizon,
            row,
            version,
            seed,
            hours,
            {"source": path.name, "provenance": f"headrace model life --seed {seed}"},
            progress,
        )
    except LearningError as error:
        raise LifeTrainingError(f"{path}: {error}") from error
    return library
