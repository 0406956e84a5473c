"""Rows of a recording as frames, as an agent would have sent them.

A row is never moved to where a later row says it belongs: what becomes of it depends on the rows
before it, but for the sampling interval, which is fixed on the first rows as a birth declares it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.recording import Recording
from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame

Indices = npt.NDArray[np.int64]

# As the edge agent's recording driver makes them: rows a block of a slow recording, and the
# seconds of a block of a fast one.
SLOW_ROWS = 12
BLOCK_S = 60.0
# Rows of which the sampling interval is the median.
HEAD = 100
# Rows in a row that step back before time begins anew there: four frames, as in the flow.
STEP_ROWS = 4 * SLOW_ROWS


@dataclass(frozen=True, slots=True)
class Framed:
    """A frame and which rows of the recording it holds."""

    frame: Frame
    rows: Indices


def interval_ms(time_ms: Indices) -> tuple[float, bool]:
    """Return the sampling interval, and whether times are too coarse to tell rows apart.

    Coarse are times of which most of the first ones are the same: rows are then taken to be evenly
    spaced over the time they cover.
    """
    head = time_ms[: HEAD + 1]
    steps = np.diff(head)
    forward = steps[steps > 0]
    if not forward.size:
        return 1000.0, bool(steps.size)
    if np.count_nonzero(steps == 0) > steps.size / 2:
        return float(head.max() - head[0]) / steps.size, True
    return float(np.median(forward)), False


def frames(recording: Recording, rows_per_frame: int | None = None) -> Iterator[Framed]:
    """Yield the frames of a recording.

    A row is left out when its time was there already or lies before, and when nothing was measured;
    after `STEP_ROWS` of the former the clock was put back, and time begins anew.
    """
    held: list[int] = []
    period, coarse = interval_ms(recording.time_ms)
    times = recording.time_ms
    if coarse and len(times):
        times = times[0] + np.rint(np.arange(len(times)) * period).astype(np.int64)
    info = EquipmentInfo(
        "recordings", "evaluation", recording.name, "recording", "", "recording",
        {c.name: ChannelInfo(c.name, c.unit, 1000.0 / period, c.quantity)
         for c in recording.channels},
    )  # fmt: skip
    # What an agent sends has single precision.
    with np.errstate(over="ignore"):
        values = recording.values.astype(np.float32).astype(np.float64)
    most = rows_per_frame or max(SLOW_ROWS, round(BLOCK_S * 1000.0 / period))
    measured: list[bool] = np.any(np.isfinite(values), axis=1).tolist()
    start, newest, behind = 0, None, 0
    for row, time in enumerate(times.tolist()):
        if newest is not None and time <= newest:
            behind += 1
            if behind < STEP_ROWS or time == newest:
                continue
        behind, newest = 0, time
        if not measured[row]:
            continue
        place = start + len(held) * period
        if held and (len(held) >= most or abs(time - place) > period / 2):
            yield _framed(recording, info, start, held, values)
            held = []
        if not held:
            start = time
        held.append(row)
    if held:
        yield _framed(recording, info, start, held, values)


def _framed(
    recording: Recording,
    info: EquipmentInfo,
    start_ms: int,
    held: list[int],
    values: npt.NDArray[np.float64],
) -> Framed:
    rows = np.array(held, np.int64)
    part = values[rows]
    samples = {c.name: part[:, j].copy() for j, c in enumerate(recording.channels)}
    return Framed(Frame(info, start_ms, start_ms, samples), rows)
