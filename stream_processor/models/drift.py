"""River's Page-Hinkley test on several series at once, its state kept as plain numbers."""

from __future__ import annotations

import math
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream_processor.schema import Schema

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# Of scores in standard deviations: shifts under `DELTA` are let go, and `THRESHOLD` is their sum.
DELTA = 0.5
THRESHOLD = 60.0
MIN_INSTANCES = 60
# Old excess fades with this factor an observation, so that single spikes never add up.
FADING = 1.0 - 1.0 / 500.0
COLUMNS = 7

SCHEMA = Schema("a drift monitor")


def _page_hinkley() -> Any:
    """Return `river.drift.PageHinkley`, of its file alone.

    The package it is in also imports data sets with SQLAlchemy, and SciPy's statistics: two seconds
    of processor time at every start of a processor, half of what it may take to recover.
    """
    package = find_spec("river")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "drift" / "page_hinkley.py"
    spec = spec_from_file_location(f"{__name__}.page_hinkley", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PageHinkley


PageHinkley = _page_hinkley()


class DriftMonitor:
    """Page-Hinkley tests (Page 1954), one a series.

    River pickles its object whole, and a pickle does not outlive River's next version: the state
    here is the seven numbers of each test, from which the object is rebuilt.
    """

    def __init__(self, series: int) -> None:
        self._tests: list[Any] = [self._test() for _ in range(series)]

    @staticmethod
    def _test() -> Any:
        return PageHinkley(
            min_instances=MIN_INSTANCES, delta=DELTA, threshold=THRESHOLD, alpha=FADING
        )

    def relaid(self, columns: Indices) -> DriftMonitor:
        """Return the tests of other series; `columns[i]` is which one `i` was, -1: new."""
        other = DriftMonitor(columns.size)
        for i, column in enumerate(columns.tolist()):
            if column >= 0:
                other._tests[i] = self._tests[column]
        return other

    def update(self, values: Array) -> Array:
        """Take one value a series (NaN: none) and return each test's statistic over its limit.

        The sign is that of the drift.
        """
        out = np.zeros(len(self._tests))
        for i, (test, value) in enumerate(zip(self._tests, values.tolist(), strict=True)):
            if math.isfinite(value):
                test.update(value)
            rise = test._sum_increase - test._min_increase
            fall = test._max_decrease - test._sum_decrease
            if test._x_mean.n >= MIN_INSTANCES:
                out[i] = (rise if rise >= fall else -fall) / THRESHOLD
        return out

    def state(self) -> dict[str, Any]:
        """Return the numbers of the tests (series, 7)."""
        tests = np.empty((len(self._tests), COLUMNS))
        for row, test in zip(tests, self._tests, strict=True):
            row[:] = (
                test._x_mean.n,
                test._x_mean.get(),
                test._sum_increase,
                test._sum_decrease,
                test._min_increase,
                test._max_decrease,
                test.drift_detected,
            )
        return {"schema": SCHEMA.version, "tests": tests}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the tests in `state`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        rows = SCHEMA.current(state)["tests"]
        monitor = cls(len(rows))
        for test, row in zip(monitor._tests, rows.tolist(), strict=True):
            n, mean, test._sum_increase, test._sum_decrease = row[0], row[1], row[2], row[3]
            test._min_increase, test._max_decrease = row[4], row[5]
            test._x_mean = type(test._x_mean)._from_state(n, mean)
            test._drift_detected = bool(row[6])
        return monitor
