"""Stages 2 to 6 of ISO 13374, each a small class that knows no engine."""

from __future__ import annotations

from typing import Any

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

__all__ = [
    "STAGES",
    "AdvisoryGeneration",
    "Findings",
    "HealthAssessment",
    "Manipulation",
    "Prognosis",
    "RuleEvaluation",
    "StateDetection",
]
