"""A recording as it is judged: rows of channels, with labels if there are some."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Channel:
    """A column of a recording; `unit` by UCUM, `quantity` as in docs/contracts.md."""

    name: str
    unit: str = "1"
    quantity: str = "other"


@dataclass(frozen=True, slots=True)
class Window:
    """A labelled event: its first and last row."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Rows of one machine in the order in which they came.

    `time_ms` has shape (n,), milliseconds since the epoch, UTC; it may repeat or step back.
    `values` has shape (n, d), NaN where nothing was measured. `labels` has shape (n,), None without
    labels. Rows in `ignore` and the first `train_rows` are not scored; thresholds may be fixed on
    the latter. `windows` are the events: those of the labels unless given.
    """

    name: str
    time_ms: npt.NDArray[np.int64]
    channels: tuple[Channel, ...]
    values: npt.NDArray[np.float64]
    labels: Flags | None = None
    ignore: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    train_rows: int = 0
    windows: tuple[Window, ...] = ()
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.time_ms)
        if not self.ignore.size:
            object.__setattr__(self, "ignore", np.zeros(n, np.bool_))
        if self.labels is not None and not self.windows:
            object.__setattr__(self, "windows", windows_of(self.labels))
        shapes = {
            "values": (self.values.shape, (n, len(self.channels))),
            "ignore": (self.ignore.shape, (n,)),
            "labels": ((n,) if self.labels is None else self.labels.shape, (n,)),
        }
        for what, (shape, due) in shapes.items():
            if shape != due:
                raise ValueError(f"{self.name}: {what} have shape {shape} where {due} is due")
        if not 0 <= self.train_rows <= n:
            raise ValueError(f"{self.name}: {self.train_rows} rows to train on, of {n}")

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.time_ms)

    @property
    def scored(self) -> Flags:
        """Which rows count."""
        out = ~self.ignore
        out[: self.train_rows] = False
        return out

    @classmethod
    def even(
        cls, name: str, values: npt.NDArray[np.float64], interval_s: float, names: list[str]
    ) -> Self:
        """Return a recording without labels whose rows are `interval_s` apart, from 2020 on."""
        start = 1_577_836_800_000
        time = start + np.rint(np.arange(len(values)) * interval_s * 1000.0).astype(np.int64)
        return cls(name=name, time_ms=time, channels=tuple(map(Channel, names)), values=values)


def windows_of(flags: Flags) -> tuple[Window, ...]:
    """Return the runs of true rows.

    >>> windows_of(np.array([0, 1, 1, 0, 1], bool))
    (Window(first=1, last=2), Window(first=4, last=4))
    """
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return tuple(
        Window(int(low), int(high) - 1) for low, high in zip(edges[::2], edges[1::2], strict=True)
    )
