"""The sets: a module each, with `run(progress) -> SetReport` or `run() -> list[Result]`.

A set whose module is not there yet is named all the same, so that `evaluate` says so.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec

from benchmarks.detection.result import Progress, SetReport

# Set and its module.
SETS = {
    "nab": "nab",
    "skab": "skab",
    "gecco2018": "gecco2018",
    "tep-braatz": "tep_braatz",
    "cmapss": "cmapss",
    "azure-pdm": "azure_pdm",
    "cwru-1797rpm": "cwru",
    "hydraulic-1hz": "hydraulic",
}


class NotMeasuredError(RuntimeError):
    """Nothing measures this set yet."""


def run(name: str, progress: Progress) -> SetReport:
    """Return what a set measures.

    Raises:
        NoDataError: its folder is not there.
        NotMeasuredError: nothing measures it yet.
    """
    path = f"{__name__}.{SETS[name]}"
    if find_spec(path) is None:
        raise NotMeasuredError(f"{name}: nothing measures this set yet")
    function = import_module(path).run
    found = function(progress) if inspect.signature(function).parameters else function()
    return found if isinstance(found, SetReport) else SetReport(list(found))
