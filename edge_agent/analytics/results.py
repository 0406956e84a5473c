"""From the outputs of windows to samples of slow channels with their event times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from edge_agent.analytics.analysis import Analysis, Result
from edge_agent.analytics.spectrum import Array
from edge_agent.drivers.base import Samples

# How far a value may be from its place among evenly spaced ones: times are whole milliseconds.
_TOLERANCE_MS: Final = 1.0


@dataclass(slots=True)
class Run:
    """Outputs of one analysis that are evenly spaced, a row a window; the first is of `start_ms`.

    The event time of an output is the end of its window.
    """

    analysis: Analysis
    start_ms: float
    rows: list[Array] = field(default_factory=list)

    def takes(self, end_ms: float) -> bool:
        """Return whether a window that ends then is the next."""
        period_ms = 1000.0 / self.analysis.outputs[0].sample_rate_hz
        return abs(end_ms - self.start_ms - len(self.rows) * period_ms) <= _TOLERANCE_MS

    def samples(self) -> Iterator[tuple[str, Samples]]:
        """Yield the name of each output and its values."""
        table = np.array(self.rows)
        for place, output in enumerate(self.analysis.outputs):
            yield output.name, table[:, place]


def runs(found: Iterable[tuple[Analysis, Result]]) -> list[Run]:
    """Return the outputs of a block's windows as runs, those of an analysis one after the other.

    A gap, or a shaft that does not turn at its nominal speed, ends a run.
    """
    made: list[Run] = []
    for analysis, result in found:
        newest = made[-1] if made and made[-1].analysis is analysis else None
        if newest is None or not newest.takes(result.end_ms):
            newest = Run(analysis, result.end_ms)
            made.append(newest)
        newest.rows.append(result.values)
    return made
