"""Windows by event time of many devices, in flat arrays, updated a block a device.

Each device's row holds the finite samples of its window side by side, oldest first, and its
features are taken from them anew after each block: a sample that has left has left no trace.
Rows are moved to their front when their end is reached, so an update costs no allocation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from stream_processor.kernels.features import FEATURES, SKIPPED, SLOPE, describe, slope

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

# Columns of a device's bounds: its window is [FIRST, LAST) of its row; then the newest event time
# and what was left out so far: not a number, older than the newest, and pushed out by a full row.
FIRST, LAST, NEWEST, NOT_NUMBERS, LATE, PUSHED_OUT = range(6)
BOUNDS = 6
NEVER = np.iinfo(np.int64).min
SCHEMA = 1


@njit(cache=True, nogil=True)
def append(at: Times, x: Array, span: int, bounds: Times, times: Times, values: Array) -> int:
    """Take the samples `x` of times `at` into a device's window; return how many were skipped.

    The window holds what is younger than the newest time less `span`, in the unit of `at`. The
    time of a sample that is not a number still moves the window on; a sample older than the
    newest is skipped. State: `bounds` (6,), `times` and `values` (capacity,).
    """
    first, last, newest = bounds[FIRST], bounds[LAST], bounds[NEWEST]
    skipped = 0
    for i in range(x.size):
        if at[i] < newest:
            bounds[LATE] += 1
            skipped += 1
            continue
        newest = at[i]
        if not np.isfinite(x[i]):
            bounds[NOT_NUMBERS] += 1
            skipped += 1
            continue
        while first < last and newest - times[first] >= span:
            first += 1
        if last == values.size:
            if first == 0:
                first = 1
                bounds[PUSHED_OUT] += 1
            for k in range(first, last):
                times[k - first] = times[k]
                values[k - first] = values[k]
            first, last = 0, last - first
        times[last] = newest
        values[last] = x[i]
        last += 1
    while first < last and newest - times[first] >= span:
        first += 1
    bounds[FIRST], bounds[LAST], bounds[NEWEST] = first, last, newest
    return skipped


@njit(cache=True, nogil=True)
def update_devices(
    devices: Times,
    at: Times,
    x: Array,
    span: int,
    bounds: Times,
    times: Times,
    values: Array,
    out: Array,
) -> None:
    """Take in a block of each of `devices`, fill `out` (blocks, 13) with its window's features.

    `devices` (blocks,) are rows of the state, `at` and `x` (blocks, n) a block each. The slope is a
    unit of time; the skipped are those of this block. State: `bounds` (devices, 6), `times` and
    `values` (devices, capacity).
    """
    for b in range(devices.size):
        d = devices[b]
        skipped = append(at[b], x[b], span, bounds[d], times[d], values[d])
        first, last = bounds[d, FIRST], bounds[d, LAST]
        window = values[d, first:last]
        describe(window, out[b])
        out[b, SKIPPED] = skipped
        out[b, SLOPE] = slope(times[d, first:last], window)


@dataclass
class EventWindows:
    """The windows of `devices` devices over `span` units of event time."""

    span: int
    bounds: Times
    times: Times
    values: Array

    @classmethod
    def empty(cls, devices: int, span: int, capacity: int) -> Self:
        """Return windows that hold nothing yet, of at most `capacity` samples each.

        Raises:
            ValueError: the span or the capacity is not positive.
        """
        if span <= 0 or capacity <= 0:
            raise ValueError(f"a window needs a span and a capacity, not {span} and {capacity}")
        bounds = np.zeros((devices, BOUNDS), dtype=np.int64)
        bounds[:, NEWEST] = NEVER
        times = np.zeros((devices, capacity), dtype=np.int64)
        return cls(span, bounds, times, np.zeros((devices, capacity)))

    def update(self, devices: Times, at: Times, x: Array, out: Array) -> None:
        """Take a block of each device in; fill `out` (blocks, 13) with their windows' features."""
        update_devices(devices, at, x, self.span, self.bounds, self.times, self.values, out)

    def state(self) -> dict[str, Any]:
        """Return the state: `schema`, and the windows with what was left out of them."""
        return {
            "schema": SCHEMA,
            "span": self.span,
            "bounds": self.bounds.copy(),
            "times": self.times.copy(),
            "values": self.values.copy(),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the windows in `state`.

        Raises:
            ValueError: the state is of another schema.
        """
        if state["schema"] != SCHEMA:
            raise ValueError(f"event window state has schema {state['schema']}, not {SCHEMA}")
        parts = (state[name].copy() for name in ("bounds", "times", "values"))
        return cls(state["span"], *parts)


def compile_all() -> None:
    """Compile every kernel for the one signature it has."""
    windows = EventWindows.empty(1, 10, 4)
    at = np.zeros((1, 2), dtype=np.int64)
    windows.update(np.zeros(1, dtype=np.int64), at, np.zeros((1, 2)), np.empty((1, FEATURES)))
    append(at[0], np.zeros(2), 10, windows.bounds[0], windows.times[0], windows.values[0])
