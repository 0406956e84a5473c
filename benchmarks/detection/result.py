"""What a set measures."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from stream_processor.evaluation.report import Judged
from stream_processor.evaluation.run import Progress


class NoDataError(RuntimeError):
    """The folder of a set is not there."""


@dataclass(frozen=True, slots=True)
class Published:
    """The best published score, and who published it."""

    score: float
    source: str


@dataclass(frozen=True, slots=True)
class Result:
    """One metric of one set; `blinds` are scores of what looks at no data, by name."""

    set: str
    metric: str
    score: float
    blinds: dict[str, float] = field(default_factory=dict)
    published: Published | None = None
    higher_is_better: bool = True

    @property
    def blind(self) -> float | None:
        """The best score without looking."""
        best = max if self.higher_is_better else min
        return best(self.blinds.values(), default=None)

    def document(self) -> dict[str, object]:
        """Return the object that `--json` prints."""
        return {
            "set": self.set,
            "metric": self.metric,
            "score": round(self.score, 4),
            "blind": None if self.blind is None else round(self.blind, 4),
            "published": None if self.published is None else self.published.score,
        }


@dataclass(frozen=True, slots=True)
class SetReport:
    """The results of a set, and its recordings for the report."""

    results: list[Result]
    judged: list[Judged] = field(default_factory=list)


def data_folder(name: str) -> Path:
    """Return the folder of a set in HEADRACE_EVAL_DATA.

    Raises:
        NoDataError: it is not there.
    """
    root = Path(os.environ.get("HEADRACE_EVAL_DATA", "../shared/data"))
    folder = root / name
    if not folder.is_dir():
        raise NoDataError(
            f"{name}: there is no folder {folder}; set HEADRACE_EVAL_DATA to where the sets are"
        )
    return folder


__all__ = ["Judged", "NoDataError", "Progress", "Published", "Result", "SetReport", "data_folder"]
