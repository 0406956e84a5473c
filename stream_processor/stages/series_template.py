"""The series of one observation as protobuf bytes, of which only times and numbers change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream_processor.v1.points_pb2 import Series

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def varint(value: int) -> bytes:
    """Return an int64 as protobuf writes it: seven bits a byte, the lowest first."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class SeriesTemplate:
    """Series by name and unit, the first `covered` of which say of what share they were computed.

    Protobuf writes a message of one observation field by field in the order of their numbers. All
    but the time, the value and the coverage is the same in each, and these have fixed places as
    long as the time has as many bytes.
    """

    def __init__(self, names: Sequence[tuple[str, str]], covered: int) -> None:
        self._names = names
        self._covered = covered
        self._size = 0

    def _lay_out(self, size: int) -> None:
        """Find the places of what changes, for times of `size` bytes."""
        text = bytearray()
        times, values, coverages, lengths = [], [], [], []
        for at, (name, unit) in enumerate(self._names):
            head = Series(name=name, unit=unit).SerializeToString() + b"\x1a" + bytes((size,))
            tail = size + 10 + (6 if at < self._covered else 0)
            begin = len(text)
            text += b"\x3a" + varint(len(head) + tail) + head
            times.append(len(text))
            text += bytes(size) + b"\x22\x08"
            values.append(len(text))
            text += bytes(8)
            if at < self._covered:
                text += b"\x2a\x04"
                coverages.append(len(text))
                text += bytes(4)
            lengths.append(len(text) - begin)
        self._size = size
        self._text = np.frombuffer(bytes(text), dtype=np.uint8)
        self._times = _places(times, size)
        self._values = _places(values, 8)
        self._coverages = _places(coverages, 4)
        self._lengths = np.array(lengths, dtype=np.int64)

    def fill(self, time_ms: int, values: Array, coverage: Array) -> bytes:
        """Return `Points` with the series of those `values` (n,) that are numbers.

        `coverage` is of the first series, those that have one.
        """
        time = varint(time_ms)
        if len(time) != self._size:
            self._lay_out(len(time))
        text = self._text.copy()
        text[self._times] = np.frombuffer(time, dtype=np.uint8)
        text[self._values] = values.astype("<f8").view(np.uint8).reshape(-1, 8)
        text[self._coverages] = coverage.astype("<f4").view(np.uint8).reshape(-1, 4)
        known = values == values
        return (text if known.all() else text[np.repeat(known, self._lengths)]).tobytes()


def _places(begins: list[int], size: int) -> Places:
    """Return the places (n, size) of fields that begin at `begins`."""
    return np.array(begins, dtype=np.int64).reshape(-1, 1) + np.arange(size)
