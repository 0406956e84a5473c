"""Stages 2 to 6 of ISO 13374, each a small class that knows no engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stream_processor.models.remaining_life import LifeLibrary
from stream_processor.stages.advisory import AdvisoryGeneration
from stream_processor.stages.health import HealthAssessment
from stream_processor.stages.items import Findings
from stream_processor.stages.manipulation import Manipulation
from stream_processor.stages.prognosis import Prognosis
from stream_processor.stages.rule_evaluation import RuleEvaluation
from stream_processor.stages.state_detection import StateDetection

STAGES: tuple[tuple[str, type[Any]], ...] = (
    ("data_manipulation", Manipulation),
    ("state_detection", StateDetection),
    ("health_assessment", HealthAssessment),
    ("prognostics_assessment", Prognosis),
    ("rule_evaluation", RuleEvaluation),
    ("advisory_generation", AdvisoryGeneration),
)
"""Name of the step and class of its stage, in the order of the flow."""


def stages_with(life_dir: Path | None) -> tuple[tuple[str, type[Any]], ...]:
    """Return the stages, the prognosis with the life libraries (`*.npz`) of a folder.

    Raises:
        LifeLibraryError: a file is no life library.
        StateError: one is of newer code.
    """
    if life_dir is None:
        return STAGES
    read = [LifeLibrary.read(path) for path in sorted(life_dir.glob("*.npz"))]
    prognosis = Prognosis.using({library.equipment_class: library for library in read})
    return tuple((name, prognosis if kind is Prognosis else kind) for name, kind in STAGES)


__all__ = [
    "STAGES",
    "AdvisoryGeneration",
    "Findings",
    "HealthAssessment",
    "Manipulation",
    "Prognosis",
    "RuleEvaluation",
    "StateDetection",
    "stages_with",
]
