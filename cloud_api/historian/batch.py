"""Blocks of several series as the columns of one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_api.historian.port import SeriesBlock
from cloud_api.historian.windows import Columns

NAMES = ("series_id", "time_ms", "value", "minimum", "maximum", "count", "measured_ms")


def columns_of(numbered: Sequence[tuple[int, SeriesBlock, NDArray[np.bool_]]]) -> Columns:
    """Return the blocks as columns by series and time, of equal keys the last.

    With each block come the number of its series and which of its points are meant. What a block
    does not know is NaN, a count 0.
    """
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in NAMES}
    for number, block, chosen in numbered:
        length = len(block.time_ms)
        missing = np.full(length, np.nan)
        none = np.zeros(length, np.int64)
        measured = missing if block.coverage is None else block.coverage * float(block.interval_ms)
        found = (
            np.full(length, number, np.int32),
            np.asarray(block.time_ms, np.int64),
            np.asarray(block.value, np.float64),
            missing if block.minimum is None else block.minimum,
            missing if block.maximum is None else block.maximum,
            none if block.count is None else np.asarray(block.count, np.int64),
            measured if block.interval_ms else missing,
        )
        for name, column in zip(NAMES, found, strict=True):
            parts[name].append(column if chosen.all() else column[chosen])
    if not numbered:
        return {name: np.empty(0, np.int64) for name in NAMES}
    flat = {name: np.concatenate(columns) for name, columns in parts.items()}
    return last_of_each(flat)


def last_of_each(columns: Columns) -> Columns:
    """Return rows by series and time; of those with the same series and time the last."""
    ids, times = columns["series_id"], columns["time_ms"]
    if np.all((ids[1:] > ids[:-1]) | ((ids[1:] == ids[:-1]) & (times[1:] > times[:-1]))):
        return columns
    # A stable sort leaves equal keys in their order.
    order = np.lexsort((columns["time_ms"], columns["series_id"]))
    ids, times = columns["series_id"][order], columns["time_ms"][order]
    last = np.ones(order.size, bool)
    last[:-1] = (ids[1:] != ids[:-1]) | (times[1:] != times[:-1])
    return {name: column[order[last]] for name, column in columns.items()}
