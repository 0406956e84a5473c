"""From what a server says of a node to a number, or a waveform, with its time and quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
from asyncua import ua

from edge_agent.drivers.base import BAD, STALE, Quality
from edge_agent.drivers.opcua.options import Timestamps
from edge_agent.drivers.opcua.quality import overflowed, quality_of, worse

# A waveform longer than this is no waveform.
MAX_SAMPLES: Final = 1 << 20
# An earlier time is none: servers that know no time send their epoch, 1601.
_FIRST_MS: Final = datetime(1990, 1, 1, tzinfo=UTC).timestamp() * 1000
# Samples travel in single precision; IEEE 754.
_MOST: Final = float(np.finfo(np.float32).max)


class WrongShapeError(ValueError):
    """A node holds what its point is not made for; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value as it was said: when (ms since the epoch, UTC), what, how good.

    `is_doubted` when the source's time was not believed, `is_overflow` when the server had to drop
    older values of the node.
    """

    time_ms: float
    value: float
    samples: npt.NDArray[np.float32] | None
    quality: Quality
    is_doubted: bool = False
    is_overflow: bool = False


def reading(
    said: ua.DataValue,
    waveform: bool,
    timestamps: Timestamps,
    server_now_ms: float,
    arrived_ms: float,
    max_ahead_ms: float,
) -> Reading:
    """Decode a data value of a point.

    A source's time that is missing, or ahead of the server's clock by more than `max_ahead_ms`, is
    replaced by the server's, that by `server_now_ms`. A number that is not finite in
    single precision is bad, in a waveform NaN.

    Raises:
        WrongShapeError: it is an array where a number is due, or the other way round, or text.
    """
    status = said.StatusCode.value if said.StatusCode else 0
    quality, lost = quality_of(status), overflowed(status)
    time_ms, is_doubted = _time(said, timestamps, server_now_ms, arrived_ms, max_ahead_ms)
    if is_doubted:
        quality = worse(quality, STALE)
    held = said.Value.Value if said.Value is not None else None
    if held is None:
        return Reading(time_ms, np.nan, None, BAD, is_doubted, lost)
    if waveform:
        samples = _samples(held)
        if quality == BAD:
            samples = np.full(len(samples), np.nan, np.float32)
        return Reading(time_ms, np.nan, samples, quality, is_doubted, lost)
    value = _number(held)
    if not abs(value) <= _MOST:
        quality = BAD
    return Reading(time_ms, value, None, quality, is_doubted, lost)


def _time(
    said: ua.DataValue,
    timestamps: Timestamps,
    server_now_ms: float,
    arrived_ms: float,
    max_ahead_ms: float,
) -> tuple[float, bool]:
    if timestamps == "gateway":
        return arrived_ms, False
    server, source = _ms(said.ServerTimestamp), _ms(said.SourceTimestamp)
    if server is None or server > server_now_ms + max_ahead_ms:
        server = server_now_ms
    if timestamps == "server" or source is None:
        return server, False
    if source > server_now_ms + max_ahead_ms:
        return server, True
    return source, False


def _ms(time: datetime | None) -> float | None:
    if time is None:
        return None
    time_ms = time.timestamp() * 1000
    return time_ms if time_ms >= _FIRST_MS else None


def _number(held: object) -> float:
    if isinstance(held, bool | int | float):
        return float(held)
    if isinstance(held, Sequence) and not isinstance(held, str | bytes):
        raise WrongShapeError("the node holds an array: its point needs `waveform = true`")
    raise WrongShapeError(f"the node holds a {type(held).__name__}, which is no number")


def _samples(held: object) -> npt.NDArray[np.float32]:
    if not isinstance(held, Sequence) or isinstance(held, str | bytes):
        raise WrongShapeError("the node holds a single value: its point is no waveform")
    if len(held) > MAX_SAMPLES:
        raise WrongShapeError(f"the node holds {len(held)} values, {MAX_SAMPLES} at most")
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            samples = np.asarray(held, np.float64).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise WrongShapeError("the node's array does not hold numbers") from error
    if samples.ndim != 1:
        raise WrongShapeError("the node holds an array of several dimensions")
    samples[~np.isfinite(samples)] = np.nan
    return samples
